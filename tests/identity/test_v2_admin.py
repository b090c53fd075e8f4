"""v2.0: tenants, users and roles, as admins look after them."""

import json
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


def test_admins_see_all_tenants_and_others_their_own(site: Site, admin: str) -> None:
    site.give("alice", "blue", "member")
    names = [tenant["name"] for tenant in of(site.ask("GET", "/v2.0/tenants", admin))["tenants"]]
    assert names == ["admin", "blue", "red"]
    for token in (site.token("alice"), site.token("alice", "red")):
        shown = of(site.ask("GET", "/v2.0/tenants", token))
        assert [tenant["name"] for tenant in shown["tenants"]] == ["blue", "red"]
        assert shown["tenants_links"] == []
    red = of(site.ask("GET", "/v2.0/tenants?name=red", admin))["tenant"]
    assert red == {"id": site.project("red").id, "name": "red", "description": "the red one", "enabled": True}
    of(site.ask("GET", "/v2.0/tenants?name=green", admin), 404)


def test_long_list_is_seen_in_parts(site: Site, admin: str) -> None:
    ids = [site.project(name).id for name in ("admin", "blue", "red")]
    for query, wanted in (
        ("limit=2", ids[:2]),
        (f"marker={ids[1]}", ids[2:]),
        (f"marker={ids[0]}&limit=1", ids[1:2]),
        (f"marker={ids[2]}", []),
        ("limit=0", []),
    ):
        shown = of(site.ask("GET", f"/v2.0/tenants?{query}", admin))["tenants"]
        assert [tenant["id"] for tenant in shown] == wanted, query
    for query in ("marker=x", "limit=-1", "limit=many"):
        of(site.ask("GET", f"/v2.0/tenants?{query}", admin), 400)


def test_tenant_from_creation_to_deletion(site: Site, admin: str) -> None:
    body = {"tenant": {"name": "green", "description": "the green one", "enabled": True}}
    tenant = of(site.ask("POST", "/v2.0/tenants", admin, body))["tenant"]
    assert (tenant["name"], tenant["description"], tenant["enabled"]) == ("green", "the green one", True)
    path = f"/v2.0/tenants/{tenant['id']}"
    assert of(site.ask("GET", path, admin))["tenant"] == tenant
    conflict = of(site.ask("POST", "/v2.0/tenants", admin, body), 409)
    assert conflict["error"]["message"] == "cannot use green for a project: there is one of that name"
    for method in ("POST", "PUT"):
        changed = of(site.ask(method, path, admin, {"tenant": {"id": tenant["id"], "description": method}}))["tenant"]
        assert changed == tenant | {"description": method}
    of(site.ask("DELETE", path, admin), 204)
    for method in ("GET", "DELETE"):
        of(site.ask(method, path, admin), 404)


def test_members_see_their_tenant_and_no_other(site: Site) -> None:
    token = site.token("alice", "red")
    assert of(site.ask("GET", f"/v2.0/tenants/{site.project('red').id}", token))["tenant"]["name"] == "red"
    hidden = [site.ask("GET", f"/v2.0/tenants/{wanted}", token) for wanted in (site.project("blue").id, NONE)]
    assert {answer.status_code for answer in hidden} == {404}
    assert hidden[0].text.replace(site.project("blue").id, NONE) == hidden[1].text


def test_user_from_creation_to_deletion(site: Site, admin: str) -> None:
    red = site.project("red")
    body = {"user": {"name": "carol", "password": "carol-pw", "email": "c@example.org", "tenantId": red.id}}
    user = of(site.ask("POST", "/v2.0/users", admin, body))["user"]
    path = f"/v2.0/users/{user.pop('id')}"
    assert user == {
        "name": "carol",
        "username": "carol",
        "email": "c@example.org",
        "enabled": True,
        "tenantId": red.id,
    }
    # As 2014's keystone client expects it: who has a tenant is a member there.
    assert site.sign_in("carol", "red").status_code == 200
    of(site.ask("POST", "/v2.0/users", admin, body), 409)
    renamed = of(site.ask("PUT", path, admin, {"user": {"name": "caroline", "email": None}}))["user"]
    assert (renamed["name"], renamed["email"]) == ("caroline", "c@example.org")
    of(site.ask("PUT", f"{path}/OS-KSADM/password", admin, {"user": {"password": "new-pw"}}))
    assert site.sign_in("caroline", "red", "new-pw").status_code == 200
    assert not of(site.ask("PUT", f"{path}/OS-KSADM/enabled", admin, {"user": {"enabled": False}}))["user"]["enabled"]
    assert site.sign_in("caroline", "red", "new-pw").status_code == 401
    of(site.ask("DELETE", path, admin), 204)
    of(site.ask("GET", path, admin), 404)


def test_user_without_a_password_cannot_sign_in(site: Site, admin: str) -> None:
    of(site.ask("POST", "/v2.0/users", admin, {"user": {"username": "robot"}}))
    assert site.sign_in("robot", password="None").status_code == 401


def test_users_are_listed_and_found_by_name(site: Site, admin: str) -> None:
    listed = of(site.ask("GET", "/v2.0/users", admin))["users"]
    assert [user["name"] for user in listed] == ["admin", "alice", "bob"]
    assert of(site.ask("GET", "/v2.0/users?name=bob", admin))["user"]["id"] == site.users["bob"].id
    of(site.ask("GET", "/v2.0/users?name=carol", admin), 404)
    members = of(site.ask("GET", f"/v2.0/tenants/{site.project('red').id}/users", admin))["users"]
    assert [user["name"] for user in members] == ["alice"]
    of(site.ask("GET", f"/v2.0/tenants/{NONE}/users", admin), 404)


def test_own_password_is_changed_with_the_old_one_and_the_answer_is_a_new_token(site: Site) -> None:
    token = site.token("alice", "red")
    path = f"/v2.0/OS-KSCRUD/users/{site.users['alice'].id}"
    wrong = {"user": {"original_password": "wrong", "password": "another-pw"}}
    of(site.ask("PATCH", path, token, wrong), 401)
    assert site.is_good(token)
    right = {"user": {"original_password": "alice-pw", "password": "another-pw"}}
    renewed = of(site.ask("PATCH", path, token, right))["access"]["token"]
    assert renewed["tenant"]["name"] == "red"
    assert (site.is_good(token), site.is_good(renewed["id"])) == (False, True)
    assert site.sign_in("alice", "red", "another-pw").status_code == 200
    other = f"/v2.0/OS-KSCRUD/users/{site.users['bob'].id}"
    of(site.ask("PATCH", other, renewed["id"], right), 404)


def test_role_from_creation_to_deletion(site: Site, admin: str) -> None:
    role = of(site.ask("POST", "/v2.0/OS-KSADM/roles", admin, {"role": {"name": "auditor"}}))["role"]
    assert set(role) == {"id", "name"}
    path = f"/v2.0/OS-KSADM/roles/{role['id']}"
    assert of(site.ask("GET", path, admin))["role"] == role
    of(site.ask("POST", "/v2.0/OS-KSADM/roles", admin, {"role": {"name": "auditor"}}), 409)
    listed = of(site.ask("GET", "/v2.0/OS-KSADM/roles", admin))["roles"]
    assert [item["name"] for item in listed] == ["admin", "auditor", "member"]
    red, bob = site.project("red").id, site.users["bob"].id
    roles_of_bob = f"/v2.0/tenants/{red}/users/{bob}/roles"
    for _ in range(2):
        assert of(site.ask("PUT", f"{roles_of_bob}/OS-KSADM/{role['id']}", admin))["role"] == role
    assert of(site.ask("GET", roles_of_bob, admin))["roles"] == [role]
    assert site.sign_in("bob", "red").json()["access"]["user"]["roles"] == [{"name": "auditor"}]
    of(site.ask("DELETE", f"{roles_of_bob}/OS-KSADM/{role['id']}", admin), 204)
    of(site.ask("DELETE", f"{roles_of_bob}/OS-KSADM/{role['id']}", admin), 404)
    assert of(site.ask("GET", roles_of_bob, admin))["roles"] == []
    of(site.ask("DELETE", path, admin), 204)
    of(site.ask("GET", path, admin), 404)


def test_users_see_their_own_roles_in_a_project(site: Site) -> None:
    token, red = site.token("alice", "red"), site.project("red").id
    own = of(site.ask("GET", f"/v2.0/tenants/{red}/users/{site.users['alice'].id}/roles", token))
    assert [role["name"] for role in own["roles"]] == ["member"]
    of(site.ask("GET", f"/v2.0/tenants/{red}/users/{site.users['bob'].id}/roles", token), 404)


NOT_STORED: list[tuple[str, dict[str, object]]] = [
    ("/v2.0/tenants", {"tenant": {}}),
    ("/v2.0/tenants", {"tenant": {"name": ""}}),
    ("/v2.0/tenants", {"tenant": {"name": "a" * 256}}),
    ("/v2.0/tenants", {"tenant": {"name": "a\x00b"}}),
    ("/v2.0/tenants", {"tenant": {"name": "a\nb"}}),
    ("/v2.0/tenants", {"tenant": {"name": 5}}),
    ("/v2.0/tenants", {"tenant": {"name": "ok", "description": "\x00"}}),
    ("/v2.0/tenants", {"tenant": {"name": "ok", "enabled": "true"}}),
    ("/v2.0/users", {"user": {}}),
    ("/v2.0/users", {"user": {"name": "ok", "password": "\ud800"}}),
    ("/v2.0/users", {"user": {"name": "\ud800", "password": "x"}}),
    ("/v2.0/users", {"user": {"name": "ok", "email": "x" * 300}}),
    ("/v2.0/OS-KSADM/roles", {"role": {"name": None}}),
    ("/v2.0/OS-KSADM/roles", {}),
]


def test_what_cannot_be_stored_is_a_bad_request(local_site: Site) -> None:
    admin = local_site.token("admin", "admin")
    headers = {"X-Auth-Token": admin, "Content-Type": "application/json"}
    for path, body in NOT_STORED:
        # Written by ourselves: httpx would not send a lone surrogate.
        answer = local_site.http.post(path, content=json.dumps(body), headers=headers)
        assert answer.status_code == 400, (path, body)
    of(local_site.ask("GET", "/v2.0/tenants?name=ok", admin), 404)
    of(local_site.ask("GET", "/v2.0/users?name=ok", admin), 404)


def test_user_is_not_created_in_a_tenant_that_is_not_there(site: Site, admin: str) -> None:
    for tenant in (NONE, "nonsense"):
        of(site.ask("POST", "/v2.0/users", admin, {"user": {"name": "carol", "tenantId": tenant}}), 404)
    of(site.ask("GET", "/v2.0/users?name=carol", admin), 404)


def test_services_and_endpoints_are_what_the_configuration_says(local_site: Site) -> None:
    admin = local_site.token("admin", "admin")
    services = of(local_site.ask("GET", "/v2.0/OS-KSADM/services", admin))["OS-KSADM:services"]
    assert [(service["type"], service["name"]) for service in services] == [
        ("compute", "nova"),
        ("image", "glance"),
        ("identity", "keystone"),
    ]
    path = f"/v2.0/OS-KSADM/services/{services[1]['id']}"
    assert of(local_site.ask("GET", path, admin))["OS-KSADM:service"] == services[1]
    of(local_site.ask("GET", f"/v2.0/OS-KSADM/services/{NONE}", admin), 404)
    endpoint = of(local_site.ask("GET", "/v2.0/endpoints", admin))["endpoints"][1]
    assert (endpoint["service_id"], endpoint["region"]) == (services[1]["id"], "RegionOne")
    assert {endpoint[name] for name in ("publicurl", "internalurl", "adminurl")} == {"http://cloud:9292"}
