"""What a test with a real rsyslogd starts from."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.generator.forwarding import FrameSink
from tests.generator.relp import RelpSink
from tests.rsyslog import RsyslogHost


@pytest.fixture
def sink() -> Iterator[FrameSink]:
    sink = FrameSink()
    yield sink
    sink.close()


@pytest.fixture
def relp_sink() -> Iterator[RelpSink]:
    sink = RelpSink()
    yield sink
    sink.close()


@pytest.fixture
def tree() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="t-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def host() -> Iterator[RsyslogHost]:
    with RsyslogHost() as host:
        yield host
