"""nova-compute's way to the image service: over HTTP, with tokens of its own."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cloud.errors import IdentityUnavailableError, ImageUnavailableError, UnauthorizedError
from cloud.services.compute.image_service import ImageService, configured_image_service
from cloud.services.compute.options import COMPUTE_OPTIONS
from cloud.services.configuration import read_configuration
from tests.compute.image_store import IMAGE

DOCUMENT = {
    "id": IMAGE,
    "name": "image",
    "owner": "p",
    "visibility": "private",
    "status": "active",
    "size": 4,
    "checksum": "098f6bcd4621d373cade4e832627b4f6",
    "disk_format": "raw",
    "container_format": "bare",
    "min_disk": 0,
    "min_ram": 0,
    "protected": False,
    "tags": [],
    "created_at": "2014-10-16T12:00:00Z",
    "updated_at": "2014-10-16T12:00:00Z",
}


class Server(ThreadingHTTPServer):
    """Knows one image, and lets those in who have the token `good`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.good = "second"
        self.requests: list[tuple[str, str, str]] = []
        self.uploaded = b""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        body = b"test" if self.path.endswith("/file") else json.dumps(DOCUMENT).encode()
        self._answer(200, body)

    def do_PUT(self) -> None:
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        self.server.uploaded = data
        self._answer(204, b"")

    def do_DELETE(self) -> None:
        self._answer(204, b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - theirs
        """Nothing on stderr."""

    def _answer(self, status: int, body: bytes) -> None:
        token = self.headers["X-Auth-Token"]
        self.server.requests.append((self.command, self.path, token))
        status, body = (status, body) if token == self.server.good else (401, b"{}")
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Tokens:
    """Has `first` until that is forgotten, then `second`."""

    def __init__(self) -> None:
        self.tokens = ["first", "second"]

    def token(self) -> str:
        return self.tokens[0]

    def forget(self, token: str) -> None:
        if token == "first" and len(self.tokens) > 1:
            self.tokens.pop(0)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


@pytest.fixture
def images(server: Server) -> Iterator[ImageService]:
    service = ImageService(f"http://127.0.0.1:{server.server_address[1]}", Tokens())
    yield service
    service.close()


def test_a_token_that_is_refused_is_replaced_once(images: ImageService, server: Server) -> None:
    assert images.show(IMAGE).checksum == "098f6bcd4621d373cade4e832627b4f6"
    assert [token for _, _, token in server.requests] == ["first", "second"]
    server.good = "third"
    with pytest.raises(UnauthorizedError):
        images.show(IMAGE)
    assert [token for _, _, token in server.requests] == ["first", "second", "second", "second"]


def test_data_comes_and_goes_whole(images: ImageService, server: Server, tmp_path: Path) -> None:
    images.download(IMAGE, tmp_path / "image")
    assert (tmp_path / "image").read_bytes() == b"test"
    with (tmp_path / "image").open("rb") as data:
        images.upload(IMAGE, data)
    assert server.uploaded == b"test"
    images.delete(IMAGE)
    assert server.requests[-1] == ("DELETE", f"/v2/images/{IMAGE}", "second")


def test_an_upload_finds_a_refused_token_out_before_it_reads_its_data(
    images: ImageService, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "image").write_bytes(b"all of it")
    with (tmp_path / "image").open("rb") as data:
        images.upload(IMAGE, data)
    assert server.uploaded == b"all of it"


def test_without_an_account_whoever_asks_is_told_so(tmp_path: Path) -> None:
    file = tmp_path / "nova.conf"
    file.write_text("[DEFAULT]\nhost = a\n[identity]\nuser = nova\n")
    service = configured_image_service(read_configuration([file], groups=COMPUTE_OPTIONS))
    with pytest.raises(IdentityUnavailableError, match=r"^cannot sign in: \[identity\] user, password and project"):
        service.show(IMAGE)
    service.close()


def test_with_an_account_the_identity_service_is_asked(tmp_path: Path, server: Server) -> None:
    file = tmp_path / "nova.conf"
    url = f"http://127.0.0.1:{server.server_address[1]}"
    account = "user = nova\npassword = x\nproject = service\n"
    file.write_text(f"[DEFAULT]\nhost = a\n[identity]\nurl = {url}\n{account}[image]\nurl = {url}\n")
    service = configured_image_service(read_configuration([file], groups=COMPUTE_OPTIONS))
    with pytest.raises((IdentityUnavailableError, ImageUnavailableError), match=r"^cannot sign in: "):
        service.show(IMAGE)  # which is no identity service
    service.close()
