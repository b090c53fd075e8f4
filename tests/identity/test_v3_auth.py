"""v3: signing in, and what a token may look at."""

from typing import Any

import pytest

from tests.db.conftest import Clock
from tests.identity.site import Site

DEFAULT = {"id": "default", "name": "Default"}


def claim(user: dict[str, Any], scope: Any = None) -> dict[str, Any]:
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    return {"auth": auth if scope is None else auth | {"scope": scope}}


def alice(**changes: Any) -> dict[str, Any]:
    return {"name": "alice", "domain": {"id": "default"}, "password": "alice-pw", **changes}


def red(site: Site) -> dict[str, Any]:
    return {"project": {"id": site.project("red").id}}


def test_sign_in_for_a_project_answers_as_keystone_does(site: Site) -> None:
    answer = site.http.post("/v3/auth/tokens", json=claim(alice(), red(site)))
    assert answer.status_code == 201
    text = answer.headers["x-subject-token"]
    assert site.is_good(text)
    token = answer.json()["token"]
    catalog = {service["type"]: service for service in token.pop("catalog")}
    assert len(token.pop("audit_ids")) == 1
    assert token == {
        "methods": ["password"],
        "user": {"id": site.users["alice"].id, "name": "alice", "domain": DEFAULT, "password_expires_at": None},
        "issued_at": "2014-10-16T12:00:00.000000Z",
        "expires_at": "2014-10-16T13:00:00.000000Z",
        "project": {"id": site.project("red").id, "name": "red", "domain": DEFAULT},
        "is_domain": False,
        "roles": [{"id": site.role("member").id, "name": "member"}],
    }
    assert [(item["interface"], item["url"], item["region_id"]) for item in catalog["compute"]["endpoints"]] == [
        (interface, f"http://cloud:8774/v2/{site.project('red').id}", "RegionOne")
        for interface in ("public", "internal", "admin")
    ]
    assert catalog["identity"]["endpoints"][0]["url"] == "http://cloud:5000/v3"


@pytest.mark.parametrize("domain", [{"id": "default"}, {"name": "Default"}, {"name": "default"}])
def test_user_and_project_may_be_named_with_their_domain(local_site: Site, domain: dict[str, str]) -> None:
    scope = {"project": {"name": "red", "domain": domain}}
    answer = local_site.http.post("/v3/auth/tokens", json=claim(alice(domain=domain), scope))
    assert (answer.status_code, answer.json()["token"]["project"]["name"]) == (201, "red")


def test_user_may_be_named_by_id(local_site: Site) -> None:
    user = {"id": local_site.users["alice"].id, "password": "alice-pw"}
    assert local_site.http.post("/v3/auth/tokens", json=claim(user)).status_code == 201


def test_refusals_do_not_tell_why(local_site: Site) -> None:
    site = local_site
    for user in (
        alice(password="wrong"),
        alice(name="nobody"),
        alice(domain={"id": "other"}),
        alice(domain={"name": "Other"}),
        alice(domain={}),
        {"id": "0" * 32, "password": "alice-pw"},
        {"id": "\x00", "password": "alice-pw"},
        {"id": site.users["alice"].id, "domain": {"id": "other"}, "password": "alice-pw"},
    ):
        answer = site.http.post("/v3/auth/tokens", json=claim(user, red(site)))
        assert (answer.status_code, answer.json()["error"]["message"]) == (401, "the user or the password is wrong")
    for scope in (
        {"project": {"id": site.project("blue").id}},
        {"project": {"id": "0" * 32}},
        {"project": {"id": "\x00"}},
        {"project": {"name": "green", "domain": DEFAULT}},
        {"project": {"name": "red", "domain": {"id": "other"}}},
    ):
        answer = site.http.post("/v3/auth/tokens", json=claim(alice(), scope))
        assert (answer.status_code, answer.json()["error"]["message"]) == (
            401,
            "the user has no role in that project, or there is no such project",
        )


def test_scopes_that_there_are_none_of_are_refused(local_site: Site) -> None:
    scopes: list[dict[str, object]] = [
        {"domain": {"id": "default"}},
        {"system": {"all": True}},
        {"OS-TRUST:trust": {"id": "x"}},
        {},
    ]
    for scope in scopes:
        answer = local_site.http.post("/v3/auth/tokens", json=claim(alice(), scope))
        assert answer.status_code == 401, scope


def test_without_a_scope_the_token_is_for_the_default_project_if_that_can_be_had(local_site: Site) -> None:
    site = local_site
    admin, path = site.token("admin", "admin"), f"/v3/users/{site.users['alice'].id}"
    unscoped = site.http.post("/v3/auth/tokens", json=claim(alice())).json()["token"]
    assert {"project", "roles", "catalog"}.isdisjoint(unscoped)
    for project, wanted in (("red", "red"), ("blue", None)):  # alice is nobody in blue
        body = {"user": {"default_project_id": site.project(project).id}}
        assert site.ask("PATCH", path, admin, body).status_code == 200
        token = site.http.post("/v3/auth/tokens", json=claim(alice())).json()["token"]
        assert token.get("project", {}).get("name") == wanted
    site.ask("PATCH", path, admin, {"user": {"default_project_id": site.project("red").id}})
    unscoped_scopes: list[object] = ["unscoped", {"unscoped": {}}]
    for scope in unscoped_scopes:
        assert "project" not in site.http.post("/v3/auth/tokens", json=claim(alice(), scope)).json()["token"]


def test_token_gives_one_for_another_project_until_it_expires_itself(local_site: Site, clock: Clock) -> None:
    site = local_site
    unscoped = site.token("alice")
    clock.advance(60)
    identity = {"methods": ["token"], "token": {"id": unscoped}}
    answer = site.http.post("/v3/auth/tokens", json={"auth": {"identity": identity, "scope": red(site)}})
    token = answer.json()["token"]
    assert (answer.status_code, token["methods"], token["expires_at"], token["issued_at"]) == (
        201,
        ["password", "token"],
        "2014-10-16T13:00:00.000000Z",
        "2014-10-16T12:01:00.000000Z",
    )


NO_CLAIMS: list[object] = [
    {},
    {"auth": {}},
    {"auth": {"identity": {}}},
    {"auth": {"identity": {"methods": []}}},
    {"auth": {"identity": {"methods": "password"}}},
    {"auth": {"identity": {"methods": ["password"]}}},
    {"auth": {"identity": {"methods": ["totp"], "totp": {}}}},
    {"auth": {"identity": {"methods": ["password", "token"], "password": {"user": alice()}, "token": {"id": "x"}}}},
    claim({"password": "alice-pw"}),
    claim({"name": "alice", "password": "alice-pw"}),
    claim(alice(password=None)),
    claim(alice(domain="default")),
    claim(alice(), {"project": {}}),
    claim(alice(), {"project": {"name": "red"}}),
    claim(alice(), {"project": "red"}),
    claim(alice(), "everything"),
    claim(alice(), 5),
]


def test_body_that_is_no_claim_is_a_bad_request_that_quotes_nothing(local_site: Site) -> None:
    for body in NO_CLAIMS:
        answer = local_site.http.post("/v3/auth/tokens", json=body)
        assert answer.status_code == 400, body
        assert "alice" not in answer.text


def test_token_looks_at_itself_and_admins_look_at_all(local_site: Site) -> None:
    site = local_site
    alices, bob, admin = site.token("alice", "red"), site.token("bob", "blue"), site.token("admin", "admin")
    for asking in (alices, admin):
        answer = site.ask("GET", "/v3/auth/tokens", asking, X_Subject_Token=alices)
        assert (answer.status_code, answer.headers["x-subject-token"]) == (200, alices)
        assert answer.json()["token"]["project"]["name"] == "red"
        assert "catalog" in answer.json()["token"]
        head = site.ask("HEAD", "/v3/auth/tokens", asking, X_Subject_Token=alices)
        assert (head.status_code, head.content) == (200, b"")
    assert site.ask("GET", "/v3/auth/tokens", bob, X_Subject_Token=alices).status_code == 403
    assert site.ask("GET", "/v3/auth/tokens", bob, X_Subject_Token="nonsense").status_code == 403
    assert site.ask("GET", "/v3/auth/tokens", admin, X_Subject_Token="nonsense").status_code == 404
    assert site.ask("GET", "/v3/auth/tokens", admin).status_code == 400


def test_catalog_is_left_out_on_request(local_site: Site) -> None:
    site = local_site
    answer = site.http.post("/v3/auth/tokens?nocatalog", json=claim(alice(), red(site)))
    assert "catalog" not in answer.json()["token"]
    token = answer.headers["x-subject-token"]
    for query in ("nocatalog", "nocatalog="):
        answer = site.ask("GET", f"/v3/auth/tokens?{query}", token, X_Subject_Token=token)
        assert "catalog" not in answer.json()["token"]
        assert answer.json()["token"]["roles"][0]["name"] == "member"


def test_catalog_and_projects_of_a_token(local_site: Site) -> None:
    site = local_site
    token = site.token("alice", "red")
    catalog = site.ask("GET", "/v3/auth/catalog", token).json()["catalog"]
    assert [service["type"] for service in catalog] == ["compute", "image", "identity"]
    for asking in (token, site.token("alice")):
        projects = site.ask("GET", "/v3/auth/projects", asking).json()
        assert [project["name"] for project in projects["projects"]] == ["red"]
        assert projects["links"] == {
            "self": "http://cloud:5000/v3/auth/projects",
            "next": None,
            "previous": None,
        }
    assert site.ask("GET", "/v3/auth/domains", token).json()["domains"] == []
