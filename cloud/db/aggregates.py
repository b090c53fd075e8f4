"""The table of aggregates: which hosts belong together, and which are a zone."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, insert, or_, select, update
from sqlalchemy.orm import Session

from cloud.db.bounds import MAX_INTEGER, check_values
from cloud.db.engine import Database
from cloud.db.models import AggregateHostRow, AggregateRow, ComputeNodeRow, ServiceRow
from cloud.domain.host import Aggregate
from cloud.errors import BadRequestError, ConflictError, HostNotFoundError, NotFoundError

_ZONE = "availability_zone"
_LOCK = "aggregates"  # what is refused depends on rows that others may be about to add


class AggregateTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does.

    As in nova the zone is also a key of the metadata, `availability_zone`: it is shown there, and may be set there.
    NotFoundError for an aggregate that is not there.
    """

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def create(self, name: str, availability_zone: str | None = None) -> Aggregate:
        """One without hosts; ConflictError when there is one of that name."""
        now = self._now()
        values = {"name": name, "availability_zone": availability_zone, "created_at": now, "updated_at": now}
        check_values(AggregateRow, values)
        with self._database.transaction() as session:
            self._database.lock(session, _LOCK)
            _refuse_name(session, name)
            row = insert(AggregateRow).values(**values, aggregate_metadata={}).returning(AggregateRow)
            return _aggregate(session.scalars(row).one(), [])

    def get(self, aggregate_id: int) -> Aggregate:
        with self._database.reading() as session:
            return _read(session, aggregate_id)

    def all(self) -> tuple[Aggregate, ...]:
        """Every aggregate, ordered by id; its hosts by name."""
        with self._database.reading() as session:
            return read_aggregates(session)

    def update(self, aggregate_id: int, *, name: str | None = None, availability_zone: str | None = None) -> Aggregate:
        """Change what is given.

        ConflictError for the name of another aggregate, and for a zone while one of its hosts is in a different one.
        """
        changes = {"name": name, _ZONE: availability_zone}
        return self._change(aggregate_id, {key: value for key, value in changes.items() if value is not None})

    def delete(self, aggregate_id: int) -> None:
        """ConflictError while there are hosts in it."""
        with self._database.transaction() as session:
            self._database.lock(session, _LOCK)
            aggregate = _read(session, aggregate_id)
            if aggregate.hosts:
                raise ConflictError(f"cannot delete aggregate {aggregate_id}: it has {len(aggregate.hosts)} hosts")
            session.execute(delete(AggregateRow).where(AggregateRow.id == aggregate_id))

    def add_host(self, aggregate_id: int, host: str) -> Aggregate:
        """ConflictError when it is in there already, or in another zone; HostNotFoundError when it never reported."""
        with self._database.transaction() as session:
            self._database.lock(session, _LOCK)
            aggregate = _read(session, aggregate_id)
            if not _is_known(session, host):
                raise HostNotFoundError(f"cannot add host {host} to aggregate {aggregate_id}: it has never reported")
            if host in aggregate.hosts:
                raise ConflictError(f"cannot add host {host} to aggregate {aggregate_id}: it is in there already")
            _refuse_second_zone(session, aggregate, (host,), aggregate.availability_zone)
            session.execute(insert(AggregateHostRow).values(aggregate_id=aggregate_id, host=host))
            return self._touched(session, aggregate_id)

    def remove_host(self, aggregate_id: int, host: str) -> Aggregate:
        """NotFoundError when it is not in there."""
        of_pair = delete(AggregateHostRow).where(
            AggregateHostRow.aggregate_id == aggregate_id, AggregateHostRow.host == host
        )
        with self._database.transaction() as session:
            self._database.lock(session, _LOCK)
            _read(session, aggregate_id)
            if session.scalar(of_pair.returning(AggregateHostRow.host)) is None:
                raise NotFoundError(f"cannot remove host {host} from aggregate {aggregate_id}: it is not in there")
            return self._touched(session, aggregate_id)

    def set_metadata(self, aggregate_id: int, metadata: Mapping[str, str | None]) -> Aggregate:
        """Set keys, and remove those that are None; the others stay. ConflictError for a zone as in `update`."""
        for key, value in metadata.items():
            if not 1 <= len(key) <= _MAX_METADATA or (value is not None and len(value) > _MAX_METADATA):
                raise BadRequestError(
                    f"cannot set metadata of an aggregate: a key or value is 1 to {_MAX_METADATA} long"
                )
        rest = {key: value for key, value in metadata.items() if key != _ZONE}
        changes: dict[str, Any] = {_ZONE: metadata[_ZONE]} if _ZONE in metadata else {}
        return self._change(aggregate_id, changes, rest)

    def _change(
        self, aggregate_id: int, changes: Mapping[str, Any], metadata: Mapping[str, str | None] | None = None
    ) -> Aggregate:
        check_values(AggregateRow, changes)
        values = dict(changes)
        with self._database.transaction() as session:
            self._database.lock(session, _LOCK)
            aggregate = _read(session, aggregate_id)
            if changes.get("name", aggregate.name) != aggregate.name:
                _refuse_name(session, changes["name"])
            if _ZONE in changes:
                _refuse_second_zone(session, aggregate, aggregate.hosts, changes[_ZONE])
            if metadata:
                merged = dict(aggregate.metadata) | dict(metadata)
                merged.pop(_ZONE, None)
                values["aggregate_metadata"] = {key: value for key, value in merged.items() if value is not None}
            return self._touched(session, aggregate_id, values)

    def _touched(self, session: Session, aggregate_id: int, values: Mapping[str, Any] | None = None) -> Aggregate:
        new = {**(values or {}), "updated_at": self._now()}
        session.execute(update(AggregateRow).where(AggregateRow.id == aggregate_id).values(new))
        return _read(session, aggregate_id)


_MAX_METADATA = 255


def read_aggregates(session: Session, aggregate_id: int | None = None) -> tuple[Aggregate, ...]:
    """Every aggregate, or the one of that id, in one statement."""
    pairs = (
        select(AggregateRow, AggregateHostRow.host)
        .outerjoin(AggregateHostRow, AggregateHostRow.aggregate_id == AggregateRow.id)
        .order_by(AggregateRow.id)
        .execution_options(populate_existing=True)  # the row may have been read before it was changed
    )
    if aggregate_id is not None:
        pairs = pairs.where(AggregateRow.id == aggregate_id)
    rows: dict[int, AggregateRow] = {}
    hosts = defaultdict[int, list[str]](list)
    for row, host in session.execute(pairs):
        rows[row.id] = row
        if host is not None:
            hosts[row.id].append(host)
    return tuple(_aggregate(row, hosts[row.id]) for row in rows.values())


def _read(session: Session, aggregate_id: int) -> Aggregate:
    # A number beyond the column's would be an error of SQLite's driver.
    found = read_aggregates(session, aggregate_id) if 0 < aggregate_id <= MAX_INTEGER else ()
    if not found:
        raise NotFoundError(f"cannot find aggregate {aggregate_id}")
    return found[0]


def _refuse_name(session: Session, name: str) -> None:
    if session.scalar(select(AggregateRow.id).where(AggregateRow.name == name)) is not None:
        raise ConflictError(f"cannot name an aggregate {name}: there is one")


def _refuse_second_zone(session: Session, aggregate: Aggregate, hosts: tuple[str, ...], zone: str | None) -> None:
    if zone is None:
        return
    elsewhere = (
        select(AggregateHostRow.host, AggregateRow.availability_zone)
        .join(AggregateRow, AggregateRow.id == AggregateHostRow.aggregate_id)
        .where(
            AggregateHostRow.host.in_(hosts),
            AggregateRow.id != aggregate.id,
            AggregateRow.availability_zone != zone,
        )
    )
    for host, other in sorted(map(tuple, session.execute(elsewhere))):
        raise ConflictError(f"cannot put host {host} into zone {zone}: it is in zone {other}")


def _is_known(session: Session, host: str) -> bool:
    service = exists().where(ServiceRow.host == host, ServiceRow.binary == "nova-compute")
    node = exists().where(ComputeNodeRow.host == host)
    return bool(session.scalar(select(or_(service, node))))


def _aggregate(row: AggregateRow, hosts: list[str]) -> Aggregate:
    zone = row.availability_zone
    return Aggregate(
        id=row.id,
        name=row.name,
        availability_zone=zone,
        hosts=tuple(sorted(hosts)),
        metadata=row.aggregate_metadata | ({} if zone is None else {_ZONE: zone}),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
