"""The address of a list of servers -> the instances that are asked for."""

from datetime import UTC, datetime
from typing import TypeVar

from starlette.datastructures import QueryParams

from cloud.db.instance_query import InstanceQuery
from cloud.domain.instance import TaskState, VmState
from cloud.errors import BadRequestError, ForbiddenError
from cloud.services.api.call import Call
from cloud.services.api.paging import Page
from cloud.services.api.server_status import states_of
from cloud.services.api.versions import V2_5

State = TypeVar("State", VmState, TaskState)
_ALL_TENANTS = "all_tenants"
_CHANGES_SINCE = "changes-since"
_DELETED = "deleted"
_IP6 = "ip6"
_OF_USERS = frozenset({"reservation_id", "name", "status", "image", "flavor", "ip", _CHANGES_SINCE, _ALL_TENANTS})
"""What everybody may filter by; what else users say is passed over."""
_REFUSED = frozenset({"availability_zone", "config_drive", "key_name", "launch_index", "node", "power_state"})
"""What nova filters by for admins and this cloud does not: better refused than passed over."""
_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
_FALSE = frozenset({"0", "f", "false", "off", "n", "no"})


def query_of(call: Call, params: QueryParams, page: Page) -> InstanceQuery | None:
    """None where no instance can fit. BadRequestError, or ForbiddenError for what only admins may see."""
    given = dict(params)
    if not call.caller.is_admin:
        allowed = _OF_USERS | {_IP6} if call.version >= V2_5 else _OF_USERS
        given = {key: value for key, value in given.items() if key in allowed}
    if refused := sorted(_REFUSED & given.keys()):
        raise BadRequestError(f"cannot filter servers by {refused[0]}")
    if _IP6 in given:
        return None  # servers have addresses of IPv4
    states = states_of(params.getlist("status")) if "status" in given else None
    if states is None and "status" in given:
        return None
    vm_states = None if states is None else states.vm_states
    task_states = None if states is None else states.task_states
    is_deleted = _is_deleted(given)
    if vm_states == frozenset({VmState.DELETED}):
        if not call.is_allowed("compute:servers:list:deleted"):
            raise ForbiddenError("policy does not allow compute:servers:list:deleted to be performed")
        is_deleted = True
    if "vm_state" in given:
        vm_states = frozenset({_member(VmState, "vm_state", given["vm_state"])})
    if "task_state" in given:
        task_states = frozenset({_member(TaskState, "task_state", given["task_state"])})
    return InstanceQuery(
        project_id=_project(call, given),
        is_deleted=is_deleted,
        host=given.get("host"),
        name=given.get("name"),
        vm_states=vm_states,
        task_states=task_states,
        image_id=given.get("image"),
        flavorid=given.get("flavor"),
        ip=given.get("ip"),
        uuids=(given["uuid"],) if "uuid" in given else None,
        reservation_id=given.get("reservation_id"),
        user_id=given.get("user_id"),
        changes_since=_time(given[_CHANGES_SINCE]) if _CHANGES_SINCE in given else None,
        marker=page.marker,
        limit=page.limit,
        sort_keys=tuple(params.getlist("sort_key")),
        sort_dirs=tuple(params.getlist("sort_dir")),
    )


def _project(call: Call, given: dict[str, str]) -> str | None:
    if not _wants_all(given):
        return call.project_id
    call.require("compute:servers:list:all_tenants")
    return given.get("tenant_id", given.get("project_id"))


def _wants_all(given: dict[str, str]) -> bool:
    word = given.get(_ALL_TENANTS, "0").strip().lower()
    if word in _FALSE:
        return False
    if word in _TRUE or not word:
        return True
    raise BadRequestError(f"cannot list servers: {_ALL_TENANTS} is neither yes nor no")


def _is_deleted(given: dict[str, str]) -> bool | None:
    """Since some time: also those that were deleted since."""
    if _DELETED in given:
        return given[_DELETED].strip().lower() in _TRUE
    return None if _CHANGES_SINCE in given else False


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise BadRequestError(f"cannot list servers: {_CHANGES_SINCE} is not a time in ISO 8601") from exc


def _member(kind: type[State], name: str, text: str) -> State:
    try:
        return kind(text)
    except ValueError as exc:
        raise BadRequestError(f"cannot list servers: there is no such {name}") from exc
