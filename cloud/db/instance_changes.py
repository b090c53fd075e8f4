"""What may be changed of an instance, and the compare-and-set that changes it within a transaction."""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Row, select, update
from sqlalchemy.orm import Session

from cloud.db.bounds import changed_columns, check_values, flag, table_of, text, time
from cloud.db.instance_query import INSTANCE_COLUMNS, in_states
from cloud.db.models import InstanceRow
from cloud.domain.expected import ANY, Expected
from cloud.domain.flavor import Flavor
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.errors import CloudError, InstanceNotFoundError, InstanceStateError


def change_instance(
    session: Session, uuid: str, values: Mapping[str, Any], *, expected: Expected, verb: str, now: datetime
) -> Row[Any]:
    """Change columns of an instance that is in an expected state; its row of INSTANCE_COLUMNS then.

    InstanceStateError and InstanceNotFoundError as `not_there` makes them.
    """
    there = _UPDATE.where(*is_there(uuid, expected))
    changed = there.values({**values, "updated_at": now})
    row = session.execute(changed).one_or_none()
    if row is None:
        raise not_there(session, uuid, expected, verb)
    return row


def is_there(uuid: str, expected: Expected) -> list[ColumnElement[bool]]:
    """Whether it is that instance, which is not deleted, in an expected state."""
    conditions = [InstanceRow.uuid == uuid, InstanceRow.deleted_at.is_(None)]
    if expected.vm_states is not None:
        conditions.append(in_states(InstanceRow.vm_state, expected.vm_states))
    if expected.task_states is not None:
        conditions.append(in_states(InstanceRow.task_state, expected.task_states))
    if expected.host is not None:
        conditions.append(InstanceRow.host == expected.host)
    return conditions


def not_there(session: Session, uuid: str, expected: Expected, verb: str) -> CloudError:
    """Why no row was found, and that it could not be `verb`ed therefore."""
    state = select(InstanceRow.vm_state, InstanceRow.task_state, InstanceRow.host)
    found = session.execute(state.where(*is_there(uuid, ANY))).one_or_none()
    if found is None:
        return InstanceNotFoundError(f"cannot find instance {uuid}")
    where = f", and it is on host {found.host}" if expected.host not in (None, found.host) else ""
    return InstanceStateError(
        f"cannot {verb} instance {uuid}: its vm_state is {found.vm_state}, its task_state {found.task_state}{where}"
    )


def refuse_deleted(session: Session, uuid: str) -> None:
    """InstanceNotFoundError for a deleted instance; one that is there stays so until the transaction ends.

    For who gives it something: its deletion, which takes all back, comes wholly before this or wholly after it.
    """
    there = select(InstanceRow.deleted_at).where(InstanceRow.uuid == uuid).with_for_update(read=True)
    if session.scalar(there) is not None:
        raise InstanceNotFoundError(f"cannot find instance {uuid}: it is deleted")


def hold_expected(session: Session, uuid: str, expected: Expected, verb: str) -> None:
    """Nobody changes the instance until the transaction ends; errors as of `change_instance` when it is not so."""
    held = select(InstanceRow.id).where(*is_there(uuid, expected)).with_for_update()
    if session.scalar(held) is None:
        raise not_there(session, uuid, expected, verb)


def of_flavor(flavor: Flavor) -> dict[str, Any]:
    """The flavor as it is kept, and the parts of it that are summed and searched."""
    return {
        "flavor": flavor.as_dict(),
        "flavorid": flavor.flavorid,
        "memory_mb": flavor.memory_mb,
        "vcpus": flavor.vcpus,
        "root_gb": flavor.root_gb,
        "ephemeral_gb": flavor.ephemeral_gb,
    }


def changed_values(uuid: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes, by names of Instance's fields, as columns; ValueError for one that is none."""
    values = changed_columns(InstanceRow, f"instance {uuid}", changes, _CONVERSIONS)
    flavor = values.pop("flavor", None)
    if flavor is not None:
        values |= of_flavor(flavor)
    check_values(InstanceRow, values)
    return values


def _vm_state(value: Any) -> VmState:
    state = VmState(value)
    if state is VmState.DELETED:
        raise ValueError("an instance is deleted by `delete`")
    return state


_UPDATE = update(table_of(InstanceRow)).returning(*INSTANCE_COLUMNS)  # made once, for it has many columns
_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "display_name": text,
        "hostname": text,
        "flavor": lambda value: value if isinstance(value, Flavor) else Flavor.from_dict(value),
        "image_id": text,
        "host": text,
        "node": text,
        "availability_zone": text,
        "vm_state": _vm_state,
        "task_state": TaskState,
        "power_state": PowerState,
        "progress": int,
        "key_name": text,
        "key_data": text,
        "user_data": text,
        "has_config_drive": flag,
        "metadata": dict,
        "system_metadata": dict,
        "access_ip_v4": text,
        "access_ip_v6": text,
        "locked_by": text,
        "launched_at": time,
        "terminated_at": time,
    }
)
CHANGEABLE = frozenset(_CONVERSIONS)
"""The fields of Instance that are changed."""
