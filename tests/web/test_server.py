"""The server itself: where it listens, how it ends."""

import socket
import ssl
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from cloud.web import protocol
from cloud.web.app import gated, make_app
from cloud.web.server import HttpServer, HttpServerError, Listen
from tests.web.serving import SHAPE, only_alice


def make_server(listen: Listen) -> HttpServer:
    app = make_app("a service", SHAPE)

    @app.get("/public")
    def public() -> str:
        return "hello"

    return HttpServer(gated(app, SHAPE, only_alice), listen)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = directory / "c.pem", directory / "k.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", str(certificate), "-keyout", str(key)],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


def test_url_has_the_port_that_was_free_and_nothing_answers_after_the_stop() -> None:
    server = make_server(Listen("127.0.0.1", 0))
    server.start()
    assert httpx.get(f"{server.url}/public", trust_env=False).json() == "hello"
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/public", trust_env=False)


def test_port_that_is_taken_is_named() -> None:
    first = make_server(Listen("127.0.0.1", 0))
    port = int(first.url.rpartition(":")[2])
    with pytest.raises(HttpServerError, match=rf"cannot listen on http://127\.0\.0\.1:{port}: .*in use"):
        make_server(Listen("127.0.0.1", port))
    first.stop()


def test_plaintext_stays_on_this_machine() -> None:
    with pytest.raises(HttpServerError, match=r"cannot listen on http://0\.0\.0\.0:0: beyond loopback it takes a cert"):
        make_server(Listen("0.0.0.0", 0))  # noqa: S104 - it is refused


def test_with_a_certificate_it_is_tls_1_2_at_least(certificate: tuple[Path, Path]) -> None:
    server = make_server(Listen("0.0.0.0", 0, *certificate))  # noqa: S104 - with TLS
    server.start()
    port = int(server.url.rpartition(":")[2])
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    assert httpx.get(f"https://localhost:{port}/public", verify=trusting, trust_env=False).json() == "hello"
    old = ssl.create_default_context(cafile=str(certificate[0]))
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"https://localhost:{port}/public", verify=old, trust_env=False)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://localhost:{port}/public", trust_env=False)
    server.stop()


@pytest.mark.parametrize("content", ["", "not a certificate"])
def test_certificate_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "c.pem"
    file.write_text(content)
    with pytest.raises(HttpServerError, match=r"cannot listen on https://127\.0\.0\.1:0: "):
        make_server(Listen("127.0.0.1", 0, file, file))
    with pytest.raises(HttpServerError, match="No such file"):
        make_server(Listen("127.0.0.1", 0, tmp_path / "missing", None))


def test_server_that_never_started_can_be_stopped() -> None:
    make_server(Listen("127.0.0.1", 0)).stop()


@pytest.mark.parametrize("begun", [b"", b"GET /public HT"])
def test_connection_on_which_no_head_comes_is_closed(monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.3)
    server = make_server(Listen("127.0.0.1", 0))
    server.start()
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    with socket.create_connection(address, 10) as silent, suppress(ConnectionResetError):
        silent.sendall(begun)
        while silent.recv(1000):
            pass
    server.stop()


def test_connection_whose_requests_come_in_time_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.2)
    app = make_app("a service", SHAPE)

    @app.get("/public")
    def public() -> str:
        time.sleep(0.5)  # longer than a head may take
        return "hello"

    server = HttpServer(gated(app, SHAPE, only_alice), Listen("127.0.0.1", 0))
    server.start()
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        assert [client.get("/public").json() for _ in range(2)] == ["hello", "hello"]
    server.stop()
