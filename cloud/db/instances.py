"""The table of instances: made within a quota, changed by compare-and-set, deleted together with all they take."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from cloud.db.batches import batches
from cloud.db.bounds import check_values, cut, table_of
from cloud.db.engine import Database
from cloud.db.instance_query import INSTANCE_COLUMNS, INSTANCE_FIELDS, InstanceQuery, in_states, instance_statement
from cloud.db.models import ClaimRow, FixedIpRow, InstanceFaultRow, InstanceRow
from cloud.db.quotas import UNLIMITED, QuotaLimits
from cloud.domain.expected import ANY, Expected
from cloud.domain.flavor import Flavor
from cloud.domain.instance import Instance, InstanceFault, PowerState, TaskState, VmState
from cloud.errors import CloudError, InstanceNotFoundError, InstanceStateError, QuotaError

__all__ = [
    "ANY",
    "Expected",
    "InstanceQuery",
    "InstanceTable",
    "NewInstance",
    "QuotaLimits",
    "Run",
    "Usage",
    "refuse_deleted",
]

MAX_DETAILS = 65_536
"""Characters of a fault's details that are kept."""


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
class Usage:
    """What a project's instances take in all, by what their flavors say."""

    instances: int
    cores: int
    ram_mb: int


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
        for row in rows:
            check_values(InstanceRow, row)
        with self._database.transaction() as session:
            self._database.lock(session, f"instances of {project_id}")
            _check_quota(new, quota, _usage(session, project_id))
            entered = insert(_TABLE).returning(*INSTANCE_COLUMNS, sort_by_parameter_order=True)
            return tuple(_instance(row, ()) for row in session.execute(entered, rows))

    def get(self, uuid: str, *, project_id: str | None = None, deleted: bool = False) -> Instance:
        """One instance; with `deleted` also one that is.

        InstanceNotFoundError when there is none, as for one of another project than the given.
        """
        of_it = select(*INSTANCE_COLUMNS).where(InstanceRow.uuid == uuid)
        if project_id is not None:
            of_it = of_it.where(InstanceRow.project_id == project_id)
        if not deleted:
            of_it = of_it.where(InstanceRow.deleted_at.is_(None))
        with self._database.reading() as session:
            row = session.execute(of_it).one_or_none()
            if row is None:
                raise InstanceNotFoundError(f"cannot find instance {uuid}")
            return _with_addresses(session, [row])[0]

    def list(self, query: InstanceQuery) -> tuple[Instance, ...]:
        """Those that are asked for, newest first unless the query says otherwise, with their addresses.

        BadRequestError for a marker, pattern, sort key or direction that is none.
        """
        with self._database.reading() as session:
            return _with_addresses(session, session.execute(instance_statement(session, query)).all())

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
        """What is counted against the project's quota: all of its instances that are not deleted."""
        with self._database.reading() as session:
            return _usage(session, project_id)

    def update(
        self, uuid: str, changes: Mapping[str, Any], *, expected: Expected = ANY, verb: str = "update"
    ) -> Instance:
        """Change fields of an instance that is in an expected state; as it is then.

        `changes` has names of Instance's fields, those in CHANGEABLE; times and states may also come as text, a flavor
        as its dict: as they travel. InstanceStateError says in which state it was instead, and that it could not be
        `verb`ed; InstanceNotFoundError when there is none or it is deleted; ValueError for a change that is none.
        """
        values = _changed(uuid, changes)
        with self._database.transaction() as session:
            return _with_addresses(session, [self._change(session, uuid, values, expected, verb)])[0]

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
        held = select(*INSTANCE_COLUMNS).where(*_there(uuid, expected)).with_for_update()
        with self._database.transaction() as session:
            row = session.execute(held).one_or_none()
            if row is None:
                raise _not_there(session, uuid, expected, verb)
            values = _changed(uuid, change(_with_addresses(session, [row])[0]))
            return _with_addresses(session, [self._change(session, uuid, values, expected, verb)])[0]

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
        values = {
            "instance_uuid": uuid,
            "code": code,
            "message": cut(message),
            "details": None if details is None else cut(details, MAX_DETAILS),
            "host": host,
            "created_at": self._now(),
        }
        check_values(InstanceFaultRow, values)
        with self._database.transaction() as session:
            session.execute(insert(InstanceFaultRow).values(values))

    def faults(self, uuids: Collection[str]) -> Mapping[str, InstanceFault]:
        """The newest fault of each instance that has one."""
        found = {}
        with self._database.reading() as session:
            for batch in batches(uuids):
                newest = select(func.max(InstanceFaultRow.id)).where(InstanceFaultRow.instance_uuid.in_(batch))
                of_each = newest.group_by(InstanceFaultRow.instance_uuid)
                for row in session.scalars(select(InstanceFaultRow).where(InstanceFaultRow.id.in_(of_each))):
                    found[row.instance_uuid] = _fault(row)
        return found

    def _change(
        self, session: Session, uuid: str, values: Mapping[str, Any], expected: Expected, verb: str
    ) -> Row[Any]:
        there = update(_TABLE).where(*_there(uuid, expected))
        row = session.execute(
            there.values({**values, "updated_at": self._now()}).returning(*INSTANCE_COLUMNS)
        ).one_or_none()
        if row is None:
            raise _not_there(session, uuid, expected, verb)
        return row


_TABLE = table_of(InstanceRow)
_RUN_COLUMNS = tuple(
    InstanceRow.flavor["name"].as_string() if field.name == "flavor_name" else _TABLE.columns[field.name]
    for field in fields(Run)
)


def refuse_deleted(session: Session, uuid: str) -> None:
    """InstanceNotFoundError for a deleted instance; one that is there stays so until the transaction ends.

    For who gives it something: its deletion, which takes all back, comes wholly before this or wholly after it.
    """
    there = select(InstanceRow.deleted_at).where(InstanceRow.uuid == uuid).with_for_update(read=True)
    if session.scalar(there) is not None:
        raise InstanceNotFoundError(f"cannot find instance {uuid}: it is deleted")


def _new_row(new: NewInstance, now: datetime) -> dict[str, Any]:
    return {
        "uuid": new.uuid,
        "project_id": new.project_id,
        "user_id": new.user_id,
        "display_name": new.display_name,
        **_of_flavor(new.flavor),
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


def _of_flavor(flavor: Flavor) -> dict[str, Any]:
    """The flavor as it is kept, and the parts of it that are summed and searched."""
    return {
        "flavor": flavor.as_dict(),
        "flavorid": flavor.flavorid,
        "memory_mb": flavor.memory_mb,
        "vcpus": flavor.vcpus,
        "root_gb": flavor.root_gb,
        "ephemeral_gb": flavor.ephemeral_gb,
    }


def _usage(session: Session, project_id: str) -> Usage:
    cores, ram_mb = (func.coalesce(func.sum(column), 0) for column in (InstanceRow.vcpus, InstanceRow.memory_mb))
    of_project = InstanceRow.project_id == project_id, InstanceRow.deleted_at.is_(None)
    counted = select(func.count(), cores, ram_mb).where(*of_project)
    return Usage(*session.execute(counted).one())


def _check_quota(new: Sequence[NewInstance], quota: QuotaLimits, used: Usage) -> None:
    wanted = {
        "instances": (len(new), used.instances, quota.instances),
        "cores": (sum(each.flavor.vcpus for each in new), used.cores, quota.cores),
        "ram": (sum(each.flavor.memory_mb for each in new), used.ram_mb, quota.ram_mb),
    }
    over = [
        f"quota of {resource} is {limit}, {taken} are used and {more} more were wanted"
        for resource, (more, taken, limit) in wanted.items()
        if limit != UNLIMITED and taken + more > limit
    ]
    if over:
        raise QuotaError(f"cannot create {len(new)} instances: {'; '.join(over)}")


def _there(uuid: str, expected: Expected) -> list[ColumnElement[bool]]:
    """Whether it is that instance, which is not deleted, in an expected state."""
    conditions = [InstanceRow.uuid == uuid, InstanceRow.deleted_at.is_(None)]
    if expected.vm_states is not None:
        conditions.append(in_states(InstanceRow.vm_state, expected.vm_states))
    if expected.task_states is not None:
        conditions.append(in_states(InstanceRow.task_state, expected.task_states))
    if expected.host is not None:
        conditions.append(InstanceRow.host == expected.host)
    return conditions


def _not_there(session: Session, uuid: str, expected: Expected, verb: str) -> CloudError:
    """Why no row was found."""
    state = select(InstanceRow.vm_state, InstanceRow.task_state, InstanceRow.host)
    found = session.execute(state.where(*_there(uuid, ANY))).one_or_none()
    if found is None:
        return InstanceNotFoundError(f"cannot find instance {uuid}")
    where = f", and it is on host {found.host}" if expected.host not in (None, found.host) else ""
    return InstanceStateError(
        f"cannot {verb} instance {uuid}: its vm_state is {found.vm_state}, its task_state {found.task_state}{where}"
    )


def _vm_state(value: Any) -> VmState:
    state = VmState(value)
    if state is VmState.DELETED:
        raise ValueError("an instance is deleted by `delete`")
    return state


def _time(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("it is no text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("it is neither true nor false")
    return value


_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "display_name": _text,
        "flavor": lambda value: value if isinstance(value, Flavor) else Flavor.from_dict(value),
        "image_id": _text,
        "host": _text,
        "node": _text,
        "availability_zone": _text,
        "vm_state": _vm_state,
        "task_state": TaskState,
        "power_state": PowerState,
        "progress": int,
        "key_name": _text,
        "key_data": _text,
        "user_data": _text,
        "has_config_drive": _flag,
        "metadata": dict,
        "system_metadata": dict,
        "access_ip_v4": _text,
        "access_ip_v6": _text,
        "locked_by": _text,
        "launched_at": _time,
        "terminated_at": _time,
    }
)
CHANGEABLE = frozenset(_CONVERSIONS)
"""The fields of Instance that `update` changes."""


def _changed(uuid: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes by column."""
    values = {}
    for name, value in changes.items():
        if name not in _CONVERSIONS:
            raise ValueError(f"cannot update instance {uuid}: {name} is not changed so")
        is_none = value is None and _TABLE.columns[name].nullable
        try:
            values[name] = None if is_none else _CONVERSIONS[name](value)
        except (TypeError, ValueError) as exc:
            raise ValueError(f"cannot update instance {uuid}: bad {name}: {exc}") from exc
    flavor = values.pop("flavor", None)
    if flavor is not None:
        values |= _of_flavor(flavor)
    check_values(InstanceRow, values)
    return values


def _with_addresses(session: Session, rows: Sequence[Row[Any]]) -> tuple[Instance, ...]:
    addresses = defaultdict[str, list[str]](list)
    for batch in batches([row.uuid for row in rows]):
        found = select(FixedIpRow.instance_uuid, FixedIpRow.address).where(FixedIpRow.instance_uuid.in_(batch))
        for uuid, address in session.execute(found.order_by(FixedIpRow.id)):
            addresses[uuid].append(address)
    return tuple(_instance(row, tuple(addresses.get(row.uuid, ()))) for row in rows)


def _instance(row: Row[Any], addresses: tuple[str, ...]) -> Instance:
    # By position: a list of a thousand is as fast as this is.
    values = list(row)
    values[_FLAVOR] = Flavor(**values[_FLAVOR])
    values[_VM_STATE] = VmState(values[_VM_STATE])
    values[_POWER_STATE] = PowerState(values[_POWER_STATE])
    if values[_TASK_STATE] is not None:
        values[_TASK_STATE] = TaskState(values[_TASK_STATE])
    values.append(addresses)
    return Instance(*values)


_FLAVOR, _VM_STATE, _TASK_STATE, _POWER_STATE = (
    INSTANCE_FIELDS.index(name) for name in ("flavor", "vm_state", "task_state", "power_state")
)


def _fault(row: InstanceFaultRow) -> InstanceFault:
    return InstanceFault(
        code=row.code, message=row.message, details=row.details, host=row.host, created_at=row.created_at
    )
