"""Rows of instances -> instances, each with its addresses."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from cloud.db.batches import batches
from cloud.db.instance_query import INSTANCE_FIELDS
from cloud.db.models import FixedIpRow, InstanceFaultRow
from cloud.domain.flavor import Flavor
from cloud.domain.instance import Instance, InstanceFault, PowerState, TaskState, VmState


def with_addresses(session: Session, rows: Sequence[Row[Any]]) -> tuple[Instance, ...]:
    """Rows of INSTANCE_COLUMNS as instances, in their order."""
    addresses = defaultdict[str, list[str]](list)
    for batch in batches([row.uuid for row in rows]):
        found = select(FixedIpRow.instance_uuid, FixedIpRow.address).where(FixedIpRow.instance_uuid.in_(batch))
        for uuid, address in session.execute(found.order_by(FixedIpRow.id)):
            addresses[uuid].append(address)
    return tuple(instance_of(row, tuple(addresses.get(row.uuid, ()))) for row in rows)


def instance_of(row: Row[Any], addresses: tuple[str, ...]) -> Instance:
    """One row of INSTANCE_COLUMNS as an instance with these addresses.

    States that are none, as only somebody writes them who writes the table by hand, hide neither it nor the others: it
    is in error, its power state is unknown, and nothing is being done to it.
    """
    # By position: a list of a thousand is as fast as this is.
    values = list(row)
    values[_FLAVOR] = Flavor(**values[_FLAVOR])
    values[_VM_STATE] = _VM_STATES.get(values[_VM_STATE], VmState.ERROR)
    values[_POWER_STATE] = _POWER_STATES.get(values[_POWER_STATE], PowerState.NOSTATE)
    values[_TASK_STATE] = _TASK_STATES.get(values[_TASK_STATE])
    values.append(addresses)
    return Instance(*values)


_VM_STATES: Mapping[str, VmState] = {state.value: state for state in VmState}
_TASK_STATES: Mapping[str, TaskState] = {state.value: state for state in TaskState}
_POWER_STATES: Mapping[int, PowerState] = {state.value: state for state in PowerState}
_FLAVOR, _VM_STATE, _TASK_STATE, _POWER_STATE = (
    INSTANCE_FIELDS.index(name) for name in ("flavor", "vm_state", "task_state", "power_state")
)


def fault_of(row: InstanceFaultRow) -> InstanceFault:
    return InstanceFault(
        code=row.code, message=row.message, details=row.details, host=row.host, created_at=row.created_at
    )
