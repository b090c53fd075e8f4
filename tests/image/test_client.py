"""ImageClient: against the real service, and against one that misbehaves."""

import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloud.domain.image import Image, NewImage
from cloud.errors import (
    BadRequestError,
    CloudError,
    ConflictError,
    ForbiddenError,
    ImageNotFoundError,
    ImageUnavailableError,
    QuotaError,
    UnauthorizedError,
)
from cloud.services.image import client as client_module
from cloud.services.image.client import ImageClient
from cloud.services.image.document import document_of, image_of
from tests.image.conftest import Service
from tests.image.sample import ID, image

NEW = NewImage("snapshot", "raw", "bare", min_disk_gb=1, min_ram_mb=64, properties={"instance_uuid": ID})


@pytest.fixture
def client_for() -> Iterator[Callable[..., ImageClient]]:
    made: list[ImageClient] = []

    def make(url: str, user: str = "alice", **options: Any) -> ImageClient:
        made.append(ImageClient(url, lambda: f"{user}-token", **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(service: Service, client_for: Callable[..., ImageClient]) -> ImageClient:
    return client_for(service.url)


def stored(client: ImageClient, data: bytes = b"abc") -> Image:
    return client.upload(client.create(NEW).id, io.BytesIO(data))


def test_an_image_goes_there_and_back(client: ImageClient, tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000
    queued = client.create(NEW)
    assert (queued.status, queued.owner, queued.is_public) == ("queued", "project-a", False)
    assert (queued.min_disk_gb, queued.min_ram_mb, queued.properties) == (1, 64, {"instance_uuid": ID})
    active = client.upload(queued.id, io.BytesIO(data))
    assert (active.status, active.size) == ("active", 5_120_000)
    assert client.show(queued.id) == active
    path = tmp_path / "disk"
    assert client.download(queued.id, path) == active
    assert path.read_bytes() == data
    assert [child.name for child in tmp_path.iterdir() if child.is_file()] == ["disk"]
    client.delete(queued.id)
    with pytest.raises(ImageNotFoundError):
        client.show(queued.id)


def test_an_image_reads_as_it_was_written() -> None:
    sample = image(status="active", size=3, checksum="ab", sha256="cd", tags=("a",), is_public=True, is_protected=True)
    assert image_of(document_of(sample)) == sample


def test_a_list_has_every_page(client: ImageClient, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [client.create(NewImage(f"i{number}", "raw", "bare")).id for number in range(5)]
    monkeypatch.setattr(client_module, "PAGE", 2)
    assert [found.id for found in client.list()] == made[::-1]
    assert [found.id for found in client.list(name="i3")] == [made[3]]
    assert client.list(name="nonesuch") == []


def test_what_is_no_image_is_not_found_and_leads_nowhere_else(client: ImageClient, tmp_path: Path) -> None:
    for image_id in ("", ".", "..", "../images", "cirros", f"{ID}/file", f"{ID}\n", f"{ID}?x", "x" * 9999, ID):
        with pytest.raises(ImageNotFoundError):
            client.show(image_id)
        with pytest.raises(ImageNotFoundError):
            client.delete(image_id)
        with pytest.raises(ImageNotFoundError):
            client.download(image_id, tmp_path / "disk")
        with pytest.raises(ImageNotFoundError):
            client.upload(image_id, io.BytesIO(b"abc"))


def test_other_projects_images_are_not_found(
    client: ImageClient, service: Service, client_for: Callable[..., ImageClient]
) -> None:
    with pytest.raises(ImageNotFoundError):
        client_for(service.url, "bob").show(stored(client).id)


def test_each_refusal_is_an_error_of_its_own(
    client: ImageClient, service: Service, client_for: Callable[..., ImageClient], tmp_path: Path
) -> None:
    queued = client.create(NEW)
    with pytest.raises(ConflictError, match="it is queued, not active"):
        client.download(queued.id, tmp_path / "disk")
    with pytest.raises(ForbiddenError, match="image:images:publicize"):
        client.create(NewImage("x", "raw", "bare", is_public=True))
    with pytest.raises(BadRequestError, match="invalid value for disk_format"):
        client.create(NewImage("x", "floppy", "bare"))
    with pytest.raises(QuotaError, match="more than 64 properties"):
        client.create(NewImage("x", "raw", "bare", properties={f"p{number}": "" for number in range(65)}))
    with pytest.raises(UnauthorizedError, match="the token is not, or no longer, good"):
        client_for(service.url, "nonesuch").list()
    client.upload(queued.id, io.BytesIO(b"abc"))
    with pytest.raises(ConflictError, match="it is active, not queued"):
        client.upload(queued.id, io.BytesIO(b"abc"))


def test_a_damaged_image_does_not_become_a_file(client: ImageClient, service: Service, tmp_path: Path) -> None:
    made = stored(client)
    (service.directory / f"{made.id}.data").write_bytes(b"abd")
    (tmp_path / "here").mkdir()
    with pytest.raises(ImageUnavailableError):
        client.download(made.id, tmp_path / "here" / "disk")
    assert list((tmp_path / "here").iterdir()) == []


def test_a_file_that_cannot_be_written_is_an_error_of_the_disk(client: ImageClient, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        client.download(stored(client).id, tmp_path / "nonesuch" / "disk")


def test_a_transfer_that_takes_too_long_is_given_up(
    service: Service, client: ImageClient, client_for: Callable[..., ImageClient], tmp_path: Path
) -> None:
    hasty = client_for(service.url, transfer_timeout_s=-1)
    with pytest.raises(ImageUnavailableError, match="it takes too long"):
        hasty.download(stored(client).id, tmp_path / "disk")
    with pytest.raises(ImageUnavailableError, match="it takes too long"):
        hasty.upload(client.create(NEW).id, io.BytesIO(b"abc"))
    assert not (tmp_path / "disk").exists()


def test_a_service_that_is_away_is_unavailable(client_for: Callable[..., ImageClient]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    with pytest.raises(ImageUnavailableError, match=f"cannot ask the image service to GET /v2/images/{ID}"):
        client_for(f"http://127.0.0.1:{port}").show(ID)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", ImageUnavailableError),
        (b"nonsense\r\n\r\n", ImageUnavailableError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", ImageUnavailableError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{", ImageUnavailableError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", ImageUnavailableError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", ImageUnavailableError),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", ImageUnavailableError),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n{}", ImageUnavailableError),
        (b"HTTP/1.1 503 Oh\r\nContent-Length: 4\r\n\r\nnull", ImageUnavailableError),
        (b"HTTP/1.1 404 Oh\r\nContent-Length: 5\r\n\r\nhello", ImageNotFoundError),
        (b'HTTP/1.1 413 Oh\r\nContent-Length: 13\r\n\r\n{"error": ""}', QuotaError),
    ],
)
def test_whatever_a_service_answers_is_an_error_that_is_known(
    client_for: Callable[..., ImageClient], answer: bytes, error: type[CloudError]
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            with closing(server.accept()[0]) as sock:
                sock.recv(65536)
                sock.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(error):
            client_for(f"http://127.0.0.1:{server.getsockname()[1]}").show(ID)
        thread.join()


def test_a_service_that_says_nothing_is_given_up(
    client_for: Callable[..., ImageClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "TIMEOUT", httpx.Timeout(0.2))
    with closing(socket.create_server(("127.0.0.1", 0))) as server, pytest.raises(ImageUnavailableError):
        client_for(f"http://127.0.0.1:{server.getsockname()[1]}").show(ID)


def test_properties_are_changed_beside_others_and_removed(client: ImageClient) -> None:
    made = client.create(NEW)
    changed = client.change_properties(made.id, set_to={"a/b~c": "1", "os": "linux"})
    assert changed.properties == {"instance_uuid": ID, "a/b~c": "1", "os": "linux"}
    changed = client.change_properties(made.id, set_to={"os": "bsd"}, removed=("a/b~c", "instance_uuid"))
    assert changed.properties == client.show(made.id).properties == {"os": "bsd"}
    with pytest.raises(ConflictError):
        client.change_properties(made.id, set_to={}, removed=("nothing",))


@pytest.mark.parametrize("name", ["name", "visibility", "owner", "protected", "tags"])
def test_attributes_are_not_changed_as_if_they_were_properties(client: ImageClient, name: str) -> None:
    made = client.create(NEW)
    with pytest.raises(
        BadRequestError, match=rf"^cannot change property {name} of image {made.id}: no property is called so$"
    ):
        client.change_properties(made.id, set_to={name: "public"})
    assert client.show(made.id) == made
