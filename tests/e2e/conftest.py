"""A cloud of a controller and two compute hosts, started by the first test that asks and shared by all."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.logs.query.client import CollectorClient
from cloud.up.layout import Layout
from cloud.up.machine import Machine, Settings, has_rsyslogd

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    directory = Path(tempfile.mkdtemp(prefix="t-"))  # short: a socket's path has 107 bytes at most
    try:
        with Machine(directory, Settings(Layout(2))) as started:
            assert has_rsyslogd(), "needs rsyslogd: make test installs it"
            started.start()
            started.wait_until_services_are_up()
            yield started
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def client(machine: Machine) -> Iterator[CollectorClient]:
    with CollectorClient(machine.http_url) as opened:
        yield opened


def speak(tree: Path, service: str, code: str) -> "subprocess.CompletedProcess[str]":
    """Run `code` in a process that logs as `service` of the host at `tree`, as its rendered files say."""
    prelude = (
        "import logging\n"
        "from cloud.logs.emit import logger, request_context\n"
        "from cloud.logs.emit.settings import LogSettings\n"
        "from cloud.logs.emit.setup import set_up_logging\n"
        f"settings = LogSettings(log_config='{tree}/etc/nova/{service}-logging.conf')\n"
        f"set_up_logging(settings, service='{service}', host='-')\n"
    )
    return subprocess.run(
        [sys.executable, "-c", prelude + code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
