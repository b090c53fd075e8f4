"""The whole policy: each action, for each kind of caller, on what is their project's, another's and nobody's."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

import cloud.services
from cloud.domain.caller import Caller
from cloud.errors import ForbiddenError
from cloud.policy.compute import COMPUTE
from cloud.policy.identity import IDENTITY
from cloud.policy.image import IMAGE
from cloud.policy.rules import is_allowed, require
from cloud.policy.table import POLICY


def caller(project: str | None, *roles: str) -> Caller:
    return Caller("u1", "joecool", project, project, frozenset(roles), datetime(2999, 1, 1, tzinfo=UTC))


CALLERS: Mapping[str, Caller | None] = {
    "nobody": None,
    "unscoped": caller(None),
    "unscoped with a role": caller(None, "member"),
    "without a role": caller("p1"),
    "member": caller("p1", "member"),
    "with another role": caller("p1", "auditor"),
    "member of another project": caller("p2", "member"),
    "service": caller("p3", "service"),
    "admin": caller("p1", "admin"),
    "admin of another project": caller("p2", "member", "admin"),
}
_ADMINS = frozenset({"admin", "admin of another project"})
_MEMBERS = _ADMINS | {"member", "with another role"}
_USERS = frozenset(CALLERS) - {"nobody"}
_ALL = frozenset(CALLERS)

ANYBODY = {"p1": _ALL, "p2": _ALL, None: _ALL}
USERS = {"p1": _USERS, "p2": _USERS, None: _USERS}
MEMBERS = {"p1": _MEMBERS, "p2": _ADMINS | {"member of another project"}, None: _ADMINS}
MEMBERS_OR_SERVICES = {project: who | {"service"} for project, who in MEMBERS.items()}
ADMINS = {"p1": _ADMINS, "p2": _ADMINS, None: _ADMINS}

WHO_MAY: Mapping[str, Mapping[str | None, frozenset[str]]] = {
    "compute:aggregates:add_host": ADMINS,
    "compute:aggregates:create": ADMINS,
    "compute:aggregates:delete": ADMINS,
    "compute:aggregates:list": ADMINS,
    "compute:aggregates:remove_host": ADMINS,
    "compute:aggregates:set_metadata": ADMINS,
    "compute:aggregates:show": ADMINS,
    "compute:aggregates:update": ADMINS,
    "compute:availability_zones:detail": ADMINS,
    "compute:availability_zones:list": USERS,
    "compute:extensions:list": USERS,
    "compute:extensions:show": USERS,
    "compute:flavor_access:add": ADMINS,
    "compute:flavor_access:list": USERS,
    "compute:flavor_access:remove": ADMINS,
    "compute:flavor_extra_specs:create": ADMINS,
    "compute:flavor_extra_specs:delete": ADMINS,
    "compute:flavor_extra_specs:list": USERS,
    "compute:flavor_extra_specs:show": USERS,
    "compute:flavor_extra_specs:update": ADMINS,
    "compute:flavors:create": ADMINS,
    "compute:flavors:delete": ADMINS,
    "compute:flavors:list": USERS,
    "compute:flavors:list:any": ADMINS,
    "compute:flavors:show": USERS,
    "compute:hosts:list": ADMINS,
    "compute:hosts:power": ADMINS,
    "compute:hosts:show": ADMINS,
    "compute:hosts:update": ADMINS,
    "compute:hypervisors:list": ADMINS,
    "compute:hypervisors:servers": ADMINS,
    "compute:hypervisors:show": ADMINS,
    "compute:hypervisors:statistics": ADMINS,
    "compute:hypervisors:uptime": ADMINS,
    "compute:images:delete": USERS,
    "compute:images:list": USERS,
    "compute:images:show": USERS,
    "compute:images:update": USERS,
    "compute:instance_actions:events": ADMINS,
    "compute:instance_actions:list": MEMBERS,
    "compute:instance_actions:show": MEMBERS,
    "compute:keypairs:create": USERS,
    "compute:keypairs:create:any": ADMINS,
    "compute:keypairs:delete": USERS,
    "compute:keypairs:delete:any": ADMINS,
    "compute:keypairs:list": USERS,
    "compute:keypairs:list:any": ADMINS,
    "compute:keypairs:show": USERS,
    "compute:keypairs:show:any": ADMINS,
    "compute:limits:show": MEMBERS,
    "compute:migrations:list": ADMINS,
    "compute:quota_classes:show": ADMINS,
    "compute:quotas:defaults": USERS,
    "compute:quotas:delete": ADMINS,
    "compute:quotas:show": MEMBERS,
    "compute:quotas:update": ADMINS,
    "compute:server_ips:list": MEMBERS,
    "compute:server_ips:show": MEMBERS,
    "compute:server_metadata:create": MEMBERS,
    "compute:server_metadata:delete": MEMBERS,
    "compute:server_metadata:list": MEMBERS,
    "compute:server_metadata:show": MEMBERS,
    "compute:server_metadata:update": MEMBERS,
    "compute:server_metadata:update_all": MEMBERS,
    "compute:server_migrations:delete": ADMINS,
    "compute:server_migrations:force_complete": ADMINS,
    "compute:server_migrations:list": ADMINS,
    "compute:server_migrations:show": ADMINS,
    "compute:server_tags:delete": MEMBERS,
    "compute:server_tags:delete_all": MEMBERS,
    "compute:server_tags:list": MEMBERS,
    "compute:server_tags:replace": MEMBERS,
    "compute:server_tags:show": MEMBERS,
    "compute:server_tags:update": MEMBERS,
    "compute:servers:confirm_resize": MEMBERS,
    "compute:servers:console_output": MEMBERS,
    "compute:servers:create": MEMBERS,
    "compute:servers:create:forced_host": ADMINS,
    "compute:servers:create_image": MEMBERS,
    "compute:servers:delete": MEMBERS,
    "compute:servers:detail": MEMBERS,
    "compute:servers:evacuate": ADMINS,
    "compute:servers:list": MEMBERS,
    "compute:servers:list:all_tenants": ADMINS,
    "compute:servers:list:deleted": ADMINS,
    "compute:servers:lock": MEMBERS,
    "compute:servers:migrate": ADMINS,
    "compute:servers:migrate_live": ADMINS,
    "compute:servers:reboot": MEMBERS,
    "compute:servers:rebuild": MEMBERS,
    "compute:servers:reset_state": ADMINS,
    "compute:servers:resize": MEMBERS,
    "compute:servers:revert_resize": MEMBERS,
    "compute:servers:show": MEMBERS,
    "compute:servers:show:extended_attributes": ADMINS,
    "compute:servers:show:host_status": ADMINS,
    "compute:servers:start": MEMBERS,
    "compute:servers:stop": MEMBERS,
    "compute:servers:unlock": MEMBERS,
    "compute:servers:unlock:override": ADMINS,
    "compute:servers:update": MEMBERS,
    "compute:services:delete": ADMINS,
    "compute:services:list": ADMINS,
    "compute:services:update": ADMINS,
    "compute:usage:list": ADMINS,
    "compute:usage:show": MEMBERS,
    "identity:assignments:create": ADMINS,
    "identity:assignments:delete": ADMINS,
    "identity:assignments:list": ADMINS,
    "identity:catalog:show": USERS,
    "identity:domains:show": USERS,
    "identity:ec2_credentials:create": USERS,
    "identity:ec2_credentials:create:any": ADMINS,
    "identity:ec2_credentials:delete": USERS,
    "identity:ec2_credentials:delete:any": ADMINS,
    "identity:ec2_credentials:show": USERS,
    "identity:ec2_credentials:show:any": ADMINS,
    "identity:ec2tokens:create": ADMINS,
    "identity:projects:create": ADMINS,
    "identity:projects:delete": ADMINS,
    "identity:projects:list": ADMINS,
    "identity:projects:list_own": USERS,
    "identity:projects:list_own:any": ADMINS,
    "identity:projects:show": MEMBERS,
    "identity:projects:update": ADMINS,
    "identity:roles:create": ADMINS,
    "identity:roles:delete": ADMINS,
    "identity:roles:list": ADMINS,
    "identity:services:list": ADMINS,
    "identity:tokens:create": ANYBODY,
    "identity:tokens:revoke": USERS,
    "identity:tokens:revoke:any": ADMINS,
    "identity:tokens:validate": USERS,
    "identity:tokens:validate:any": ADMINS,
    "identity:users:change_password": USERS,
    "identity:users:create": ADMINS,
    "identity:users:delete": ADMINS,
    "identity:users:list": ADMINS,
    "identity:users:show": USERS,
    "identity:users:show:any": ADMINS,
    "identity:users:update": ADMINS,
    "identity:versions:show": ANYBODY,
    "image:images:create": MEMBERS,
    "image:images:delete": MEMBERS_OR_SERVICES,
    "image:images:give_away": ADMINS,
    "image:images:list": USERS,
    "image:images:publicize": ADMINS,
    "image:images:show": MEMBERS_OR_SERVICES,
    "image:images:show_public": USERS,
    "image:images:update": MEMBERS,
    "image:images:upload": MEMBERS_OR_SERVICES,
    "image:schemas:show": USERS,
    "image:versions:list": ANYBODY,
}
"""By the project whose thing it is about."""


def test_every_action_is_in_the_matrix() -> None:
    assert set(WHO_MAY) == set(POLICY)


def test_services_share_no_action_and_each_names_its_own() -> None:
    assert len(COMPUTE) + len(IDENTITY) + len(IMAGE) == len(POLICY)
    for name, rules in (("compute", COMPUTE), ("identity", IDENTITY), ("image", IMAGE)):
        assert all(re.fullmatch(rf"{name}(:[a-z0-9_]+){{2,3}}", action) for action in rules)


@pytest.mark.parametrize("action", sorted(POLICY))
def test_who_may(action: str) -> None:
    for project_id, allowed in WHO_MAY[action].items():
        found = {name for name, who in CALLERS.items() if is_allowed(POLICY, action, who, project_id)}
        assert found == allowed, project_id


def test_who_may_not_is_told_the_action_and_no_more() -> None:
    with pytest.raises(ForbiddenError) as caught:
        require(POLICY, "compute:servers:show", CALLERS["member of another project"], "p1")
    assert str(caught.value) == "policy does not allow compute:servers:show to be performed"
    require(POLICY, "compute:servers:show", CALLERS["member"], "p1")


def test_action_without_a_rule_is_a_defect_and_allowed_to_nobody() -> None:
    with pytest.raises(KeyError):
        is_allowed(POLICY, "compute:servers:explode", CALLERS["admin"])


def test_every_action_that_a_service_asks_for_has_a_rule() -> None:
    sources = [path.read_text() for package in cloud.services.__path__ for path in Path(package).rglob("*.py")]
    asked = {
        action for source in sources for action in re.findall(r'"((?:compute|identity|image):[a-z0-9_:]+)"', source)
    }
    assert len(asked) > 100
    assert asked <= set(POLICY)
