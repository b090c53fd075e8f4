"""images and their metadata: the real image service, asked by nova-api with the token of whoever asks."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cloud.domain.image import Image, NewImage
from cloud.errors import ImageUnavailableError
from cloud.services.api.app import make_api
from cloud.services.api.caller_token import caller_token
from cloud.services.image.app import image_app
from cloud.services.image.client import ImageClient
from cloud.services.image.images import Images
from cloud.services.image.store import ImageStore, StoreLimits
from cloud.services.image.transfer import Transfers
from cloud.web.server import HttpServer, Listen
from tests.api.conftest import ADMIN, MEMBER, OTHER, PROJECT, Site, authenticate

UNKNOWN = "70a599e0-31e7-49b7-b260-868f441e862b"
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Shelf:
    """The image service, as one of the callers may fill it, and nova-api before it."""

    site: Site
    url: str

    def put(self, name: str = "cirros", *, token: str = MEMBER, data: bytes | None = b"abc", **more: Any) -> Image:
        """An image of that caller's project; without data it waits for them."""
        client = ImageClient(self.url, lambda: token)
        try:
            made = client.create(NewImage(name, "qcow2", "bare", **more))
            return made if data is None else client.upload(made.id, io.BytesIO(data))
        finally:
            client.close()


@pytest.fixture
def shelf(site: Site, tmp_path: Path) -> Iterator[Shelf]:
    store = ImageStore(tmp_path / "images", StoreLimits(MAX_BYTES, 100), lambda: datetime.now(UTC))
    images = Images(store, lambda: datetime.now(UTC))
    server = HttpServer(image_app(images, authenticate, Transfers(), MAX_BYTES), Listen("127.0.0.1", 0))
    server.start()
    client = ImageClient(server.url, caller_token)
    parts = replace(site.parts, images=client)
    try:
        yield Shelf(replace(site, parts=parts, app=make_api(parts, authenticate)), server.url)
    finally:
        client.close()
        server.stop()
        store.close()


def names(answer: Any) -> list[str]:
    return [image["name"] for image in answer["images"]]


@pytest.mark.parametrize(("version", "branch"), [(None, "v2"), ("2.1", "v2.1"), ("2.30", "v2.1")])
def test_image_is_shown_as_nova_words_it(shelf: Shelf, version: str | None, branch: str) -> None:
    image = shelf.put(min_disk_gb=1, min_ram_mb=64, properties={"architecture": "x86_64"})
    shown = shelf.site.get(f"/images/{image.id}", version)["image"]
    assert shown == {
        "id": image.id,
        "name": "cirros",
        "status": "ACTIVE",
        "progress": 100,
        "created": image.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "updated": image.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "minDisk": 1,
        "minRam": 64,
        "metadata": {"architecture": "x86_64"},
        "OS-EXT-IMG-SIZE:size": 3,
        "links": [
            {"href": f"http://api:8774/{branch}/{PROJECT}/images/{image.id}", "rel": "self"},
            {"href": f"http://api:8774/{PROJECT}/images/{image.id}", "rel": "bookmark"},
            {
                "href": f"http://127.0.0.1:9292/{PROJECT}/images/{image.id}",
                "rel": "alternate",
                "type": "application/vnd.openstack.image",
            },
        ],
    }
    assert shelf.site.get("/images/detail", version) == {"images": [shown]}
    brief = {key: shown[key] for key in ("id", "name", "links")}
    assert shelf.site.get("/images", version) == {"images": [brief]}


def test_image_without_its_data_is_being_saved(shelf: Shelf) -> None:
    image = shelf.put(data=None)
    shown = shelf.site.get(f"/images/{image.id}")["image"]
    assert (shown["status"], shown["progress"], shown["OS-EXT-IMG-SIZE:size"]) == ("SAVING", 25, 0)


def test_snapshot_names_the_server_it_was_taken_of(shelf: Shelf) -> None:
    image = shelf.put("snapshot", properties={"instance_uuid": UNKNOWN, "image_type": "snapshot"})
    shown = shelf.site.get(f"/images/{image.id}", "2.1")["image"]
    assert shown["server"] == {
        "id": UNKNOWN,
        "links": [
            {"href": f"http://api:8774/v2.1/{PROJECT}/servers/{UNKNOWN}", "rel": "self"},
            {"href": f"http://api:8774/{PROJECT}/servers/{UNKNOWN}", "rel": "bookmark"},
        ],
    }


def test_list_is_narrowed(shelf: Shelf) -> None:
    shelf.put("a")
    shelf.put("b", min_disk_gb=2, properties={"image_type": "snapshot", "instance_uuid": UNKNOWN})
    shelf.put("c", data=None)
    for query, expected in (
        ("", "abc"),
        ("name=b", "b"),
        ("name=d", ""),
        ("status=ACTIVE", "ab"),
        ("status=active", "ab"),
        ("status=SAVING", "c"),
        ("status=ERROR", ""),
        ("minDisk=2", "b"),
        ("minRam=0", "abc"),
        ("type=snapshot", "b"),
        (f"server={UNKNOWN}", "b"),
        (f"server=http://api/v2/p/servers/{UNKNOWN}", "b"),
        ("property-image_type=snapshot&status=ACTIVE", "b"),
        ("property-colour=red", ""),
        ("changes-since=2014-01-01T00:00:00Z", "abc"),
        ("changes-since=2999-01-01", ""),
        ("colour=red", "abc"),
    ):
        assert "".join(sorted(names(shelf.site.get(f"/images?{query}")))) == expected, query
        assert "".join(sorted(names(shelf.site.get(f"/images/detail?{query}")))) == expected, query


def test_pages_follow_each_other(shelf: Shelf) -> None:
    for name in ("a", "b", "c"):
        shelf.put(name)
    every = [image["id"] for image in shelf.site.get("/images")["images"]]
    first = shelf.site.get("/images/detail?limit=2", "2.1")
    assert [image["id"] for image in first["images"]] == every[:2]
    [link] = first["images_links"]
    assert link == {
        "href": f"http://api:8774/v2.1/{PROJECT}/images/detail?limit=2&marker={every[1]}",
        "rel": "next",
    }
    rest = shelf.site.get(f"/images?limit=2&marker={every[1]}")
    assert [image["id"] for image in rest["images"]] == every[2:]
    assert "images_links" not in rest


def test_query_that_makes_no_sense_is_400(shelf: Shelf) -> None:
    for query in ("limit=x", "limit=-1", "minRam=x", "minDisk=-1", "changes-since=x", f"marker={UNKNOWN}"):
        assert set(shelf.site.get(f"/images?{query}", status=400)) == {"badRequest"}


def test_private_images_are_their_projects_and_public_ones_everybodys(shelf: Shelf) -> None:
    private = shelf.put("private")
    public = shelf.put("public", token=ADMIN, is_public=True)
    assert sorted(names(shelf.site.get("/images"))) == ["private", "public"]
    assert names(shelf.site.get("/images", token=OTHER)) == ["public"]
    shelf.site.get(f"/images/{private.id}", token=OTHER, status=404)
    shelf.site.get(f"/images/{private.id}/metadata", token=OTHER, status=404)
    shelf.site.delete(f"/images/{private.id}", token=OTHER, status=404)
    shelf.site.post(f"/images/{private.id}/metadata", {"metadata": {"a": "b"}}, token=OTHER, status=404)
    shelf.site.delete(f"/images/{public.id}", token=OTHER, status=403)
    shelf.site.post(f"/images/{public.id}/metadata", {"metadata": {"a": "b"}}, token=OTHER, status=403)
    assert len(names(shelf.site.get("/images"))) == 2


def test_image_is_deleted(shelf: Shelf) -> None:
    image = shelf.put()
    shelf.site.delete(f"/images/{image.id}", status=204)
    shelf.site.get(f"/images/{image.id}", status=404)
    shelf.site.delete(f"/images/{image.id}", "2.1", status=404)


@pytest.mark.parametrize("image_id", [UNKNOWN, "cirros", "x" * 300, "%2e%2e", "..%2F..%2Fv2"])
def test_unknown_image_is_404(shelf: Shelf, image_id: str) -> None:
    for path in ("", "/metadata", "/metadata/a"):
        assert set(shelf.site.get(f"/images/{image_id}{path}", status=404)) <= {"itemNotFound", "detail"}
    shelf.site.delete(f"/images/{image_id}", status=404)


def test_metadata_is_read_added_replaced_and_deleted(shelf: Shelf) -> None:
    path = f"/images/{shelf.put(properties={'arch': 'x86_64'}).id}/metadata"
    site = shelf.site
    assert site.get(path) == {"metadata": {"arch": "x86_64"}}
    assert site.get(f"{path}/arch", "2.1") == {"meta": {"arch": "x86_64"}}
    added = {"metadata": {"arch": "x86_64", "os": "linux"}}
    assert site.post(path, {"metadata": {"os": "linux"}}, "2.1", status=200) == added
    assert site.put(f"{path}/os", {"meta": {"os": "bsd"}}, "2.1") == {"meta": {"os": "bsd"}}
    assert site.get(path) == {"metadata": {"arch": "x86_64", "os": "bsd"}}
    assert site.put(path, {"metadata": {"os": "hurd", "a.b:c-d e": "1"}}) == {
        "metadata": {"os": "hurd", "a.b:c-d e": "1"}
    }
    site.delete(f"{path}/os", status=204)
    assert site.get(path) == {"metadata": {"a.b:c-d e": "1"}}
    assert site.put(path, {"metadata": {}}) == {"metadata": {}}
    site.get(f"{path}/os", status=404)
    site.delete(f"{path}/os", status=404)


def test_metadata_that_cannot_be_is_400(shelf: Shelf) -> None:
    path = f"/images/{shelf.put().id}/metadata"
    items: list[object] = [
        None,
        [],
        "x",
        {"": "x"},
        {"a": None},
        {"a": 5},
        {"a/b": "x"},
        {"x" * 256: "x"},
        {"a": "x" * 256},
    ]
    bodies: list[object] = [{}, [], "x", *({"metadata": each} for each in items)]
    for body in bodies:
        for version in (None, "2.1"):
            shelf.site.post(path, body, version, status=400)
            shelf.site.put(path, body, version, status=400)
    assert shelf.site.get(path) == {"metadata": {}}


def test_item_whose_body_is_another_is_400(shelf: Shelf) -> None:
    path = f"/images/{shelf.put().id}/metadata/a"
    bodies: list[object] = [{}, {"meta": {}}, {"meta": {"b": "x"}}, {"meta": {"a": "x", "b": "y"}}, {"meta": "a"}]
    for body in bodies:
        shelf.site.put(path, body, "2.1", status=400)


def test_attributes_of_an_image_are_not_changed_as_if_they_were_metadata(shelf: Shelf) -> None:
    image = shelf.put()
    path = f"/images/{image.id}/metadata"
    for name in ("name", "visibility", "owner", "status", "min_disk", "protected", "tags", "id", "size"):
        shelf.site.post(path, {"metadata": {name: "public"}}, token=ADMIN, status=400)
        shelf.site.put(path, {"metadata": {name: "public"}}, token=ADMIN, status=400)
        shelf.site.put(f"{path}/{name}", {"meta": {name: "public"}}, token=ADMIN, status=400)
    shown = shelf.site.get(f"/images/{image.id}")["image"]
    assert (shown["name"], shown["minDisk"], shown["metadata"]) == ("cirros", 0, {})
    shelf.site.get(f"/images/{image.id}", token=OTHER, status=404)


@pytest.mark.parametrize(("version", "status"), [(None, 413), ("2.1", 403)])
def test_metadata_beyond_the_quota_is_refused(shelf: Shelf, version: str | None, status: int) -> None:
    path = f"/images/{shelf.put(properties={'arch': 'x86_64'}).id}/metadata"
    shelf.site.parts.quotas.set(PROJECT, {"metadata_items": 2})
    shelf.site.post(path, {"metadata": {"arch": "arm", "b": "1"}}, version, status=200)
    shelf.site.post(path, {"metadata": {"c": "1"}}, version, status=status)
    shelf.site.put(f"{path}/c", {"meta": {"c": "1"}}, version, status=status)
    shelf.site.put(path, {"metadata": {"a": "1", "b": "2", "c": "3"}}, version, status=status)
    shelf.site.put(path, {"metadata": {"c": "1", "d": "1"}}, version)


def test_image_service_that_is_away_is_503(site: Site) -> None:
    site.images.error = ImageUnavailableError("cannot ask the image service to GET /v2/images: it is away")
    for path in ("/images", "/images/detail", f"/images/{UNKNOWN}", f"/images/{UNKNOWN}/metadata"):
        assert set(site.get(path, status=503)) == {"serviceUnavailable"}
    site.delete(f"/images/{UNKNOWN}", status=503)


def test_the_image_service_is_asked_as_whoever_asks(site: Site) -> None:
    site.get("/images")
    site.get("/images", token=OTHER)
    assert site.images.tokens == [MEMBER, OTHER]
