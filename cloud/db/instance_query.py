"""Which instances are asked for, in which order and how many -> the statement that finds them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, literal, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from cloud.db.batches import MAX_PARAMETERS
from cloud.db.bounds import table_of
from cloud.db.models import FixedIpRow, InstanceRow, StoredText
from cloud.db.pattern import matches
from cloud.domain.instance import Instance, TaskState, VmState
from cloud.errors import BadRequestError


@dataclass(frozen=True, slots=True)
class InstanceQuery:
    """All conditions have to hold; None is no condition."""

    project_id: str | None = None
    is_deleted: bool | None = False
    host: str | None = None
    name: str | None = None
    """A regular expression that is found in the name; which are read, `cloud.db.pattern.matches` says."""
    exact_name: str | None = None
    vm_states: Collection[VmState] | None = None
    task_states: Collection[TaskState | None] | None = None
    image_id: str | None = None
    flavorid: str | None = None
    ip: str | None = None
    """A regular expression, as of `name`, that is found at the beginning of one of its addresses."""
    uuids: Collection[str] | None = None
    reservation_id: str | None = None
    user_id: str | None = None
    changes_since: datetime | None = None
    """Those that changed then or later."""
    marker: str | None = None
    """The uuid of the last instance of the page before."""
    limit: int | None = None
    sort_keys: Sequence[str] = ()
    """Of SORT_KEYS; what is alike in all of them comes by id, in the direction of the first."""
    sort_dirs: Sequence[str] = ()
    """`asc` or `desc` for each key, in their order; `desc` where there is none."""


SORT_KEYS: Mapping[str, InstrumentedAttribute[Any]] = {
    "created_at": InstanceRow.created_at,
    "updated_at": InstanceRow.updated_at,
    "launched_at": InstanceRow.launched_at,
    "terminated_at": InstanceRow.terminated_at,
    "id": InstanceRow.id,
    "uuid": InstanceRow.uuid,
    "display_name": InstanceRow.display_name,
    "name": InstanceRow.display_name,
    "project_id": InstanceRow.project_id,
    "user_id": InstanceRow.user_id,
    "host": InstanceRow.host,
    "node": InstanceRow.node,
    "availability_zone": InstanceRow.availability_zone,
    "vm_state": InstanceRow.vm_state,
    "task_state": InstanceRow.task_state,
    "power_state": InstanceRow.power_state,
    "progress": InstanceRow.progress,
    "image_ref": InstanceRow.image_id,
    "flavorid": InstanceRow.flavorid,
    "key_name": InstanceRow.key_name,
    "launch_index": InstanceRow.launch_index,
    "locked_by": InstanceRow.locked_by,
    "access_ip_v4": InstanceRow.access_ip_v4,
    "access_ip_v6": InstanceRow.access_ip_v6,
}
"""By the names that nova has for them. Text comes by its code points; what is None, before all else."""

_BEFORE_ALL = datetime(1, 1, 1, tzinfo=UTC)

INSTANCE_FIELDS = tuple(field.name for field in fields(Instance) if field.name != "addresses")
INSTANCE_COLUMNS = tuple(table_of(InstanceRow).columns[name] for name in INSTANCE_FIELDS)
"""Of a row, all that Instance has, in the order of its fields."""


def instance_statement(session: Session, query: InstanceQuery) -> Select[Any]:
    """Rows of INSTANCE_COLUMNS, in order. BadRequestError for a marker, pattern, sort key or direction that is none."""
    is_sqlite = session.connection().dialect.name == "sqlite"
    order = _order(query, is_sqlite=is_sqlite)
    statement = select(*INSTANCE_COLUMNS).where(*_conditions(query, is_sqlite=is_sqlite))
    if query.marker is not None:
        statement = statement.where(_behind(session, query, order))
    statement = statement.order_by(*(term.ordered for term in order))
    return statement if query.limit is None else statement.limit(query.limit)


@dataclass(frozen=True, slots=True)
class _Term:
    """One thing to order by."""

    value: ColumnElement[Any]
    is_descending: bool

    @property
    def ordered(self) -> ColumnElement[Any]:
        return self.value.desc() if self.is_descending else self.value.asc()

    def is_behind(self, marker: object) -> ColumnElement[bool]:
        other = literal(marker, self.value.type)
        return self.value < other if self.is_descending else self.value > other


def _conditions(query: InstanceQuery, *, is_sqlite: bool) -> list[ColumnElement[bool]]:
    equal: Mapping[InstrumentedAttribute[Any], str | None] = {
        InstanceRow.project_id: query.project_id,
        InstanceRow.host: query.host,
        InstanceRow.display_name: query.exact_name,
        InstanceRow.image_id: query.image_id,
        InstanceRow.flavorid: query.flavorid,
        InstanceRow.reservation_id: query.reservation_id,
        InstanceRow.user_id: query.user_id,
    }
    conditions: list[ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    if query.is_deleted is not None:
        deleted_at = InstanceRow.deleted_at
        conditions.append(deleted_at.is_not(None) if query.is_deleted else deleted_at.is_(None))
    if query.name is not None:
        conditions.append(matches(InstanceRow.display_name, query.name, is_sqlite=is_sqlite))
    if query.vm_states is not None:
        conditions.append(in_states(InstanceRow.vm_state, query.vm_states))
    if query.task_states is not None:
        conditions.append(in_states(InstanceRow.task_state, query.task_states))
    if query.ip is not None:
        has_it = matches(FixedIpRow.address, query.ip, is_sqlite=is_sqlite, is_from_start=True)
        conditions.append(exists().where(FixedIpRow.instance_uuid == InstanceRow.uuid, has_it))
    if query.uuids is not None:
        if len(query.uuids) > MAX_PARAMETERS:
            raise BadRequestError(f"cannot list {len(query.uuids)} instances by uuid: {MAX_PARAMETERS} at the most")
        conditions.append(InstanceRow.uuid.in_(query.uuids))
    if query.changes_since is not None:
        conditions.append(InstanceRow.updated_at >= query.changes_since)
    return conditions


def in_states(column: InstrumentedAttribute[Any], states: Collection[str | None]) -> ColumnElement[bool]:
    """Whether the column has one of the states, of which None is NULL."""
    named = column.in_([state for state in states if state is not None])
    return or_(named, column.is_(None)) if None in states else named


def _order(query: InstanceQuery, *, is_sqlite: bool) -> list[_Term]:
    keys = tuple(query.sort_keys) or ("created_at",)
    dirs = (*query.sort_dirs, *("desc",) * (len(keys) - len(query.sort_dirs)))
    if len(dirs) > len(keys):
        raise BadRequestError(f"cannot sort instances: {len(query.sort_dirs)} directions for {len(keys)} keys")
    for key, direction in zip(keys, dirs, strict=True):
        if key not in SORT_KEYS:
            raise BadRequestError(f"cannot sort instances by {key}: there is no such key")
        if direction not in ("asc", "desc"):
            raise BadRequestError(f"cannot sort instances {direction}: a direction is asc or desc")
    terms: dict[str, _Term] = {}
    for key, direction in zip(keys, dirs, strict=True):
        terms.setdefault(key, _Term(_sortable(SORT_KEYS[key], is_sqlite=is_sqlite), direction == "desc"))
    terms.setdefault("id", _Term(InstanceRow.id.expression, dirs[0] == "desc"))
    return list(terms.values())


def _sortable(column: InstrumentedAttribute[Any], *, is_sqlite: bool) -> ColumnElement[Any]:
    """The column so that both databases order it alike; one that needs nothing stays as it is, for its index's sake."""
    is_text = isinstance(column.type, StoredText)
    value: ColumnElement[Any] = column.expression
    if column.expression.nullable:
        value = func.coalesce(value, "" if is_text else literal(_BEFORE_ALL, column.type))
    return value.collate("C") if is_text and not is_sqlite else value


def _behind(session: Session, query: InstanceQuery, order: Sequence[_Term]) -> ColumnElement[bool]:
    """Whether a row comes after the marker's, which may be deleted meanwhile, but not another project's."""
    marker = select(*(term.value for term in order)).where(InstanceRow.uuid == query.marker)
    if query.project_id is not None:
        marker = marker.where(InstanceRow.project_id == query.project_id)
    found = session.execute(marker).one_or_none()
    if found is None:
        raise BadRequestError(f"cannot list instances behind {query.marker}: there is no such instance")
    if len({term.is_descending for term in order}) == 1:  # as one comparison, which an index can begin with
        here = tuple_(*(term.value for term in order))
        there = tuple_(*(literal(value, term.value.type) for term, value in zip(order, found, strict=True)))
        return here < there if order[0].is_descending else here > there
    pairs = list(zip(order, found, strict=True))
    return or_(
        *(
            and_(
                *(term.value == literal(value, term.value.type) for term, value in pairs[:index]), last.is_behind(bound)
            )
            for index, (last, bound) in enumerate(pairs)
        )
    )
