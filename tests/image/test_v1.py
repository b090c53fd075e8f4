"""The Image API v1 over HTTP."""

from typing import Any

import httpx
import pytest

RAW = {"x-image-meta-disk_format": "raw", "x-image-meta-container_format": "bare"}


def created(client: httpx.Client, headers: dict[str, str], data: bytes = b"") -> dict[str, Any]:
    answer = client.post("/v1/images", headers=headers, content=data)
    assert answer.status_code == 201, answer.text
    image: dict[str, Any] = answer.json()["image"]
    return image


def test_an_image_is_made_in_one_request(alice: httpx.Client) -> None:
    headers = RAW | {"x-image-meta-name": "cirros", "x-image-meta-property-os": "linux", "x-image-meta-size": "3"}
    image = created(alice, headers, b"abc")
    times = image.pop("created_at"), image.pop("updated_at")
    assert image == {
        "id": image["id"],
        "name": "cirros",
        "owner": "project-a",
        "is_public": False,
        "protected": False,
        "status": "active",
        "size": 3,
        "virtual_size": None,
        "checksum": "900150983cd24fb0d6963f7d28e17f72",
        "disk_format": "raw",
        "container_format": "bare",
        "min_disk": 0,
        "min_ram": 0,
        "deleted": False,
        "deleted_at": None,
        "properties": {"os": "linux"},
    }
    head = alice.head(f"/v1/images/{image['id']}")
    assert head.status_code == 200
    got = alice.get(f"/v1/images/{image['id']}")
    assert got.content == b"abc"
    for answer in (head, got):
        meta = {name: value for name, value in answer.headers.items() if name.startswith("x-image-meta-")}
        assert meta == {
            "x-image-meta-id": image["id"],
            "x-image-meta-name": "cirros",
            "x-image-meta-owner": "project-a",
            "x-image-meta-is_public": "False",
            "x-image-meta-protected": "False",
            "x-image-meta-status": "active",
            "x-image-meta-size": "3",
            "x-image-meta-virtual_size": "",
            "x-image-meta-checksum": "900150983cd24fb0d6963f7d28e17f72",
            "x-image-meta-disk_format": "raw",
            "x-image-meta-container_format": "bare",
            "x-image-meta-min_disk": "0",
            "x-image-meta-min_ram": "0",
            "x-image-meta-deleted": "False",
            "x-image-meta-deleted_at": "",
            "x-image-meta-created_at": times[0],
            "x-image-meta-updated_at": times[1],
            "x-image-meta-property-os": "linux",
        }
    assert alice.delete(f"/v1/images/{image['id']}").status_code == 200
    assert alice.head(f"/v1/images/{image['id']}").status_code == 404


def test_an_image_is_registered_first_and_uploaded_later(alice: httpx.Client) -> None:
    image = created(alice, RAW | {"x-image-meta-property-a": "1"})
    assert (image["status"], image["size"]) == ("queued", 0)
    assert alice.get(f"/v1/images/{image['id']}").status_code == 404
    answer = alice.put(f"/v1/images/{image['id']}", content=b"abc", headers={"x-image-meta-property-b": "2"})
    assert (answer.status_code, answer.json()["image"]["status"]) == (200, "active")
    assert answer.json()["image"]["properties"] == {"a": "1", "b": "2"}
    again = alice.put(f"/v1/images/{image['id']}", content=b"abc", headers={"x-image-meta-name": "other"})
    assert again.status_code == 409
    assert alice.head(f"/v1/images/{image['id']}").headers["x-image-meta-name"] == ""


@pytest.mark.parametrize(
    ("headers", "properties"),
    [
        ({}, {"b": "2"}),
        ({"x-glance-registry-purge-props": "true"}, {"b": "2"}),
        ({"x-glance-registry-purge-props": "false"}, {"a": "1", "b": "2"}),
    ],
)
def test_properties_go_unless_they_are_to_stay(
    alice: httpx.Client, headers: dict[str, str], properties: dict[str, str]
) -> None:
    image = created(alice, RAW | {"x-image-meta-property-a": "1"})
    answer = alice.put(f"/v1/images/{image['id']}", headers=headers | {"x-image-meta-property-b": "2"})
    assert answer.json()["image"]["properties"] == properties


@pytest.mark.parametrize(
    "announced", [{"x-image-meta-size": "4"}, {"x-image-meta-checksum": "0" * 32}, {"x-image-meta-size": "2"}]
)
def test_data_that_is_not_as_announced_kills_the_image(alice: httpx.Client, announced: dict[str, str]) -> None:
    answer = alice.post("/v1/images", headers=RAW | announced | {"x-image-meta-name": "bad"}, content=b"abc")
    assert answer.status_code == 400
    image = alice.get("/v1/images/detail?name=bad").json()["images"][0]
    assert (image["status"], image["size"]) == ("killed", 0)
    assert alice.put(f"/v1/images/{image['id']}", content=b"abc").status_code == 409
    assert alice.delete(f"/v1/images/{image['id']}").status_code == 200


def test_headers_that_cannot_be_make_no_image(alice: httpx.Client) -> None:
    for headers in [
        {},
        {"x-image-meta-disk_format": "raw"},
        {"x-image-meta-disk_format": "raw", "x-image-meta-container_format": ""},
        RAW | {"x-image-meta-disk_format": "floppy"},
        RAW | {"x-image-meta-id": "../../x"},
        RAW | {"x-image-meta-nonesuch": "x"},
        RAW | {"x-image-meta-location": "file:///etc/shadow"},
        RAW | {"x-image-meta-name": "%0d%0aSet-Cookie:%20a"},
        RAW | {"x-image-meta-property-a": "%ff"},
        RAW | {"x-image-meta-property-a": "x" * 5000},
    ]:
        answer = alice.post("/v1/images", headers=headers, content=b"abc")
        assert answer.status_code == 400
        assert answer.json()["error"]["message"]
        assert alice.get("/v1/images").json() == {"images": []}


def test_many_properties_are_refused_before_they_break_a_client(alice: httpx.Client) -> None:
    headers = RAW | {f"x-image-meta-property-p{number}": "x" for number in range(65)}
    assert alice.post("/v1/images", headers=headers).status_code == 413


def test_a_name_that_is_no_header_is_one_all_the_same(alice: httpx.Client) -> None:
    document = {"a b:\xfc\u2028": " line\r\nSet-Cookie: x=y ", "name": "grün"}
    image = alice.post("/v2/images", json=document | {"disk_format": "raw", "container_format": "bare"}).json()
    head = alice.head(f"/v1/images/{image['id']}")
    assert head.status_code == 200
    raw = dict(head.headers.raw)
    assert raw[b"X-Image-Meta-name"] == "grün".encode()
    assert raw[b"X-Image-Meta-Property-a%20b%3A%C3%BC%E2%80%A8"] == b"%20line%0D%0ASet-Cookie: x=y%20"
    assert "set-cookie" not in head.headers


def test_lists_are_brief_or_in_detail(alice: httpx.Client) -> None:
    image = created(alice, RAW | {"x-image-meta-name": "cirros"}, b"abc")
    assert alice.get("/v1/images").json() == {
        "images": [
            {
                "id": image["id"],
                "name": "cirros",
                "container_format": "bare",
                "disk_format": "raw",
                "checksum": "900150983cd24fb0d6963f7d28e17f72",
                "size": 3,
            }
        ]
    }
    assert alice.get("/v1/images/detail").json() == {"images": [image]}
    assert alice.get("/v1/images?name=nonesuch").json() == {"images": []}


def test_lists_come_in_pages(alice: httpx.Client) -> None:
    made = [created(alice, RAW | {"x-image-meta-name": f"i{number}"})["id"] for number in range(3)]
    first = alice.get("/v1/images?limit=2&sort_key=name&sort_dir=asc").json()["images"]
    assert [image["id"] for image in first] == made[:2]
    second = alice.get(f"/v1/images?limit=2&sort_key=name&sort_dir=asc&marker={made[1]}").json()["images"]
    assert [image["id"] for image in second] == made[2:]


def test_lists_show_who_asks_what_is_public_and_their_own(
    alice: httpx.Client, bob: httpx.Client, admin: httpx.Client, unscoped: httpx.Client
) -> None:
    for client, name in ((alice, "a"), (bob, "b"), (admin, "admin")):
        created(client, RAW | {"x-image-meta-name": name})
    created(admin, RAW | {"x-image-meta-name": "public", "x-image-meta-is_public": "True"})

    def names(client: httpx.Client, query: str = "") -> set[str]:
        return {image["name"] for image in client.get(f"/v1/images/detail{query}").json()["images"]}

    assert names(alice) == {"a", "public"}
    assert names(alice, "?is_public=True") == {"a", "public"}
    assert names(alice, "?is_public=None") == {"a", "public"}
    assert names(alice, "?is_public=False") == {"a"}
    assert names(admin) == {"admin", "public"}
    assert names(admin, "?is_public=None") == {"a", "b", "admin", "public"}
    assert names(admin, "?is_public=False") == {"a", "b", "admin"}
    assert names(unscoped) == {"public"}
    assert alice.get("/v1/images?is_public=perhaps").status_code == 400


def test_other_projects_images_are_not_there(alice: httpx.Client, bob: httpx.Client) -> None:
    path = f"/v1/images/{created(alice, RAW, b'abc')['id']}"
    assert [bob.get(path).status_code, bob.head(path).status_code, bob.put(path).status_code] == [404, 404, 404]
    assert bob.delete(path).status_code == 404


def test_public_is_for_admins_to_say_and_protected_is_not_deleted(alice: httpx.Client, admin: httpx.Client) -> None:
    path = f"/v1/images/{created(alice, RAW)['id']}"
    assert alice.put(path, headers={"x-image-meta-is_public": "True"}).status_code == 403
    assert alice.put(path, headers={"x-image-meta-owner": "project-b"}).status_code == 403
    assert (
        admin.put(path, headers={"x-image-meta-is_public": "True", "x-image-meta-protected": "True"}).status_code == 200
    )
    assert alice.delete(path).status_code == 403


def test_an_image_keeps_its_id(alice: httpx.Client) -> None:
    path = f"/v1/images/{created(alice, RAW)['id']}"
    assert alice.put(path, headers={"x-image-meta-id": "70a599e0-31e7-49b7-b260-868f441e862b"}).status_code == 400
