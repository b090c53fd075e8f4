"""What became of migrations, and whether it was told where one looks: in their records, in faults, in events."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from bench.sim.events import PerInstance
from bench.sim.migrations import Moved
from cloud.db.engine import Database
from cloud.db.models import InstanceFaultRow, MigrationRow
from cloud.domain.migration import IN_PROGRESS
from cloud.logs.events import FAILED, PROGRESS


@dataclass(frozen=True, slots=True)
class Record:
    """Of a migration, as the database has it."""

    status: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """Of all migrations that went one way: how many there were, and where it was told how they ended."""

    way: str
    asked: int
    ended_so: int
    in_record: int
    in_fault: int
    in_events: int


def read_records(database: Database) -> tuple[Mapping[int, Record], Collection[str]]:
    """Of each migration, and the instances that have a fault."""
    with database.reading() as session:
        rows = session.execute(select(MigrationRow.id, MigrationRow.status, MigrationRow.error)).all()
        faulty = set(session.scalars(select(InstanceFaultRow.instance_uuid)))
    return {number: Record(status, error) for number, status, error in rows}, faulty


def without_progress(events: PerInstance) -> dict[str, Counter[str]]:
    """How often progress is told depends on the time."""
    return {
        key: Counter({event: count for event, count in found.items() if not event.endswith(f".{PROGRESS}")})
        for key, found in events.items()
    }


def tell_by_way(
    moved: Sequence[Moved], records: Mapping[int, Record], faulty: Collection[str], events: PerInstance
) -> Sequence[Told]:
    """In the order of their names."""
    by_way: dict[str, list[Moved]] = defaultdict(list)
    for each in moved:
        by_way[each.task.way.name].append(each)
    return [_told(name, by_way[name], records, faulty, events) for name in sorted(by_way)]


def record_wrongs(moved: Sequence[Moved], records: Mapping[int, Record], faulty: Collection[str]) -> Iterator[str]:
    """A text for each migration that has not ended as it should, or is not told in its record and by a fault."""
    for each in moved:
        way, record = each.task.way, records[each.migration_id]
        name = f"migration {each.migration_id} of {each.task.uuid} ({way.name})"
        if record.status != way.status:
            yield f"{name} has ended as {record.status} instead of {way.status}: {record.error}"
        if way.step is not None and not _is_in_record(each, record):
            yield f"{name}: its record does not say that it failed at {way.step}: {record.error}"
        if (each.task.uuid in faulty) != _is_fault_due(each):
            yield f"{name}: there is {'a' if each.task.uuid in faulty else 'no'} fault"
    for number, record in sorted(records.items()):
        if record.status in IN_PROGRESS:
            yield f"migration {number} stays {record.status}"


def _is_in_record(moved: Moved, record: Record) -> bool:
    return record.error is not None and f"step {moved.task.way.step}" in record.error


def _is_fault_due(moved: Moved) -> bool:
    return moved.task.way.step is not None and moved.task.way.has_fault


def _told(
    name: str, moved: Sequence[Moved], records: Mapping[int, Record], faulty: Collection[str], events: PerInstance
) -> Told:
    way = moved[0].task.way
    failure = None if way.step is None else way.vocabulary.event(way.step, FAILED)
    found = [events.get(str(each.migration_id), Counter()) for each in moved]
    return Told(
        name,
        len(moved),
        sum(records[each.migration_id].status == way.status for each in moved),
        sum(_is_in_record(each, records[each.migration_id]) for each in moved),
        sum(each.task.uuid in faulty for each in moved),
        sum(each[failure] == 1 if failure else each == way.events() for each in found),
    )
