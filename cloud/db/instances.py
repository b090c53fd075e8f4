"""The table of instances: made within a quota, changed by compare-and-set, deleted together with all they take."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, or_, select
from sqlalchemy.orm import Session

from cloud.db.batches import batches
from cloud.db.bounds import check_values, table_of
from cloud.db.engine import Database
from cloud.db.instance_changes import (
    CHANGEABLE,
    change_instance,
    changed_values,
    is_there,
    not_there,
    of_flavor,
    refuse_deleted,
)
from cloud.db.instance_faults import NewFault, enter_fault
from cloud.db.instance_query import INSTANCE_COLUMNS, InstanceQuery, instance_statement
from cloud.db.instance_rows import fault_of, instance_of, with_addresses
from cloud.db.models import ClaimRow, FixedIpRow, InstanceFaultRow, InstanceRow
from cloud.db.quotas import QuotaLimits
from cloud.db.usage import Usage, refuse_beyond, usage_of
from cloud.domain.expected import ANY, Expected
from cloud.domain.flavor import Flavor
from cloud.domain.hostname import hostname_of
from cloud.domain.instance import Instance, InstanceFault, PowerState, TaskState, VmState
from cloud.errors import InstanceNotFoundError

__all__ = [
    "ANY",
    "CHANGEABLE",
    "Expected",
    "InstanceQuery",
    "InstanceTable",
    "NewInstance",
    "QuotaLimits",
    "Run",
    "Usage",
    "refuse_deleted",
]


@dataclass(frozen=True, slots=True)
class NewInstance:
    """All that whoever makes an instance decides of it; the fields are those of Instance."""

    uuid: str
    project_id: str
    user_id: str
    display_name: str
    flavor: Flavor
    reservation_id: str
    image_id: str | None = None
    availability_zone: str | None = None
    key_name: str | None = None
    key_data: str | None = None
    user_data: str | None = None
    has_config_drive: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    system_metadata: Mapping[str, str] = field(default_factory=dict)
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    launch_index: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """When an instance ran, and what it took; fields are as of Instance."""

    id: int
    uuid: str
    project_id: str
    display_name: str
    flavor_name: str
    memory_mb: int
    vcpus: int
    root_gb: int
    ephemeral_gb: int
    vm_state: str
    launched_at: datetime
    terminated_at: datetime | None


class InstanceTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def create(self, new: Sequence[NewInstance], quota: QuotaLimits) -> tuple[Instance, ...]:
        """Enter all, being scheduled, or none; in the order they were given.

        QuotaError when the project, which is one and the same, would have more than `quota`; it names the resources.
        """
        if not new:
            return ()
        (project_id,) = {each.project_id for each in new}
        now = self._now()
        rows = [_new_row(each, now) for each in new]
        flavors = [each.flavor for each in new]
        wanted = Usage(len(new), sum(each.vcpus for each in flavors), sum(each.memory_mb for each in flavors))
        for row in rows:
            check_values(InstanceRow, row)
        with self._database.transaction() as session:
            self._database.lock(session, f"instances of {project_id}")
            refuse_beyond(quota, usage_of(session, project_id), wanted, f"create {len(new)} instances")
            entered = insert(_TABLE).returning(*INSTANCE_COLUMNS, sort_by_parameter_order=True)
            return tuple(instance_of(row, ()) for row in session.execute(entered, rows))

    def get(self, uuid: str, *, project_id: str | None = None, deleted: bool = False) -> Instance:
        """One instance; with `deleted` also one that is.

        InstanceNotFoundError when there is none, as for one of another project than the given.
        """
        of_it = _SELECT.where(InstanceRow.uuid == uuid)
        if project_id is not None:
            of_it = of_it.where(InstanceRow.project_id == project_id)
        if not deleted:
            of_it = of_it.where(InstanceRow.deleted_at.is_(None))
        with self._database.reading() as session:
            row = session.execute(of_it).one_or_none()
            if row is None:
                raise InstanceNotFoundError(f"cannot find instance {uuid}")
            return with_addresses(session, [row])[0]

    def list(self, query: InstanceQuery) -> tuple[Instance, ...]:
        """Those that are asked for, newest first unless the query says otherwise, with their addresses.

        BadRequestError for a marker, pattern, sort key or direction that is none.
        """
        with self._database.reading() as session:
            return with_addresses(session, session.execute(instance_statement(session, query)).all())

    def runs(
        self, start: datetime, stop: datetime, *, project_id: str | None, after: Run | None, limit: int
    ) -> tuple[Run, ...]:
        """Of instances that ran between the two, deleted ones too, by id; at most `limit` of those behind `after`."""
        statement = select(*_RUN_COLUMNS).where(
            InstanceRow.launched_at < stop,
            or_(InstanceRow.terminated_at.is_(None), InstanceRow.terminated_at > start),
            or_(InstanceRow.deleted_at.is_(None), InstanceRow.updated_at >= start),  # which indexes know
        )
        if project_id is not None:
            statement = statement.where(InstanceRow.project_id == project_id)
        if after is not None:
            statement = statement.where(InstanceRow.id > after.id)
        with self._database.reading() as session:
            return tuple(Run(*row) for row in session.execute(statement.order_by(InstanceRow.id).limit(limit)))

    def on_host(self, host: str) -> tuple[Instance, ...]:
        """Those that are on the host, or being built there; newest first."""
        return self.list(InstanceQuery(host=host))

    def usage(self, project_id: str) -> Usage:
        """What is counted against the project's quota."""
        with self._database.reading() as session:
            return usage_of(session, project_id)

    def update(
        self, uuid: str, changes: Mapping[str, Any], *, expected: Expected = ANY, verb: str = "update"
    ) -> Instance:
        """Change fields of an instance that is in an expected state; as it is then.

        `changes` has names of Instance's fields, those in CHANGEABLE; times and states may also come as text, a flavor
        as its dict: as they travel. InstanceStateError says in which state it was instead, and that it could not be
        `verb`ed; InstanceNotFoundError when there is none or it is deleted; ValueError for a change that is none.
        """
        values = changed_values(uuid, changes)
        with self._database.transaction() as session:
            return with_addresses(session, [self._change(session, uuid, values, expected, verb)])[0]

    def merge(
        self,
        uuid: str,
        change: Callable[[Instance], Mapping[str, Any]],
        *,
        expected: Expected = ANY,
        verb: str = "update",
    ) -> Instance:
        """The same for changes that are made of what is there, such as one key of its metadata: nobody else writes
        between what `change` is given and what it gives.

        What it raises is raised, and nothing was changed. It must not open a transaction of its own.
        """
        held = select(*INSTANCE_COLUMNS).where(*is_there(uuid, expected)).with_for_update()
        with self._database.transaction() as session:
            row = session.execute(held).one_or_none()
            if row is None:
                raise not_there(session, uuid, expected, verb)
            values = changed_values(uuid, change(with_addresses(session, [row])[0]))
            return with_addresses(session, [self._change(session, uuid, values, expected, verb)])[0]

    def delete(self, uuid: str, *, expected: Expected = ANY) -> None:
        """Mark it deleted, and take back its claims and its addresses; the row stays. Errors as of `update`."""
        now = self._now()
        gone = {"vm_state": VmState.DELETED, "task_state": None, "terminated_at": now, "deleted_at": now}
        with self._database.transaction() as session:
            self._change(session, uuid, gone | {"power_state": PowerState.NOSTATE, "progress": 0}, expected, "delete")
            session.execute(delete(ClaimRow).where(ClaimRow.instance_uuid == uuid))
            session.execute(delete(FixedIpRow).where(FixedIpRow.instance_uuid == uuid))

    def add_fault(
        self, uuid: str, code: int, message: str, details: str | None = None, host: str | None = None
    ) -> None:
        """Note why it came to be in error; of message and details the beginning is kept."""
        with self._database.transaction() as session:
            enter_fault(session, uuid, NewFault(code, message, details, host), self._now())

    def faults(self, uuids: Collection[str]) -> Mapping[str, InstanceFault]:
        """The newest fault of each instance that has one."""
        found = {}
        with self._database.reading() as session:
            for batch in batches(uuids):
                newest = select(func.max(InstanceFaultRow.id)).where(InstanceFaultRow.instance_uuid.in_(batch))
                of_each = newest.group_by(InstanceFaultRow.instance_uuid)
                for row in session.scalars(select(InstanceFaultRow).where(InstanceFaultRow.id.in_(of_each))):
                    found[row.instance_uuid] = fault_of(row)
        return found

    def _change(
        self, session: Session, uuid: str, values: Mapping[str, Any], expected: Expected, verb: str
    ) -> Row[Any]:
        return change_instance(session, uuid, values, expected=expected, verb=verb, now=self._now())


_TABLE = table_of(InstanceRow)
_SELECT = select(*INSTANCE_COLUMNS)  # made once: of so many columns it takes longer than to be run
_RUN_COLUMNS = tuple(
    InstanceRow.flavor["name"].as_string() if field.name == "flavor_name" else _TABLE.columns[field.name]
    for field in fields(Run)
)


def _new_row(new: NewInstance, now: datetime) -> dict[str, Any]:
    return {
        "uuid": new.uuid,
        "project_id": new.project_id,
        "user_id": new.user_id,
        "display_name": new.display_name,
        "hostname": hostname_of(new.display_name, new.uuid),
        **of_flavor(new.flavor),
        "image_id": new.image_id,
        "availability_zone": new.availability_zone,
        "vm_state": VmState.BUILDING,
        "task_state": TaskState.SCHEDULING,
        "power_state": PowerState.NOSTATE,
        "progress": 0,
        "key_name": new.key_name,
        "key_data": new.key_data,
        "user_data": new.user_data,
        "has_config_drive": new.has_config_drive,
        "metadata": dict(new.metadata),
        "system_metadata": dict(new.system_metadata),
        "access_ip_v4": new.access_ip_v4,
        "access_ip_v6": new.access_ip_v6,
        "reservation_id": new.reservation_id,
        "launch_index": new.launch_index,
        "created_at": now,
        "updated_at": now,
    }
