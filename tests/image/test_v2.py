"""The Image API v2 over HTTP."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.image.conftest import Line, Service
from tests.waiting import wait_until

V21 = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
V20 = {"Content-Type": "application/openstack-images-v2.0-json-patch; charset=utf-8"}
DATA = {"Content-Type": "application/octet-stream"}
NO_BODIES = (
    *(b"", b"{", b"[]", b"null", b"7", b'"x"', b"\xff", b'{"name": NaN}', b'{"name": "\\ud800"}', b'{"a": "\\u0000"}'),
    *(b'{"id": "../../x"}', b'{"disk_format": "floppy"}', b'{"min_ram": 1e400}', b'{"a": {}}', b'{"tags": [{}]}'),
    *(b"[" * 100_000, b'{"a":' * 100_000, b'{"min_disk": ' + b"9" * 10_000 + b"}"),
)
NOWHERE = (
    *("/v2/images/..%2f..%2fetc%2fpasswd", "/v2/images/%2e%2e", "/v2/images/%00", "/v2/images/x%0d%0ay"),
    *("/v2/images/%ff", "/v2/images/lock", "/v2/images/lock/file", "/v2/images/" + "a" * 5000, "/v2/images/"),
    *("/v2/images/70a599e0-31e7-49b7-b260-868f441e862b", "/v2/images/70a599e0-31e7-49b7-b260-868f441e862b/file"),
    *(
        "/v2/images/70a599e0-31e7-49b7-b260-868f441e862b.json",
        "/v2/schemas/nonesuch",
        "/v2/nonesuch",
        "/v3",
        "//v2/images",
    ),
)


def created(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = client.post(
        "/v2/images", json={"name": "cirros", "disk_format": "raw", "container_format": "bare"} | fields
    )
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def uploaded(client: httpx.Client, data: bytes = b"abc", **fields: Any) -> dict[str, Any]:
    image = created(client, **fields)
    assert client.put(image["file"], content=data, headers=DATA).status_code == 204
    document: dict[str, Any] = client.get(image["self"]).json()
    return document


def message(answer: httpx.Response) -> str:
    text: str = answer.json()["error"]["message"]
    return text


def test_an_image_is_created_uploaded_downloaded_and_deleted(alice: httpx.Client, lines: list[Line]) -> None:
    image = created(alice, tags=["a"], os="linux", min_ram=64)
    assert image["status"] == "queued"
    assert alice.get(image["file"]).status_code == 204
    data = bytes(range(256)) * 20_000
    assert alice.put(image["file"], content=data, headers=DATA).status_code == 204
    shown = alice.get(image["self"]).json()
    assert shown.pop("updated_at") >= image.pop("updated_at")
    assert shown == image | {
        "status": "active",
        "size": 5_120_000,
        "checksum": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "os_hash_algo": "sha256",
        "os_hash_value": hashlib.sha256(data).hexdigest(),
    }
    got = alice.get(image["file"])
    assert got.content == data
    assert got.headers["content-md5"] == shown["checksum"]
    assert got.headers["content-length"] == "5120000"
    assert got.headers["content-type"] == "application/octet-stream"
    assert alice.delete(image["self"]).status_code == 204
    assert alice.get(image["self"]).status_code == 404
    said = [(line[1], line[2]) for line in lines if line[0] == "INFO" and line[1].startswith("image ")]
    assert [text for text, _ in said] == ["image created", "image uploaded", "image deleted"]
    assert {fields["image"] for _, fields in said} == {image["id"]}
    assert (said[1][1]["size"], said[1][1]["checksum"]) == (5_120_000, shown["checksum"])
    assert said[1][1]["elapsed_s"] > 0


def test_a_document_has_what_clients_expect(alice: httpx.Client) -> None:
    answer = alice.post(
        "/v2/images", json={"id": "70A599E0-31e7-49b7-b260-868f441e862b", "name": "cirros", "os": "linux"}
    )
    document = answer.json()
    assert document.pop("created_at") == document.pop("updated_at")
    assert document == {
        "id": "70a599e0-31e7-49b7-b260-868f441e862b",
        "name": "cirros",
        "owner": "project-a",
        "visibility": "private",
        "status": "queued",
        "size": None,
        "virtual_size": None,
        "checksum": None,
        "disk_format": None,
        "container_format": None,
        "min_disk": 0,
        "min_ram": 0,
        "protected": False,
        "tags": [],
        "self": "/v2/images/70a599e0-31e7-49b7-b260-868f441e862b",
        "file": "/v2/images/70a599e0-31e7-49b7-b260-868f441e862b/file",
        "schema": "/v2/schemas/image",
        "os": "linux",
    }
    assert answer.headers["location"] == "/v2/images/70a599e0-31e7-49b7-b260-868f441e862b"


def test_an_id_is_taken_once(alice: httpx.Client, bob: httpx.Client) -> None:
    image = created(alice)
    assert bob.post("/v2/images", json={"id": image["id"]}).status_code == 409


def test_images_are_listed_in_pages_that_link_to_the_next(alice: httpx.Client) -> None:
    made = [created(alice, name=f"image {number}")["id"] for number in range(5)]
    path, pages = "/v2/images?limit=2&sort=name:asc", []
    while path:
        body = alice.get(path).json()
        assert body["first"] == "/v2/images?limit=2&sort=name%3Aasc"
        assert body["schema"] == "/v2/schemas/images"
        pages.append([image["id"] for image in body["images"]])
        path = body.get("next")
    assert pages == [made[:2], made[2:4], made[4:]]


def test_openstackclient_finds_an_image_by_id_and_by_name(alice: httpx.Client) -> None:
    image = created(alice)
    assert alice.get("/v2/images/cirros").status_code == 404
    assert [found["id"] for found in alice.get("/v2/images?name=cirros").json()["images"]] == [image["id"]]
    assert [found["id"] for found in alice.get(f"/v2/images?id=in:{image['id']}").json()["images"]] == [image["id"]]
    assert alice.get("/v2/images?os_hidden=True").json()["images"] == []


def test_private_images_are_their_project_s_and_the_admins(
    alice: httpx.Client, bob: httpx.Client, admin: httpx.Client, unscoped: httpx.Client
) -> None:
    image = uploaded(alice)
    for method, path in (
        ("GET", image["self"]),
        ("GET", image["file"]),
        ("PATCH", image["self"]),
        ("PUT", image["file"]),
        ("PUT", f"{image['self']}/tags/x"),
        ("DELETE", f"{image['self']}/tags/x"),
        ("DELETE", image["self"]),
    ):
        answer = bob.request(method, path, content=b"[]", headers=V21)
        assert (answer.status_code, message(answer)) == (404, f"cannot find image {image['id']}: there is none")
    assert bob.get("/v2/images").json()["images"] == []
    assert unscoped.get(image["self"]).status_code == 404
    assert [found["id"] for found in admin.get("/v2/images").json()["images"]] == [image["id"]]
    assert admin.delete(image["self"]).status_code == 204


def test_public_images_are_for_all_to_read_and_for_admins_to_make(
    alice: httpx.Client, bob: httpx.Client, admin: httpx.Client, unscoped: httpx.Client
) -> None:
    refused = alice.post("/v2/images", json={"visibility": "public"})
    assert (refused.status_code, message(refused)) == (
        403,
        "policy does not allow image:images:publicize to be performed",
    )
    image = uploaded(alice)
    publicize = json.dumps([{"op": "replace", "path": "/visibility", "value": "public"}])
    assert alice.patch(image["self"], content=publicize, headers=V21).status_code == 403
    assert admin.patch(image["self"], content=publicize, headers=V21).json()["visibility"] == "public"
    assert alice.patch(image["self"], content=publicize, headers=V21).status_code == 200
    for client in (bob, unscoped):
        assert client.get(image["file"]).content == b"abc"
        assert [found["id"] for found in client.get("/v2/images").json()["images"]] == [image["id"]]
        assert client.delete(image["self"]).status_code == 403
        assert client.patch(image["self"], content=b"[]", headers=V21).status_code == 403
        assert client.put(image["file"], content=b"x").status_code == 403
        assert client.put(f"{image['self']}/tags/x").status_code == 403


def test_who_has_no_project_creates_nothing(unscoped: httpx.Client) -> None:
    assert unscoped.post("/v2/images", json={}).status_code == 403


def test_admins_alone_give_images_to_others(alice: httpx.Client, bob: httpx.Client, admin: httpx.Client) -> None:
    assert alice.post("/v2/images", json={"owner": "project-b"}).status_code == 403
    assert alice.post("/v2/images", json={"owner": None}).status_code == 403
    image = created(alice, owner="project-a")
    give = json.dumps([{"op": "replace", "path": "/owner", "value": "project-b"}])
    assert alice.patch(image["self"], content=give, headers=V21).status_code == 403
    assert admin.patch(image["self"], content=give, headers=V21).status_code == 200
    assert alice.get(image["self"]).status_code == 404
    assert bob.get(image["self"]).json()["owner"] == "project-b"


def test_a_protected_image_is_deleted_by_nobody(alice: httpx.Client, admin: httpx.Client) -> None:
    image = created(alice, protected=True)
    answer = admin.delete(image["self"])
    assert (answer.status_code, message(answer)) == (403, f"cannot delete image {image['id']}: it is protected")
    unprotect = json.dumps([{"op": "replace", "path": "/protected", "value": False}])
    assert alice.patch(image["self"], content=unprotect, headers=V21).status_code == 200
    assert alice.delete(image["self"]).status_code == 204


@pytest.mark.parametrize(
    ("headers", "patch"),
    [
        (V21, [{"op": "replace", "path": "/name", "value": "new"}, {"op": "add", "path": "/a", "value": "b"}]),
        (V20, [{"replace": "/name", "value": "new"}, {"add": "/a", "value": "b"}]),
    ],
)
def test_patches_of_both_kinds_change_an_image(alice: httpx.Client, headers: dict[str, str], patch: Any) -> None:
    image = created(alice, os="linux")
    changed = alice.patch(image["self"], content=json.dumps(patch), headers=headers).json()
    assert changed.pop("updated_at") >= image.pop("updated_at")
    assert changed == image | {"name": "new", "a": "b"}
    assert alice.get(image["self"]).json()["a"] == "b"


def test_a_patch_changes_all_or_nothing(alice: httpx.Client) -> None:
    image = created(alice)
    patch = [{"op": "replace", "path": "/name", "value": "new"}, {"op": "remove", "path": "/nonesuch"}]
    assert alice.patch(image["self"], content=json.dumps(patch), headers=V21).status_code == 409
    assert alice.get(image["self"]).json() == image


def test_a_body_of_another_kind_is_no_patch(alice: httpx.Client) -> None:
    image = created(alice)
    answer = alice.patch(image["self"], json=[])
    assert answer.status_code == 415
    assert "application/openstack-images-v2.1-json-patch" in message(answer)


def test_formats_stay_where_there_is_data(alice: httpx.Client) -> None:
    image = uploaded(alice)
    patch = json.dumps([{"op": "replace", "path": "/disk_format", "value": None}])
    assert alice.patch(image["self"], content=patch, headers=V21).status_code == 400


def test_tags_come_and_go(alice: httpx.Client) -> None:
    image = created(alice, tags=["a"])
    assert alice.put(f"{image['self']}/tags/b%20c").status_code == 204
    assert alice.put(f"{image['self']}/tags/b%20c").status_code == 204
    assert alice.get(image["self"]).json()["tags"] == ["a", "b c"]
    assert alice.delete(f"{image['self']}/tags/a").status_code == 204
    assert alice.delete(f"{image['self']}/tags/a").status_code == 404
    assert alice.get(image["self"]).json()["tags"] == ["b c"]


def test_data_comes_once(alice: httpx.Client) -> None:
    image = uploaded(alice)
    answer = alice.put(image["file"], content=b"other")
    assert (answer.status_code, message(answer)) == (
        409,
        f"cannot upload image {image['id']}: it is active, not queued",
    )
    assert alice.get(image["file"]).content == b"abc"


def test_data_wants_formats(alice: httpx.Client) -> None:
    image = alice.post("/v2/images", json={}).json()
    assert alice.put(image["file"], content=b"abc").status_code == 400


@pytest.mark.parametrize(("size", "status"), [("3", 204), ("4", 400), ("-1", 400), ("x", 400), ("9" * 5000, 400)])
def test_an_announced_size_must_be_the_size(alice: httpx.Client, size: str, status: int) -> None:
    image = created(alice)
    answer = alice.put(image["file"], content=b"abc", headers={"x-openstack-image-size": size})
    assert answer.status_code == status
    assert alice.get(image["self"]).json()["status"] == ("active" if status == 204 else "queued")
    assert alice.put(image["file"], content=b"abc").status_code == (409 if status == 204 else 204)


def test_there_are_so_many_images(run_service: Callable[..., Service]) -> None:
    service = run_service(max_images=1)
    with service.client("alice-token") as alice:
        created(alice)
        assert alice.post("/v2/images", json={}).status_code == 413


def test_schemas_describe_what_is_shown(alice: httpx.Client) -> None:
    schema = alice.get("/v2/schemas/image").json()
    assert schema["name"] == "image"
    assert set(uploaded(alice)) == set(schema["properties"])
    assert schema["properties"]["disk_format"]["enum"][:3] == [None, "ami", "ari"]
    assert schema["additionalProperties"] == {"type": "string"}
    images = alice.get("/v2/schemas/images").json()
    assert images["properties"]["images"]["items"] == schema


def test_bodies_that_cannot_be_are_bad_requests(alice: httpx.Client) -> None:
    for body in NO_BODIES:
        answer = alice.post("/v2/images", content=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, 400), body
        assert answer.json()["error"]["title"] == "Bad Request"
        assert message(answer)


def test_a_body_of_megabytes_is_too_large(alice: httpx.Client) -> None:
    assert alice.post("/v2/images", content=b" " * (10 << 20)).status_code == 413


def test_what_is_not_there_is_not_found(alice: httpx.Client) -> None:
    for path in NOWHERE:
        answer = alice.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, 404), path


def test_a_method_that_there_is_not(alice: httpx.Client) -> None:
    answer = alice.put("/v2/images")
    assert (answer.status_code, answer.json()["error"]["title"]) == (405, "Method Not Allowed")


def test_queries_that_cannot_be_are_bad_requests(alice: httpx.Client) -> None:
    for query in ["limit=x", "marker=nonesuch", "sort_key=x", "visibility=x", "created_at=x", "a=b&" * 101]:
        assert alice.get(f"/v2/images?{query}").status_code == 400


def test_queries_that_match_nothing_are_answered(alice: httpx.Client) -> None:
    for query in ["%ff=%ff", "name=%00", "=", "&&", "a=%ed%a0%80", "limit=0"]:
        created(alice)
        answer = alice.get(f"/v2/images?{query}")
        assert answer.status_code == 200
        assert "next" not in answer.json()


@pytest.mark.parametrize("token", [None, "", "nonesuch", "x" * 5000])
def test_nobody_comes_in_without_a_token(service: Service, token: str | None) -> None:
    with service.client(token) as client:
        for answer in (client.get("/v2/images"), client.get("/v1/images"), client.get("/v2/schemas/image")):
            assert answer.status_code == 401
            assert answer.json()["error"]["title"] == "Unauthorized"
        assert client.put("/v2/images/x/file", content=b"x" * (8 << 20)).status_code == 401


def test_versions_are_for_anybody(service: Service) -> None:
    for path in ["/", "/versions", "/v1", "/v1/", "/v2", "/v2/"]:
        with service.client(None) as client:
            answer = client.get(path)
        assert answer.status_code == 300
        versions = answer.json()["versions"]
        assert [(version["id"], version["status"]) for version in versions] == [
            ("v2.2", "CURRENT"),
            ("v2.1", "SUPPORTED"),
            ("v2.0", "SUPPORTED"),
            ("v1.1", "SUPPORTED"),
            ("v1.0", "SUPPORTED"),
        ]
        assert versions[0]["links"] == [{"rel": "self", "href": f"{service.url}/v2/"}]


def test_every_answer_has_its_request_s_id_and_one_line(alice: httpx.Client, lines: list[Line]) -> None:
    answer = alice.get("/v2/images/nonesuch")
    assert answer.headers["x-openstack-request-id"].startswith("req-")
    wait_until(lambda: [text for _, text, _ in lines if text == "request answered"], what="the request's line")
    said = [fields for _, text, fields in lines if text == "request answered"]
    assert [(fields["path"], fields["status"], fields["user"]) for fields in said] == [
        ("/v2/images/nonesuch", 404, "alice")
    ]
