"""Who may do what with servers: every call, by a member, an admin, another project's member, and one without a role."""

from typing import Any

import pytest

from cloud.domain.instance import VmState
from cloud.policy.compute import COMPUTE
from tests.api.conftest import ADMIN, CIRROS, MEMBER, NOBODY, OTHER, Site

NEW = "2.26"
SERVER = {"name": "vm2", "imageRef": CIRROS, "flavorRef": "1"}
FORCED = {"server": {**SERVER, "availability_zone": "nova:HostB"}}
ITEM = "/servers/{S}"
ACTION = "/servers/{S}/action"

Row = tuple[str, str, str, object, int]
"""Its rule, method, path, body, and the status when it is allowed."""

FOR_THE_PROJECT: list[Row] = [
    ("servers:show", "GET", ITEM, None, 200),
    ("servers:update", "PUT", ITEM, {"server": {"name": "a"}}, 200),
    ("servers:delete", "DELETE", ITEM, None, 204),
    ("servers:reboot", "POST", ACTION, {"reboot": {"type": "HARD"}}, 202),
    ("servers:start", "POST", ACTION, {"os-start": None}, 202),
    ("servers:stop", "POST", ACTION, {"os-stop": None}, 202),
    ("servers:console_output", "POST", ACTION, {"os-getConsoleOutput": {}}, 200),
    ("servers:create_image", "POST", ACTION, {"createImage": {"name": "a"}}, 202),
    ("servers:rebuild", "POST", ACTION, {"rebuild": {"imageRef": CIRROS}}, 202),
    ("servers:resize", "POST", ACTION, {"resize": {"flavorRef": "2"}}, 202),
    ("servers:lock", "POST", ACTION, {"lock": None}, 202),
    ("servers:unlock", "POST", ACTION, {"unlock": None}, 202),
    ("server_metadata:list", "GET", f"{ITEM}/metadata", None, 200),
    ("server_metadata:show", "GET", f"{ITEM}/metadata/k", None, 200),
    ("server_metadata:create", "POST", f"{ITEM}/metadata", {"metadata": {}}, 200),
    ("server_metadata:update_all", "PUT", f"{ITEM}/metadata", {"metadata": {}}, 200),
    ("server_metadata:update", "PUT", f"{ITEM}/metadata/k", {"meta": {"k": "v"}}, 200),
    ("server_metadata:delete", "DELETE", f"{ITEM}/metadata/k", None, 204),
    ("server_ips:list", "GET", f"{ITEM}/ips", None, 200),
    ("server_ips:show", "GET", f"{ITEM}/ips/private", None, 200),
    ("server_tags:list", "GET", f"{ITEM}/tags", None, 200),
    ("server_tags:show", "GET", f"{ITEM}/tags/t", None, 204),
    ("server_tags:replace", "PUT", f"{ITEM}/tags", {"tags": []}, 200),
    ("server_tags:update", "PUT", f"{ITEM}/tags/u", None, 201),
    ("server_tags:delete", "DELETE", f"{ITEM}/tags/t", None, 204),
    ("server_tags:delete_all", "DELETE", f"{ITEM}/tags", None, 204),
]
FOR_MEMBERS: list[Row] = [
    ("servers:list", "GET", "/servers", None, 200),
    ("servers:detail", "GET", "/servers/detail", None, 200),
    ("servers:create", "POST", "/servers", {"server": SERVER}, 202),
]
FOR_ADMINS: list[Row] = [
    ("servers:list:all_tenants", "GET", "/servers/detail?all_tenants=1", None, 200),
    ("servers:list:deleted", "GET", "/servers?status=DELETED", None, 200),
    ("servers:create:forced_host", "POST", "/servers", FORCED, 202),
]
ELSEWHERE = {
    "servers:confirm_resize",  # test_resized
    "servers:revert_resize",
    "servers:migrate",  # test_migrate
    "servers:migrate_live",  # test_live_migrate
    "servers:evacuate",  # test_evacuate
    "server_migrations:list",  # test_server_migrations
    "server_migrations:show",
    "server_migrations:force_complete",
    "server_migrations:delete",
    "servers:show:extended_attributes",  # test_servers_show
    "servers:show:host_status",  # test_versions
    "servers:unlock:override",  # test_server_actions
    "servers:reset_state",
}


def ask(site: Site, row: Row, token: str) -> int:
    _, method, path, body, _ = row
    vm_state = VmState.STOPPED if body == {"os-start": None} else VmState.ACTIVE
    instance = site.running(metadata={"k": "v"}, vm_state=vm_state)
    site.put(f"/servers/{instance.uuid}/tags", {"tags": ["t"]}, NEW)
    site.compute.answers["get_console_output"] = ""
    headers = {"X-OpenStack-Nova-API-Version": NEW}
    address = f"/v2.1/{{T}}{path.replace('{S}', instance.uuid)}"
    status: int = site.ask(method, address, body, token=token, headers=headers).status_code
    return status


@pytest.mark.parametrize("row", FOR_THE_PROJECT, ids=lambda row: row[0])
def test_a_server_is_its_projects_and_the_admins(site: Site, row: Row) -> None:
    statuses = {token: ask(site, row, token) for token in (MEMBER, ADMIN, OTHER, NOBODY)}
    assert statuses == {MEMBER: row[-1], ADMIN: row[-1], OTHER: 404, NOBODY: 403}


@pytest.mark.parametrize("row", FOR_MEMBERS, ids=lambda row: row[0])
def test_members_of_any_project_may(site: Site, row: Row) -> None:
    statuses = {token: ask(site, row, token) for token in (MEMBER, ADMIN, OTHER, NOBODY)}
    assert statuses == {MEMBER: row[-1], ADMIN: row[-1], OTHER: row[-1], NOBODY: 403}


@pytest.mark.parametrize("row", FOR_ADMINS, ids=lambda row: row[0])
def test_admins_alone_may(site: Site, row: Row) -> None:
    statuses = {token: ask(site, row, token) for token in (MEMBER, ADMIN, OTHER, NOBODY)}
    assert statuses == {MEMBER: 403, ADMIN: row[-1], OTHER: 403, NOBODY: 403}


def test_resetting_a_state_is_for_admins_and_tells_others_nothing(site: Site) -> None:
    row: Row = ("servers:reset_state", "POST", ACTION, {"os-resetState": {"state": "error"}}, 202)
    statuses: dict[str, Any] = {token: ask(site, row, token) for token in (MEMBER, ADMIN, OTHER, NOBODY)}
    assert statuses == {MEMBER: 403, ADMIN: 202, OTHER: 404, NOBODY: 403}


def test_every_rule_about_servers_is_tried() -> None:
    tried = {row[0] for row in (*FOR_THE_PROJECT, *FOR_MEMBERS, *FOR_ADMINS)} | ELSEWHERE
    assert {action.removeprefix("compute:") for action in COMPUTE if action.startswith("compute:server")} == tried
