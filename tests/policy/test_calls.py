"""Every call of nova-api for every kind of caller: who is let in is written out here, and no call is left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.routing import APIRoute

from cloud.services.api.app import ROUTERS
from cloud.services.api.server_actions import ACTIONS as SERVER_ACTIONS
from tests.api.conftest import ADMIN, CIRROS, HOST, MEMBER, NOBODY, OTHER, PROJECT, Site

STRANGER = "nobody-knows"
"""A token that is none."""
REFUSED, UNSEEN, LET_IN = 403, 404, 0


@dataclass(frozen=True)
class For:
    """What each caller is answered: a status, or LET_IN for any that says neither who asks nor that it is a secret."""

    roleless: int
    member: int
    other: int
    admin: int = LET_IN


USERS = For(LET_IN, LET_IN, LET_IN)
"""Whoever has a token for a project; what is private is left out of what they see."""
MEMBERS = For(REFUSED, LET_IN, LET_IN)
"""Of the project that they ask about, which is their own."""
OWNERS = For(REFUSED, LET_IN, UNSEEN)
"""Of a server, which nobody else knows of."""
ADMINS_OF_IT = For(REFUSED, REFUSED, UNSEEN)
"""What is a server's and admins' alone."""
PROJECT_MEMBERS = For(REFUSED, LET_IN, REFUSED)
"""Of a project that the path names."""
ADMINS = For(REFUSED, REFUSED, REFUSED)

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA8B9NdL0nvu/LJt7nsJ7Y5yjwUSWHJegK2vrdHNimiw"
SERVICE = {"host": HOST, "binary": "nova-compute"}
SERVER = {"server": {"name": "vm", "imageRef": CIRROS, "flavorRef": "1"}}

CALLS: Mapping[str, tuple[For, Any]] = {
    "GET /servers": (MEMBERS, None),
    "GET /servers/detail": (MEMBERS, None),
    "POST /servers": (MEMBERS, SERVER),
    "GET /servers/{server_id}": (OWNERS, None),
    "PUT /servers/{server_id}": (OWNERS, {"server": {"name": "vm2"}}),
    "DELETE /servers/{server_id}": (OWNERS, None),
    "POST /servers/{server_id}/action": (OWNERS, {"lock": None}),
    "GET /servers/{server_id}/metadata": (OWNERS, None),
    "POST /servers/{server_id}/metadata": (OWNERS, {"metadata": {"a": "b"}}),
    "PUT /servers/{server_id}/metadata": (OWNERS, {"metadata": {"a": "b"}}),
    "GET /servers/{server_id}/metadata/{key}": (OWNERS, None),
    "PUT /servers/{server_id}/metadata/{key}": (OWNERS, {"meta": {"a": "b"}}),
    "DELETE /servers/{server_id}/metadata/{key}": (OWNERS, None),
    "GET /servers/{server_id}/ips": (OWNERS, None),
    "GET /servers/{server_id}/ips/{network}": (OWNERS, None),
    "GET /servers/{server_id}/tags": (OWNERS, None),
    "PUT /servers/{server_id}/tags": (OWNERS, {"tags": ["a"]}),
    "DELETE /servers/{server_id}/tags": (OWNERS, None),
    "GET /servers/{server_id}/tags/{tag}": (OWNERS, None),
    "PUT /servers/{server_id}/tags/{tag}": (OWNERS, None),
    "DELETE /servers/{server_id}/tags/{tag}": (OWNERS, None),
    "GET /servers/{server_id}/migrations": (ADMINS_OF_IT, None),
    "GET /servers/{server_id}/migrations/{migration_id}": (ADMINS_OF_IT, None),
    "POST /servers/{server_id}/migrations/{migration_id}/action": (ADMINS_OF_IT, {"force_complete": None}),
    "DELETE /servers/{server_id}/migrations/{migration_id}": (ADMINS_OF_IT, None),
    "GET /servers/{uuid}/os-instance-actions": (OWNERS, None),
    "GET /servers/{uuid}/os-instance-actions/{request_id}": (OWNERS, None),
    "GET /flavors": (USERS, None),
    "GET /flavors/detail": (USERS, None),
    "GET /flavors/{flavorid}": (USERS, None),
    "POST /flavors": (ADMINS, {"flavor": {"name": "x", "ram": 1, "vcpus": 1, "disk": 1}}),
    "DELETE /flavors/{flavorid}": (ADMINS, None),
    "GET /flavors/{flavorid}/os-flavor-access": (USERS, None),
    "POST /flavors/{flavorid}/action": (ADMINS, {"addTenantAccess": {"tenant": PROJECT}}),
    "GET /flavors/{flavorid}/os-extra_specs": (USERS, None),
    "POST /flavors/{flavorid}/os-extra_specs": (ADMINS, {"extra_specs": {"a": "b"}}),
    "GET /flavors/{flavorid}/os-extra_specs/{key}": (USERS, None),
    "PUT /flavors/{flavorid}/os-extra_specs/{key}": (ADMINS, {"a": "b"}),
    "DELETE /flavors/{flavorid}/os-extra_specs/{key}": (ADMINS, None),
    "GET /images": (USERS, None),
    "GET /images/detail": (USERS, None),
    "GET /images/{image_id}": (USERS, None),
    "DELETE /images/{image_id}": (USERS, None),
    "GET /images/{image_id}/metadata": (USERS, None),
    "POST /images/{image_id}/metadata": (USERS, {"metadata": {"a": "b"}}),
    "PUT /images/{image_id}/metadata": (USERS, {"metadata": {"a": "b"}}),
    "GET /images/{image_id}/metadata/{key}": (USERS, None),
    "PUT /images/{image_id}/metadata/{key}": (USERS, {"meta": {"a": "b"}}),
    "DELETE /images/{image_id}/metadata/{key}": (USERS, None),
    "GET /os-keypairs": (USERS, None),
    "GET /os-keypairs/{name}": (USERS, None),
    "POST /os-keypairs": (USERS, {"keypair": {"name": "k1", "public_key": KEY}}),
    "DELETE /os-keypairs/{name}": (USERS, None),
    "GET /os-aggregates": (ADMINS, None),
    "POST /os-aggregates": (ADMINS, {"aggregate": {"name": "racks"}}),
    "GET /os-aggregates/{aggregate_id}": (ADMINS, None),
    "PUT /os-aggregates/{aggregate_id}": (ADMINS, {"aggregate": {"name": "racks"}}),
    "DELETE /os-aggregates/{aggregate_id}": (ADMINS, None),
    "POST /os-aggregates/{aggregate_id}/action": (ADMINS, {"add_host": {"host": HOST}}),
    "GET /os-availability-zone": (USERS, None),
    "GET /os-availability-zone/detail": (ADMINS, None),
    "GET /os-hosts": (ADMINS, None),
    "GET /os-hosts/{host}": (ADMINS, None),
    "PUT /os-hosts/{host}": (ADMINS, {"status": "disable"}),
    "GET /os-hosts/{host}/startup": (ADMINS, None),
    "GET /os-hosts/{host}/shutdown": (ADMINS, None),
    "GET /os-hosts/{host}/reboot": (ADMINS, None),
    "GET /os-hypervisors": (ADMINS, None),
    "GET /os-hypervisors/detail": (ADMINS, None),
    "GET /os-hypervisors/statistics": (ADMINS, None),
    "GET /os-hypervisors/{hypervisor_id}": (ADMINS, None),
    "GET /os-hypervisors/{hypervisor_id}/uptime": (ADMINS, None),
    "GET /os-hypervisors/{pattern}/search": (ADMINS, None),
    "GET /os-hypervisors/{pattern}/servers": (ADMINS, None),
    "GET /os-services": (ADMINS, None),
    "PUT /os-services/enable": (ADMINS, SERVICE),
    "PUT /os-services/disable": (ADMINS, SERVICE),
    "PUT /os-services/disable-log-reason": (ADMINS, {**SERVICE, "disabled_reason": "disk swap"}),
    "PUT /os-services/force-down": (ADMINS, {**SERVICE, "forced_down": True}),
    "DELETE /os-services/{service_id}": (ADMINS, None),
    "GET /os-migrations": (ADMINS, None),
    "GET /limits": (MEMBERS, None),
    "GET /os-quota-sets/{project_id}": (PROJECT_MEMBERS, None),
    "GET /os-quota-sets/{project_id}/defaults": (USERS, None),
    "GET /os-quota-sets/{project_id}/detail": (PROJECT_MEMBERS, None),
    "PUT /os-quota-sets/{project_id}": (ADMINS, {"quota_set": {"cores": 5}}),
    "DELETE /os-quota-sets/{project_id}": (ADMINS, None),
    "GET /os-quota-class-sets/{name}": (ADMINS, None),
    "GET /os-simple-tenant-usage": (ADMINS, None),
    "GET /os-simple-tenant-usage/{project_id}": (PROJECT_MEMBERS, None),
    "GET /extensions": (USERS, None),
    "GET /extensions/{alias}": (USERS, None),
}
"""By route, with a body that fits."""
ACTIONS: Mapping[str, tuple[For, Any]] = {
    "reboot": (OWNERS, {"type": "HARD"}),
    "os-start": (OWNERS, None),
    "os-stop": (OWNERS, None),
    "os-getConsoleOutput": (OWNERS, {}),
    "createImage": (OWNERS, {"name": "snapshot"}),
    "rebuild": (OWNERS, {"imageRef": CIRROS}),
    "lock": (OWNERS, None),
    "unlock": (OWNERS, None),
    "resize": (OWNERS, {"flavorRef": "2"}),
    "os-resetState": (ADMINS_OF_IT, {"state": "active"}),
    "os-migrateLive": (ADMINS_OF_IT, {"host": None, "block_migration": "auto"}),
    "migrate": (ADMINS_OF_IT, None),
}
"""What is done to a server by POST /servers/{server_id}/action."""


def routes() -> list[str]:
    every = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    return [f"{method} {route.path}" for route in every for method in sorted(route.methods or ())]


def check(site: Site, method: str, path: str, body: Any, expected: For) -> None:
    """Those who are refused first: who is let in may change what the next one finds."""
    statuses = {STRANGER: 401, NOBODY: expected.roleless, OTHER: expected.other, MEMBER: expected.member}
    headers = {"X-OpenStack-Nova-API-Version": "2.30"}
    for token, status in {**statuses, ADMIN: expected.admin}.items():
        answer = site.ask(method, f"/v2.1/{{T}}{path}", body, token=token, headers=headers)
        said = f"{method} {path} as {token}: {answer.status_code} {answer.text}"
        if status == LET_IN:
            assert answer.status_code < 500 or answer.status_code == 501, said
            assert answer.status_code not in (400, 401, 403), said
        else:
            assert answer.status_code == status, said


def test_every_call_is_written_out() -> None:
    assert sorted(CALLS) == sorted(routes())


@pytest.mark.parametrize("call", CALLS)
def test_who_is_let_in(site: Site, call: str) -> None:
    expected, body = CALLS[call]
    method, path = call.split(" ")
    server = site.running()
    names = {"server_id": server.uuid, "uuid": server.uuid, "image_id": CIRROS, "host": HOST, "project_id": PROJECT}
    names |= {"key": "a", "name": "k1", "network": "private", "tag": "a", "request_id": "req-1", "pattern": "Host"}
    names |= {"flavorid": "1", "aggregate_id": "1", "hypervisor_id": "1", "service_id": "1", "alias": "os-hosts"}
    names |= {"migration_id": str(site.migrating(server, status="running").id)}
    if "migrations" in path:
        site.parts.instances.update(server.uuid, {"task_state": "migrating"})
    site.compute.answers["host_uptime"] = "up"
    query = "?start=2014-10-16T00:00:00" if "usage" in path else ""
    check(site, method, path.format(**names) + query, body, expected)


@pytest.mark.parametrize("action", ACTIONS)
def test_who_is_let_in_to_an_action(site: Site, action: str) -> None:
    expected, argument = ACTIONS[action]
    server = site.running()
    site.compute.answers["get_console_output"] = "booted"
    check(site, "POST", f"/servers/{server.uuid}/action", {action: argument}, expected)


@pytest.mark.parametrize("action", ["confirmResize", "revertResize"])
def test_who_is_let_in_to_the_end_of_a_resize(site: Site, action: str) -> None:
    server, _ = site.resized()
    check(site, "POST", f"/servers/{server.uuid}/action", {action: None}, OWNERS)


def test_who_is_let_in_to_evacuation(site: Site) -> None:
    site.report("HostC")
    server = site.running()
    site.down()
    check(site, "POST", f"/servers/{server.uuid}/action", {"evacuate": {"host": "HostC"}}, ADMINS_OF_IT)


def test_every_action_is_tried() -> None:
    assert ACTIONS.keys() | {"confirmResize", "revertResize", "evacuate"} == SERVER_ACTIONS.keys()
