"""A rendered host forwards over TLS to a collector with the right certificate and name, and shows its own."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.generator.forwarding import INFO, FrameSink, nova_line, numbers, render
from tests.generator.relp import RelpSink
from tests.rsyslog import RsyslogHost
from tests.waiting import wait_until

pytestmark = pytest.mark.server

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, and .pem and .key of a collector named logs.example.org and of compute-01."""
    directory = tmp_path_factory.mktemp("certificates")
    openssl(directory, "ca", "/CN=ca", "-addext", "keyUsage=critical,keyCertSign")
    for name, host in (("logs", "logs.example.org"), ("host", "compute-01")):
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE")
        openssl(directory, name, f"/CN={host}", *signed, "-addext", f"subjectAltName=DNS:{host}")
    return directory


def openssl(directory: Path, name: str, subject: str, *options: str) -> None:
    files = ("-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.pem")
    command = ["openssl", "req", "-x509", *_KEY, *files, *options]
    subprocess.run(command, cwd=directory, check=True, capture_output=True, stdin=subprocess.DEVNULL)


@pytest.fixture(params=[RelpSink, FrameSink])
def tls_sink(request: pytest.FixtureRequest, certificates: Path) -> Iterator[RelpSink | FrameSink]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "logs.pem", certificates / "logs.key")
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    sink: RelpSink | FrameSink = request.param(context)
    yield sink
    sink.close()


def tls(certificates: Path, peer: str) -> dict[str, object]:
    files = {"ca": "ca.pem", "certificate": "host.pem", "key": "host.key"}
    return {"tls": {**{key: f"{certificates}/{name}" for key, name in files.items()}, "peer": peer}}


def test_lines_arrive_at_a_collector_with_the_permitted_name(
    tree: Path, tls_sink: RelpSink | FrameSink, host: RsyslogHost, certificates: Path
) -> None:
    render(tree, tls_sink, tls(certificates, "logs.example.org"))
    tls_sink.listen()
    host.start(tree)
    host.send(nova_line(INFO, "m-first"), nova_line(INFO, "m-last"))
    tls_sink.wait_for("m-last")
    host.stop()

    assert numbers(tls_sink.frames) == [1, 2]
    assert host.said() == ""


def test_nothing_goes_to_a_collector_with_another_name_not_even_when_rsyslogd_ends(
    tree: Path, tls_sink: RelpSink | FrameSink, host: RsyslogHost, certificates: Path
) -> None:
    render(tree, tls_sink, tls(certificates, "other.example.org"))
    tls_sink.listen()
    host.start(tree)
    host.send(nova_line(INFO, "m-first"))
    wait_until(lambda: tls_sink.ended, what="rsyslogd to turn away")
    host.stop()

    assert tls_sink.frames == []
    assert "m-first" in host.nova_log.read_text()
