"""v3: projects, users, roles and what is to be read of the catalog."""

from typing import Any

import pytest

from tests.identity.site import Site

NONE = "0" * 32


@pytest.fixture
def admin(site: Site) -> str:
    return site.token("admin", "admin")


def of(answer: Any, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def names(things: list[dict[str, Any]]) -> list[str]:
    return [thing["name"] for thing in things]


def test_project_from_creation_to_deletion(site: Site, admin: str) -> None:
    body = {"project": {"name": "green", "description": "the green one", "domain_id": "default"}}
    project = of(site.ask("POST", "/v3/projects", admin, body), 201)["project"]
    path = f"/v3/projects/{project['id']}"
    assert project == {
        "id": project["id"],
        "name": "green",
        "description": "the green one",
        "enabled": True,
        "domain_id": "default",
        "parent_id": "default",
        "is_domain": False,
        "tags": [],
        "options": {},
        "links": {"self": f"http://cloud:5000{path}"},
    }
    assert of(site.ask("GET", path, admin))["project"] == project
    of(site.ask("POST", "/v3/projects", admin, body), 409)
    changed = of(site.ask("PATCH", path, admin, {"project": {"enabled": False}}))["project"]
    assert changed == project | {"enabled": False}
    of(site.ask("DELETE", path, admin), 204)
    of(site.ask("GET", path, admin), 404)


@pytest.mark.parametrize("extra", [{"is_domain": True}, {"domain_id": "other"}, {"parent_id": NONE}])
def test_project_is_nowhere_but_in_the_default_domain(local_site: Site, extra: dict[str, object]) -> None:
    admin = local_site.token("admin", "admin")
    of(local_site.ask("POST", "/v3/projects", admin, {"project": {"name": "green", **extra}}), 400)


def test_projects_are_listed_as_asked_for(site: Site, admin: str) -> None:
    site.ask("PATCH", f"/v3/projects/{site.project('red').id}", admin, {"project": {"enabled": False}})
    for query, wanted in (
        ("", ["admin", "blue", "red"]),
        ("?name=blue", ["blue"]),
        ("?name=green", []),
        ("?name=%00", []),
        ("?domain_id=default", ["admin", "blue", "red"]),
        ("?domain_id=other", []),
        ("?enabled=true", ["admin", "blue"]),
        ("?enabled=False", ["red"]),
        ("?enabled", ["admin", "blue"]),
        ("?limit=1", ["admin"]),
    ):
        assert names(of(site.ask("GET", f"/v3/projects{query}", admin))["projects"]) == wanted, query


def test_members_see_their_project_and_no_other(site: Site) -> None:
    token = site.token("alice", "red")
    assert of(site.ask("GET", f"/v3/projects/{site.project('red').id}", token))["project"]["name"] == "red"
    of(site.ask("GET", f"/v3/projects/{site.project('blue').id}", token), 404)
    own = of(site.ask("GET", f"/v3/users/{site.users['alice'].id}/projects", token))
    assert names(own["projects"]) == ["red"]
    of(site.ask("GET", f"/v3/users/{site.users['bob'].id}/projects", token), 404)


def test_user_from_creation_to_deletion(site: Site, admin: str) -> None:
    red = site.project("red").id
    body = {"user": {"name": "carol", "password": "carol-pw", "default_project_id": red, "domain_id": "default"}}
    user = of(site.ask("POST", "/v3/users", admin, body), 201)["user"]
    path = f"/v3/users/{user['id']}"
    assert user == {
        "id": user["id"],
        "name": "carol",
        "enabled": True,
        "domain_id": "default",
        "default_project_id": red,
        "password_expires_at": None,
        "options": {},
        "links": {"self": f"http://cloud:5000{path}"},
    }
    assert site.sign_in("carol").status_code == 200
    assert site.sign_in("carol", "red").status_code == 401  # in v3 a default project brings no role
    of(site.ask("POST", "/v3/users", admin, body), 409)
    of(site.ask("POST", "/v3/users", admin, {"user": {"name": "dave", "domain_id": "other"}}), 400)
    changed = of(site.ask("PATCH", path, admin, {"user": {"email": "c@example.org", "password": "new-pw"}}))["user"]
    assert changed == user | {"email": "c@example.org"}
    assert site.sign_in("carol", password="new-pw").status_code == 200
    assert of(site.ask("GET", path, admin))["user"] == changed
    of(site.ask("DELETE", path, admin), 204)
    of(site.ask("GET", path, admin), 404)


def test_users_are_listed_as_asked_for(site: Site, admin: str) -> None:
    site.ask("PATCH", f"/v3/users/{site.users['bob'].id}", admin, {"user": {"enabled": False}})
    for query, wanted in (
        ("", ["admin", "alice", "bob"]),
        ("?name=bob", ["bob"]),
        ("?name=carol", []),
        ("?domain_id=other", []),
        ("?enabled=1", ["admin", "alice"]),
        (f"?marker={site.users['alice'].id}", ["bob"]),
    ):
        assert names(of(site.ask("GET", f"/v3/users{query}", admin))["users"]) == wanted, query


def test_users_see_themselves_alone(site: Site) -> None:
    token = site.token("alice")
    assert of(site.ask("GET", f"/v3/users/{site.users['alice'].id}", token))["user"]["name"] == "alice"
    of(site.ask("GET", f"/v3/users/{site.users['bob'].id}", token), 404)
    of(site.ask("GET", f"/v3/users/{NONE}", token), 404)


def test_own_password_is_changed_with_the_old_one(site: Site) -> None:
    path = f"/v3/users/{site.users['alice'].id}/password"
    body = {"user": {"original_password": "wrong", "password": "another-pw"}}
    token = site.token("alice", "red")
    of(site.ask("POST", path, token, body), 401)
    body["user"]["original_password"] = "alice-pw"
    of(site.ask("POST", path, site.token("bob"), body), 404)
    of(site.ask("POST", path, site.token("admin", "admin"), body), 404)
    of(site.ask("POST", path, token, body), 204)
    assert site.sign_in("alice", password="another-pw").status_code == 200


def test_role_from_creation_to_deletion(site: Site, admin: str) -> None:
    role = of(site.ask("POST", "/v3/roles", admin, {"role": {"name": "auditor"}}), 201)["role"]
    path = f"/v3/roles/{role['id']}"
    assert (role["name"], role["links"]["self"]) == ("auditor", f"http://cloud:5000{path}")
    assert of(site.ask("GET", path, admin))["role"] == role
    assert names(of(site.ask("GET", "/v3/roles", admin))["roles"]) == ["admin", "auditor", "member"]
    assert names(of(site.ask("GET", "/v3/roles?name=auditor", admin))["roles"]) == ["auditor"]
    assert of(site.ask("GET", "/v3/roles?domain_id=default", admin))["roles"] == []
    red, bob = site.project("red").id, site.users["bob"].id
    assigned = f"/v3/projects/{red}/users/{bob}/roles"
    for method, status in (("HEAD", 404), ("PUT", 204), ("PUT", 204), ("HEAD", 204), ("GET", 204)):
        of(site.ask(method, f"{assigned}/{role['id']}", admin), status)
    assert names(of(site.ask("GET", assigned, admin))["roles"]) == ["auditor"]
    of(site.ask("DELETE", f"{assigned}/{role['id']}", admin), 204)
    for method in ("HEAD", "DELETE"):
        of(site.ask(method, f"{assigned}/{role['id']}", admin), 404)
    of(site.ask("DELETE", path, admin), 204)
    of(site.ask("GET", path, admin), 404)


def test_assignments_are_listed_with_ids_or_names(site: Site, admin: str) -> None:
    red, alice, member = site.project("red").id, site.users["alice"].id, site.role("member").id
    query = f"user.id={alice}"
    assert of(site.ask("GET", f"/v3/role_assignments?{query}", admin))["role_assignments"] == [
        {
            "user": {"id": alice},
            "scope": {"project": {"id": red}},
            "role": {"id": member},
            "links": {"assignment": f"http://cloud:5000/v3/projects/{red}/users/{alice}/roles/{member}"},
        }
    ]
    domain = {"id": "default", "name": "Default"}
    named = of(site.ask("GET", f"/v3/role_assignments?{query}&include_names=True", admin))["role_assignments"][0]
    assert (named["user"], named["scope"], named["role"]) == (
        {"id": alice, "name": "alice", "domain": domain},
        {"project": {"id": red, "name": "red", "domain": domain}},
        {"id": member, "name": "member"},
    )
    assert len(of(site.ask("GET", "/v3/role_assignments", admin))["role_assignments"]) == 3
    assert len(of(site.ask("GET", f"/v3/role_assignments?role.id={member}", admin))["role_assignments"]) == 2
    assert of(site.ask("GET", f"/v3/role_assignments?scope.project.id={NONE}", admin))["role_assignments"] == []


def test_services_endpoints_regions_and_domains_are_what_the_configuration_says(local_site: Site) -> None:
    site = local_site
    admin = site.token("admin", "admin")
    services = of(site.ask("GET", "/v3/services", admin))["services"]
    assert [service["type"] for service in services] == ["compute", "image", "identity"]
    assert of(site.ask("GET", "/v3/services?type=image", admin))["services"] == services[1:2]
    assert of(site.ask("GET", f"/v3/services/{services[0]['id']}", admin))["service"] == services[0]
    of(site.ask("GET", f"/v3/services/{NONE}", admin), 404)
    endpoints = of(site.ask("GET", f"/v3/endpoints?service_id={services[1]['id']}", admin))["endpoints"]
    assert [(item["interface"], item["url"]) for item in endpoints] == [
        (interface, "http://cloud:9292") for interface in ("public", "internal", "admin")
    ]
    assert of(site.ask("GET", f"/v3/endpoints/{endpoints[0]['id']}", admin))["endpoint"] == endpoints[0]
    assert [region["id"] for region in of(site.ask("GET", "/v3/regions", admin))["regions"]] == ["RegionOne"]
    assert names(of(site.ask("GET", "/v3/domains", admin))["domains"]) == ["Default"]
    assert of(site.ask("GET", "/v3/domains/default", admin))["domain"]["enabled"] is True
    of(site.ask("GET", "/v3/domains/other", admin), 404)
