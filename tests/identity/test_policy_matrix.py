"""Every route for every kind of caller: who is let in is written out here, and no route is left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.routing import APIRoute

from cloud.policy.identity import IDENTITY
from cloud.services.identity.app import ROUTERS
from cloud.services.identity.guard import action_of
from tests.identity.site import Site

NONE = "0" * 32
ANYBODY = frozenset({"nobody", "stranger", "unscoped", "member", "Member", "_member_", "admin"})
USERS = frozenset({"unscoped", "member", "Member", "_member_", "admin"})
MEMBERS = frozenset({"member", "Member", "_member_", "admin"})
ADMINS = frozenset({"admin"})

WHO_MAY: Mapping[str, frozenset[str]] = {
    "identity:versions:show": ANYBODY,
    "identity:tokens:create": ANYBODY,
    "identity:tokens:validate": USERS,
    "identity:tokens:revoke": USERS,
    "identity:ec2tokens:create": ADMINS,
    "identity:catalog:show": USERS,
    "identity:services:list": ADMINS,
    "identity:domains:show": USERS,
    "identity:projects:list": ADMINS,
    "identity:projects:list_own": USERS,
    "identity:projects:show": MEMBERS,
    "identity:projects:create": ADMINS,
    "identity:projects:update": ADMINS,
    "identity:projects:delete": ADMINS,
    "identity:users:list": ADMINS,
    "identity:users:show": USERS,
    "identity:users:create": ADMINS,
    "identity:users:update": ADMINS,
    "identity:users:delete": ADMINS,
    "identity:users:change_password": USERS,
    "identity:roles:list": ADMINS,
    "identity:roles:create": ADMINS,
    "identity:roles:delete": ADMINS,
    "identity:assignments:list": ADMINS,
    "identity:assignments:create": ADMINS,
    "identity:assignments:delete": ADMINS,
    "identity:ec2_credentials:create": USERS,
    "identity:ec2_credentials:show": USERS,
    "identity:ec2_credentials:delete": USERS,
}
"""On what is one's own: oneself, one's project, one's token."""
WHO_MAY_WITH_OTHERS: Mapping[str, frozenset[str]] = {
    "identity:projects:list_own": ADMINS,
    "identity:projects:show": ADMINS,
    "identity:users:show": ADMINS,
    "identity:users:change_password": frozenset(),
    "identity:ec2_credentials:create": ADMINS,
    "identity:ec2_credentials:show": ADMINS,
    "identity:ec2_credentials:delete": ADMINS,
}
"""On what is somebody else's, where a route can be about that and the user or project is in its path."""


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    action: str

    @property
    def is_about_somebody(self) -> bool:
        """Whether its path has a user or a project by which it is judged."""
        return self.action in WHO_MAY_WITH_OTHERS and ("{user_id}" in self.path or "{project_id}" in self.path)

    def at(self, user_id: str, project_id: str) -> str:
        ids = {"user_id": user_id, "project_id": project_id}
        names = ("user_id", "project_id", "role_id", "access", "service_id", "endpoint_id", "domain_id")
        return self.path.format(**dict.fromkeys(names, NONE) | ids)


def all_routes(site: Site) -> list[Route]:
    found = []
    for router in ROUTERS:
        for route in router(site.identity).routes:
            assert isinstance(route, APIRoute)
            actions = [action for dependency in route.dependencies if (action := action_of(dependency))]
            assert len(actions) == 1, route.path
            found += [Route(method, route.path, actions[0]) for method in sorted(route.methods or ())]
    assert len(found) > 70
    return found


def callers(site: Site) -> dict[str, dict[str, str]]:
    """The headers of each kind of caller; all but the admin are of project red."""
    tokens = {"member": site.token("alice", "red"), "unscoped": site.token("alice"), "admin": site.token("boss", "red")}
    for name in ("Member", "_member_"):
        tokens[name] = site.token(f"is {name}", "red")
    known = {kind: {"X-Auth-Token": token, "X-Subject-Token": token} for kind, token in tokens.items()}
    return {"nobody": {}, "stranger": {"X-Auth-Token": "nonsense", "X-Subject-Token": "nonsense"}, **known}


@pytest.fixture
def site(local_site: Site) -> Site:
    local_site.user("boss", "red", "admin")
    for name in ("Member", "_member_"):
        local_site.user(f"is {name}", "red", name)
    return local_site


OWN_USER = {
    "nobody": "alice",
    "stranger": "alice",
    "unscoped": "alice",
    "member": "alice",
    "Member": "is Member",
    "_member_": "is _member_",
    "admin": "boss",
}


def is_let_in(answer: Any, route: Route, user_id: str, project_id: str) -> bool:
    """A refusal is 401, 403, or that user or project, which are there, are said not to be."""
    if route.is_about_somebody and answer.status_code == 404:
        hidden = {f"cannot find user {user_id}", f"cannot find project {project_id}"}
        return answer.json()["error"]["message"] not in hidden
    return answer.status_code not in (401, 403)


def test_every_route_lets_in_whom_it_should_and_nobody_else(site: Site) -> None:
    seen = set()
    expected, found = {}, {}
    for route in all_routes(site):
        seen.add(route.action)
        for kind in sorted(ANYBODY):
            if route.action == "identity:tokens:create":
                continue  # nobody gets in there without a password: test_v2_tokens, test_v3_auth
            # Nothing in a body that could be done, and ids of nothing where none has to be one's own.
            own_user = site.users[OWN_USER[kind]].id if route.is_about_somebody else NONE
            own_project = site.project("red").id if route.is_about_somebody else NONE
            sets = [(WHO_MAY, own_user, own_project)]
            if route.is_about_somebody:
                sets.append((WHO_MAY_WITH_OTHERS, site.users["bob"].id, site.project("blue").id))
            for who_may, user_id, project_id in sets:
                headers = callers(site)[kind] if "revoke" in route.action else site_headers(site, kind)
                path = route.at(user_id, project_id).replace("/tokens/-", f"/tokens/{headers.get('X-Auth-Token', 'x')}")
                body: object = {} if route.method in ("POST", "PUT", "PATCH") else None
                answer = site.http.request(route.method, path, json=body, headers=headers)
                assert answer.status_code < 500, (route, answer.text)
                case = (route.method, route.path, kind, "own" if who_may is WHO_MAY else "other")
                expected[case] = kind in who_may[route.action]
                found[case] = is_let_in(answer, route, user_id, project_id)
    assert found == expected
    assert len(found) > 400
    assert seen == set(WHO_MAY)


_headers: dict[int, dict[str, dict[str, str]]] = {}


def site_headers(site: Site, kind: str) -> dict[str, str]:
    """The same tokens for all but what ends them."""
    if id(site) not in _headers:
        _headers.clear()
        _headers[id(site)] = callers(site)
    return _headers[id(site)][kind]


def test_policy_has_a_row_for_each_action_of_a_route_and_none_besides(site: Site) -> None:
    used = {route.action for route in all_routes(site)}
    others = {f"{action}:any" for action in WHO_MAY_WITH_OTHERS} - {
        "identity:projects:show:any",  # the rule for projects knows whose it is
        "identity:users:change_password:any",  # nobody may
    }
    assert set(IDENTITY) == used | others | {"identity:tokens:validate:any", "identity:tokens:revoke:any"}


def test_there_is_no_router_twice() -> None:
    assert len(set(ROUTERS)) == len(ROUTERS)
