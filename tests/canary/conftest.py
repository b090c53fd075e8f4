"""Where a test with a host and a collector starts from."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.canary.site import Site
from tests.rsyslog import RsyslogHost


@pytest.fixture
def site() -> Iterator[Site]:
    directory = Path(tempfile.mkdtemp(prefix="t-"))  # short: a socket's path has 107 bytes at most
    site = Site(directory)
    yield site
    site.stop_collector()
    shutil.rmtree(directory)


@pytest.fixture
def host() -> Iterator[RsyslogHost]:
    with RsyslogHost() as host:
        yield host
