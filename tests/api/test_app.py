"""The frame: which paths there are, whose they are, and in what shape errors come."""

import pytest

from tests.api.conftest import ADMIN, MEMBER, NOBODY, OTHER, OTHER_PROJECT, PROJECT, Site

UNKNOWN = "11111111-2222-3333-4444-555555555555"


def test_root_lists_both_versions_to_anybody(site: Site) -> None:
    answer = site.ask("GET", "/", headers={"X-Auth-Token": ""})
    assert answer.status_code == 200
    assert [(v["id"], v["status"], v["version"], v["min_version"]) for v in answer.json()["versions"]] == [
        ("v2.0", "SUPPORTED", "", ""),
        ("v2.1", "CURRENT", "2.30", "2.1"),
    ]
    assert answer.json()["versions"][1]["links"] == [{"rel": "self", "href": "http://api:8774/v2.1/"}]


@pytest.mark.parametrize("path", ["/v2.1", "/v2.1/"])
def test_v2_1_says_which_microversions_it_has(site: Site, path: str) -> None:
    version = site.ask("GET", path, headers={"X-Auth-Token": ""}).json()["version"]
    assert (version["id"], version["version"], version["min_version"]) == ("v2.1", "2.30", "2.1")
    assert version["media-types"] == [
        {"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}
    ]


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v1.1/"])
def test_v2_and_v1_1_have_no_microversions(site: Site, path: str) -> None:
    version = site.ask("GET", path, headers={"X-Auth-Token": ""}).json()["version"]
    assert (version["id"], version["version"], version["min_version"]) == ("v2.0", "", "")


@pytest.mark.parametrize("branch", ["v2", "v1.1", "v2.1"])
def test_every_branch_serves_the_same_resources_under_its_own_links(site: Site, branch: str) -> None:
    instance = site.boot()
    server = site.ask("GET", f"/{branch}/{{T}}/servers/{instance.uuid}").json()["server"]
    assert server["links"] == [
        {"href": f"http://api:8774/{branch}/{PROJECT}/servers/{instance.uuid}", "rel": "self"},
        {"href": f"http://api:8774/{PROJECT}/servers/{instance.uuid}", "rel": "bookmark"},
    ]


@pytest.mark.parametrize("token", [MEMBER, ADMIN])
def test_another_projects_address_is_refused_to_admins_too(site: Site, token: str) -> None:
    answer = site.ask("GET", f"/v2/{OTHER_PROJECT}/servers", token=token)
    assert answer.status_code == 400
    assert answer.json()["badRequest"]["code"] == 400


@pytest.mark.parametrize("token", ["expired", ""])
def test_whoever_is_not_known_gets_401_in_novas_shape(site: Site, token: str) -> None:
    answer = site.ask("GET", f"/v2/{PROJECT}/servers", headers={"X-Auth-Token": token})
    assert answer.status_code == 401
    assert answer.json()["unauthorized"]["code"] == 401
    assert answer.headers["www-authenticate"] == "Keystone uri='http://127.0.0.1:5000'"


def test_a_user_without_a_role_in_the_project_may_nothing(site: Site) -> None:
    assert site.get("/servers", token=NOBODY, status=403)["forbidden"]["code"] == 403


def test_both_names_of_the_request_id_are_sent_and_agree(site: Site) -> None:
    answer = site.ask("GET", "/v2/{T}/servers")
    assert answer.headers["x-compute-request-id"].startswith("req-")
    assert answer.headers["x-compute-request-id"] == answer.headers["x-openstack-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v3/{T}/servers", 404, "itemNotFound"),
        ("GET", "/servers", 404, "itemNotFound"),
        ("GET", "/v2/{T}/nothing", 404, "itemNotFound"),
        ("GET", "/v2/{T}", 404, "itemNotFound"),
        ("GET", "/v2.1/{T}/v2.1", 404, "itemNotFound"),
        ("GET", f"/v2/{{T}}/servers/{UNKNOWN}", 404, "itemNotFound"),
        ("GET", "/v2/{T}/servers/vm1", 404, "itemNotFound"),
        ("PATCH", "/v2/{T}/servers", 405, "badMethod"),
        ("GET", "/v2/{T}/servers?name=%00", 400, "badRequest"),
        ("GET", "/v2/{T}/servers/%00", 400, "badRequest"),
    ],
)
def test_errors_come_in_novas_shape(site: Site, method: str, path: str, status: int, kind: str) -> None:
    answer = site.ask(method, path)
    assert answer.status_code == status
    assert list(answer.json()) == [kind]
    assert answer.json()[kind]["code"] == status
    assert answer.json()[kind]["message"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"server": null}',
        b'{"server": []}',
        b'{"server": {}}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"server": {"name": "\\u0000", "imageRef": "", "flavorRef": "1"}}',
        b'{"server": {"name": "\\ud800", "imageRef": "", "flavorRef": "1"}}',
        b'{"server": {"name": 1' + b"0" * 5000 + b"}}",
        b'{"server": {"name": NaN}}',
    ],
)
@pytest.mark.parametrize("branch", ["v2", "v2.1"])
def test_a_body_that_is_none_is_400_and_nothing_is_made(site: Site, branch: str, content: bytes) -> None:
    answer = site.ask("POST", f"/{branch}/{{T}}/servers", content=content)
    assert answer.status_code == 400, answer.text
    assert answer.json()["badRequest"]["code"] == 400
    assert site.get("/servers", token=ADMIN) == {"servers": []}


def test_a_body_of_ten_megabytes_is_413(site: Site) -> None:
    answer = site.ask("POST", "/v2/{T}/servers", content=b" " * (10 << 20))
    assert answer.status_code == 413
    assert answer.json()["overLimit"]["code"] == 413


def test_an_answer_to_a_bad_body_quotes_nothing_of_it(site: Site) -> None:
    server = {"name": "vm1", "flavorRef": "1", "imageRef": "not-a-uuid", "adminPass": ["hunter2"]}
    answer = site.ask("POST", "/v2/{T}/servers", {"server": server})
    assert answer.status_code == 400
    assert "hunter2" not in answer.text


def test_the_openapi_document_has_every_path_and_its_bodies(site: Site) -> None:
    document = site.ask("GET", "/v2.1/{T}/openapi.json").json()
    create = document["paths"]["/servers"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert create == {"$ref": "#/components/schemas/CreateServer"}
    new_server = document["components"]["schemas"]["NewServer"]
    assert {"name", "flavorRef"} == set(new_server["required"])


def test_a_project_without_servers_sees_none_of_anothers(site: Site) -> None:
    site.boot()
    assert site.get("/servers/detail", token=OTHER) == {"servers": []}
