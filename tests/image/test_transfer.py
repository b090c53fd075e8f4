"""Data on its way: slow, broken off, deleted, damaged, and too much of it."""

import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.image.conftest import Line, Service
from tests.image.test_v2 import created, uploaded
from tests.waiting import wait_until

MIB = 1 << 20


def connection(service: Service) -> socket.socket:
    parts = urlsplit(service.url)
    return socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=30)


def request(method: str, path: str, *headers: str) -> bytes:
    start = [f"{method} {path} HTTP/1.1", "Host: x", "X-Auth-Token: alice-token", "Connection: close"]
    return "\r\n".join([*start, *headers, "", ""]).encode()


def received(sock: socket.socket) -> bytes:
    """Everything until the other side ends, with a reset where it has not read all that was sent."""
    whole = bytearray()
    with suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            whole += piece
    return bytes(whole)


def bytes_files(service: Service) -> list[Path]:
    return [path for path in service.directory.iterdir() if not path.name.endswith(".json") and path.name != "lock"]


def warnings_of(lines: list[Line]) -> list[tuple[str, object]]:
    return [(text, fields.get("error")) for level, text, fields in lines if level == "WARNING"]


def test_an_upload_that_breaks_off_leaves_the_image_queued_and_no_bytes(
    service: Service, alice: httpx.Client, lines: list[Line]
) -> None:
    image = created(alice)
    with closing(connection(service)) as sock:
        sock.sendall(request("PUT", image["file"], "Content-Length: 4000000") + b"x" * 3_000_000)
        wait_until(lambda: alice.get(image["self"]).json()["status"] == "saving")
        wait_until(
            lambda: [path for path in bytes_files(service) if path.stat().st_size >= MIB], what="bytes on the disk"
        )
    wait_until(lambda: alice.get(image["self"]).json()["status"] == "queued", what="the upload to be aborted")
    assert bytes_files(service) == []
    assert warnings_of(lines) == [("image upload failed", "cannot read image data: the client has gone")]
    assert alice.put(image["file"], content=b"abc").status_code == 204


def test_an_upload_in_chunks_that_breaks_off_kills_the_image_of_v1(service: Service, alice: httpx.Client) -> None:
    with closing(connection(service)) as sock:
        formats = ("x-image-meta-disk_format: raw", "x-image-meta-container_format: bare")
        sock.sendall(request("POST", "/v1/images", *formats, "Transfer-Encoding: chunked") + b"3\r\nabc\r\n")
        wait_until(lambda: [image["status"] for image in alice.get("/v1/images/detail").json()["images"]] == ["saving"])
    wait_until(lambda: [image["status"] for image in alice.get("/v1/images/detail").json()["images"]] == ["killed"])
    assert bytes_files(service) == []


def test_chunks_that_are_none_end_the_upload(service: Service, alice: httpx.Client) -> None:
    image = created(alice)
    with closing(connection(service)) as sock:
        sock.sendall(request("PUT", image["file"], "Transfer-Encoding: chunked") + b"3\r\nabc\r\nzzz\r\n")
        assert not received(sock).startswith(b"HTTP/1.1 2")
    wait_until(lambda: alice.get(image["self"]).json()["status"] == "queued", what="the upload to be aborted")
    assert bytes_files(service) == []


def test_an_upload_that_is_too_slow_is_ended(run_service: Callable[..., Service]) -> None:
    service = run_service(piece_timeout_s=0.2)
    with service.client("alice-token") as alice, closing(connection(service)) as sock:
        image = created(alice)
        sock.sendall(request("PUT", image["file"], "Content-Length: 10") + b"x")
        assert received(sock).startswith(b"HTTP/1.1 408 ")
        assert alice.get(image["self"]).json()["status"] == "queued"
    assert bytes_files(service) == []


def test_a_download_that_is_read_too_slowly_is_ended(run_service: Callable[..., Service], lines: list[Line]) -> None:
    service = run_service(piece_timeout_s=0.2)
    with service.client("alice-token") as alice, closing(connection(service)) as sock:
        image = uploaded(alice, os.urandom(32 * MIB))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(request("GET", image["file"]))
        wait_until(lambda: warnings_of(lines), what="the download to be ended")
    assert warnings_of(lines) == [("image download ended early, the client reads too slowly", None)]


def test_a_download_that_nobody_reads_any_more_ends(service: Service, alice: httpx.Client, lines: list[Line]) -> None:
    image = uploaded(alice, os.urandom(64 * MIB))
    with closing(connection(service)) as sock:
        sock.sendall(request("GET", image["file"]))
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK")
    ended = "image download ended early, the client has gone"
    wait_until(lambda: ended in [text for _, text, _ in lines], what="the download to end")


def test_of_uploads_at_once_one_wins(service: Service, alice: httpx.Client) -> None:
    image = created(alice)
    barrier = threading.Barrier(6)

    def upload(number: int) -> int:
        with service.client("alice-token") as client:
            barrier.wait()
            return client.put(image["file"], content=bytes([number]) * (4 * MIB)).status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(upload, range(6)))
    assert sorted(statuses) == [204, 409, 409, 409, 409, 409]
    winner = bytes([statuses.index(204)]) * (4 * MIB)
    assert alice.get(image["self"]).json()["checksum"] == hashlib.md5(winner, usedforsecurity=False).hexdigest()
    assert alice.get(image["file"]).content == winner


def test_an_image_deleted_while_it_is_downloaded_comes_whole(service: Service, alice: httpx.Client) -> None:
    data = os.urandom(32 * MIB)
    image = uploaded(alice, data)
    with closing(connection(service)) as sock:
        sock.sendall(request("GET", image["file"]))
        start = sock.recv(65536)
        assert alice.delete(image["self"]).status_code == 204
        assert bytes_files(service) == []
        assert (start + received(sock)).partition(b"\r\n\r\n")[2] == data
    assert alice.get(image["file"]).status_code == 404


def test_an_image_deleted_while_it_is_uploaded_ends_the_upload(service: Service, alice: httpx.Client) -> None:
    image = created(alice)
    with closing(connection(service)) as sock:
        sock.sendall(request("PUT", image["file"], f"Content-Length: {4 * MIB}") + b"x" * MIB)
        wait_until(lambda: alice.get(image["self"]).json()["status"] == "saving")
        assert alice.delete(image["self"]).status_code == 204
        sock.sendall(b"x" * (2 * MIB))
        assert received(sock).startswith(b"HTTP/1.1 404 ")
    assert bytes_files(service) == []


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("place", [0, 3 * MIB // 2, 3 * MIB - 1])
def test_a_damaged_image_is_never_sent_whole(
    service: Service, alice: httpx.Client, lines: list[Line], version: str, place: int
) -> None:
    image = uploaded(alice, b"x" * (3 * MIB))
    with (service.directory / f"{image['id']}.data").open("r+b") as file:
        file.seek(place)
        file.write(b"y")
    with closing(connection(service)) as sock:
        sock.sendall(request("GET", f"/v1/images/{image['id']}" if version == "v1" else image["file"]))
        head, _, body = received(sock).partition(b"\r\n\r\n")
    assert f"content-length: {3 * MIB}".encode() in head.lower()
    assert len(body) == 3 * MIB - (1 << 18)
    damaged = [fields for level, text, fields in lines if (level, text) == ("ERROR", "image data is damaged")]
    assert [fields["image"] for fields in damaged] == [image["id"]]


def test_an_image_whose_data_is_gone_or_short_is_an_error_that_says_little(
    service: Service, alice: httpx.Client, lines: list[Line]
) -> None:
    image = uploaded(alice)
    (service.directory / f"{image['id']}.data").write_bytes(b"ab")
    answer = alice.get(image["file"])
    assert answer.status_code == 500
    assert str(service.directory) not in answer.text
    failed = [fields["error"] for level, text, fields in lines if (level, text) == ("ERROR", "request failed")]
    assert len(failed) == 1
    assert failed[0].endswith("it has 2 bytes, and 3 were stored")


def test_more_than_an_image_may_have_is_refused_at_once_or_when_it_comes(service: Service, alice: httpx.Client) -> None:
    image = created(alice)
    with closing(connection(service)) as sock:
        sock.sendall(request("PUT", image["file"], f"Content-Length: {(128 << 20) + 1}", "Expect: 100-continue"))
        assert received(sock).startswith(b"HTTP/1.1 413 ")

    def pieces() -> Iterator[bytes]:
        for _ in range(129):
            yield bytes(MIB)

    assert alice.put(image["file"], content=pieces()).status_code == 413
    assert alice.get(image["self"]).json()["status"] == "queued"
    assert bytes_files(service) == []


def test_transfers_wait_for_each_other(run_service: Callable[..., Service]) -> None:
    service = run_service(max_uploads=1)
    with service.client("alice-token") as alice, closing(connection(service)) as sock:
        first, second = created(alice), created(alice)
        sock.sendall(request("PUT", first["file"], "Content-Length: 3") + b"a")
        wait_until(lambda: alice.get(first["self"]).json()["status"] == "saving")
        with ThreadPoolExecutor(1) as pool, service.client("alice-token") as other:
            waiting = pool.submit(other.put, second["file"], content=b"abc")
            assert alice.get(second["self"]).json()["status"] == "queued"
            sock.sendall(b"bc")
            assert received(sock).startswith(b"HTTP/1.1 204 ")
            assert waiting.result(timeout=30).status_code == 204


def test_headers_without_end_cost_one_connection(service: Service, alice: httpx.Client) -> None:
    with closing(connection(service)) as sock:
        sock.sendall(request("GET", "/v1/images").removesuffix(b"\r\n"))
        with pytest.raises((ConnectionError, TimeoutError)):  # noqa: PT012 - whichever of both is told first
            for _ in range(10_000):
                sock.sendall(b"x-image-meta-property-a: " + b"x" * 1000 + b"\r\n")
            raise TimeoutError("it took ten megabytes")
    assert alice.get("/v1/images").status_code == 200
