"""v2.0: signing in, and what a token may look at."""

from datetime import UTC, datetime

import pytest

from tests.db.conftest import Clock
from tests.identity.site import Site

HOUR_S = 3600
CLOSED = {"error": {"code": 401, "title": "Unauthorized", "message": "the user or the password is wrong"}}


@pytest.fixture
def site(local_site: Site) -> Site:
    """What depends on the database, test_revocation and the tests of the tables have on both."""
    return local_site


def test_sign_in_for_a_project_answers_as_keystone_does(site: Site) -> None:
    answer = site.sign_in("alice", "red")
    assert answer.status_code == 200
    access = answer.json()["access"]
    token = access["token"]
    assert token.pop("id").startswith("gAAAAA")
    assert len(token.pop("audit_ids")) == 1
    red = site.project("red")
    assert token == {
        "issued_at": "2014-10-16T12:00:00.000000Z",
        "expires": "2014-10-16T13:00:00Z",
        "tenant": {"id": red.id, "name": "red", "description": "the red one", "enabled": True},
    }
    assert access["user"] == {
        "id": site.users["alice"].id,
        "name": "alice",
        "username": "alice",
        "roles": [{"name": "member"}],
        "roles_links": [],
    }
    assert access["metadata"] == {"is_admin": 0, "roles": [site.role("member").id]}
    catalog = {service["type"]: service for service in access["serviceCatalog"]}
    assert list(catalog) == ["compute", "image", "identity"]  # there is no URL for volumes
    compute = catalog["compute"]["endpoints"][0]
    assert catalog["compute"]["name"] == "nova"
    url = f"http://cloud:8774/v2/{red.id}"
    assert (compute["region"], compute["publicURL"], compute["internalURL"], compute["adminURL"]) == (
        "RegionOne",
        url,
        url,
        url,
    )
    assert catalog["identity"]["endpoints"][0]["publicURL"] == "http://cloud:5000/v2.0"


def test_tenant_may_be_named_by_id_and_user_by_id(site: Site) -> None:
    alice, red = site.users["alice"], site.project("red")
    auth = {"passwordCredentials": {"userId": alice.id, "password": "alice-pw"}, "tenantId": red.id}
    answer = site.http.post("/v2.0/tokens", json={"auth": auth})
    assert answer.status_code == 200
    assert answer.json()["access"]["token"]["tenant"]["name"] == "red"


@pytest.mark.parametrize("tenant", [{}, {"tenantName": ""}, {"tenantName": None, "tenantId": None}])
def test_without_a_tenant_the_token_is_for_none(site: Site, tenant: dict[str, object]) -> None:
    auth = {"passwordCredentials": {"username": "alice", "password": "alice-pw"}, **tenant}
    access = site.http.post("/v2.0/tokens", json={"auth": auth}).json()["access"]
    assert "tenant" not in access["token"]
    assert (access["serviceCatalog"], access["user"]["roles"]) == ([], [])


def test_wrong_passwords_and_unknown_users_get_the_same_answer(site: Site) -> None:
    site.user("carol", "red", is_enabled=False)
    for answer in (
        site.sign_in("alice", "red", "wrong"),
        site.sign_in("nobody", "red"),
        site.sign_in("carol", "red"),
        site.sign_in("carol", "red", "wrong"),
        site.sign_in("", "red", "wrong"),
        site.sign_in("alice\x00", "red"),
    ):
        assert (answer.status_code, answer.json()) == (401, CLOSED)
        assert answer.headers["www-authenticate"] == 'Keystone uri="http://cloud:5000"'


def test_project_without_a_role_gets_the_answer_of_one_that_is_not_there(site: Site) -> None:
    answers = [site.sign_in("alice", name) for name in ("blue", "green", "\x00")]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


def test_token_gives_one_for_another_project_until_it_expires_itself(site: Site, clock: Clock) -> None:
    site.give("alice", "blue", "member")
    unscoped = site.token("alice")
    clock.advance(600)
    answer = site.http.post("/v2.0/tokens", json={"auth": {"token": {"id": unscoped}, "tenantName": "blue"}})
    token = answer.json()["access"]["token"]
    assert (token["tenant"]["name"], token["expires"]) == ("blue", "2014-10-16T13:00:00Z")
    assert token["issued_at"] == "2014-10-16T12:10:00.000000Z"
    again = site.http.post("/v2.0/tokens", json={"auth": {"token": {"id": token["id"]}, "tenantName": "red"}})
    assert again.json()["access"]["token"]["expires"] == "2014-10-16T13:00:00Z"
    refused = site.http.post("/v2.0/tokens", json={"auth": {"token": {"id": unscoped}, "tenantName": "admin"}})
    assert refused.status_code == 401
    clock.advance(3000)
    assert not site.is_good(token["id"])
    late = site.http.post("/v2.0/tokens", json={"auth": {"token": {"id": unscoped}, "tenantName": "blue"}})
    assert late.status_code == 401


NO_CLAIMS: list[object] = [
    {},
    {"auth": {}},
    {"auth": None},
    {"auth": {"passwordCredentials": {"username": "alice"}}},
    {"auth": {"passwordCredentials": {"password": "alice-pw"}}},
    {"auth": {"passwordCredentials": {"username": "alice", "userId": "x", "password": "alice-pw"}}},
    {"auth": {"passwordCredentials": {"username": "alice", "password": ""}}},
    {"auth": {"passwordCredentials": {"username": "alice", "password": 5}}},
    {"auth": {"passwordCredentials": {"username": ["alice"], "password": "alice-pw"}}},
    {"auth": {"passwordCredentials": {"username": "a" * 300, "password": "alice-pw"}}},
    {"auth": {"passwordCredentials": {"username": "alice", "password": "alice-pw" * 1000}}},
    {"auth": {"passwordCredentials": {"username": "alice", "password": "x"}, "token": {"id": "x"}}},
    {"auth": {"token": {}}},
    [],
    "alice-pw",
]


def test_body_that_is_no_claim_is_a_bad_request_that_quotes_nothing(local_site: Site) -> None:
    for body in NO_CLAIMS:
        answer = local_site.http.post("/v2.0/tokens", json=body)
        assert answer.status_code == 400, body
        assert answer.json()["error"]["title"] == "Bad Request"
        assert "alice" not in answer.text


def test_token_looks_at_itself_and_admins_look_at_all(site: Site) -> None:
    alice, bob, admin = site.token("alice", "red"), site.token("bob", "blue"), site.token("admin", "admin")
    for asking in (alice, admin):
        answer = site.ask("GET", f"/v2.0/tokens/{alice}", asking)
        assert answer.status_code == 200
        access = answer.json()["access"]
        assert (access["token"]["id"], access["token"]["tenant"]["name"]) == (alice, "red")
        assert access["user"]["roles"] == [{"name": "member"}]
        head = site.ask("HEAD", f"/v2.0/tokens/{alice}", asking)
        assert (head.status_code, head.content) == (200, b"")
    assert site.ask("GET", f"/v2.0/tokens/{alice}", bob).status_code == 403
    assert site.ask("GET", "/v2.0/tokens/nonsense", bob).status_code == 403
    assert site.ask("GET", "/v2.0/tokens/nonsense", admin).status_code == 404
    assert site.ask("GET", f"/v2.0/tokens/{alice}", "nonsense").status_code == 401
    assert site.http.get(f"/v2.0/tokens/{alice}").status_code == 401


def test_token_belongs_to_its_own_project(site: Site) -> None:
    admin, alice = site.token("admin", "admin"), site.token("alice", "red")
    for project, status in (("red", 200), ("blue", 404)):
        path = f"/v2.0/tokens/{alice}?belongsTo={site.project(project).id}"
        assert site.ask("GET", path, admin).status_code == status


def test_endpoints_of_a_token(site: Site) -> None:
    alice = site.token("alice", "red")
    answer = site.ask("GET", f"/v2.0/tokens/{alice}/endpoints", alice)
    assert [(item["type"], item["name"]) for item in answer.json()["endpoints"]] == [
        ("compute", "nova"),
        ("image", "glance"),
        ("identity", "keystone"),
    ]
    assert answer.json()["endpoints"][0]["publicURL"] == f"http://cloud:8774/v2/{site.project('red').id}"


def test_sign_in_does_not_look_at_an_old_token_that_is_sent_along(site: Site) -> None:
    auth = {"passwordCredentials": {"username": "alice", "password": "alice-pw"}}
    answer = site.ask("POST", "/v2.0/tokens", "an old one", {"auth": auth})
    assert answer.status_code == 200


def test_versions_are_told_to_anybody(site: Site) -> None:
    answer = site.http.get("/")
    assert answer.status_code == 300
    assert [(item["id"], item["status"], item["links"]) for item in answer.json()["versions"]["values"]] == [
        ("v3.0", "stable", [{"rel": "self", "href": "http://cloud:5000/v3/"}]),
        ("v2.0", "stable", [{"rel": "self", "href": "http://cloud:5000/v2.0/"}]),
    ]
    for path, version in (("/v2.0", "v2.0"), ("/v2.0/", "v2.0"), ("/v3", "v3.0"), ("/v3/", "v3.0")):
        answer = site.http.get(path)
        assert (answer.status_code, answer.json()["version"]["id"]) == (200, version)
    extensions = site.http.get("/v2.0/extensions").json()["extensions"]["values"]
    assert [item["alias"] for item in extensions] == ["OS-KSADM", "OS-KSCRUD", "OS-EC2"]


def test_expiry_is_to_the_second(site: Site, clock: Clock) -> None:
    clock.now = datetime(2014, 10, 16, 12, 0, 0, 900_000, tzinfo=UTC)
    token = site.token("alice", "red")
    clock.advance(HOUR_S - 1)
    assert site.is_good(token)
    clock.now = datetime(2014, 10, 16, 13, 0, 0, tzinfo=UTC)
    assert not site.is_good(token)
