"""What must hold of a move that has come to its end, whoever was killed meanwhile."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.sim.checks import State, wrongs
from cloud.domain.instance import PowerState, VmState
from cloud.domain.migration import Migration, MigrationStatus
from cloud.logs.events import COMPLETED, FAILED
from tests.kills.daemons import Part
from tests.kills.moves import Move

ROLLBACK = "rollback"
_FAILED_STEP = re.compile(r"step (\w+): ")


@dataclass(frozen=True, slots=True)
class Found:
    """All that there is of one instance and its newest migration."""

    migration: Migration
    """As the database has it."""
    state: State
    """Of this instance alone; hosts without power have no say in it but for those that the database names."""
    told: Mapping[str, Any]
    """The migration as os-migrations has it."""
    server: Mapping[str, Any]
    """The server as nova-api has it."""
    events: Collection[str]
    """That are stored of the instance."""
    open_actions: Sequence[str]
    """Steps of its actions that have not ended."""
    asides: Collection[str]
    """Hosts whose hypervisors have set something of it aside."""
    remains: Sequence[str]
    """Directories of hypervisors that only a move under way has."""
    disks: Collection[str]
    """Hosts that have its disk; one for all that share it."""
    findings: Sequence[str]
    """Of the doctor, that name the instance."""


def judge(move: Move, found: Found) -> Sequence[str]:
    """A text for each thing that is wrong."""
    return list(_wrongs(move, found))


def _wrongs(move: Move, found: Found) -> Iterator[str]:
    migration = found.migration
    if migration.is_in_progress:
        yield f"migration stays {migration.status} at step {migration.step}"
        return
    if migration.status not in move.ends:
        yield f"migration has ended as {migration.status}, though nothing stood in its way for long: {migration.error}"
        return
    yield from _wrong_places(move, found)
    yield from wrongs(found.state)
    yield from _wrong_words(found)
    yield from _wrong_events(move, found)
    for name in found.open_actions:
        yield f"{name} of its action has not ended"
    for path in found.remains:
        yield f"{path} is still there"
    for finding in found.findings:
        yield f"doctor: {finding}"


def is_waiting(found: Found) -> bool:
    """Whether its old host has to keep what it had."""
    return found.migration.status is MigrationStatus.FINISHED


def _wrong_places(move: Move, found: Found) -> Iterator[str]:
    migration = found.migration
    side = move.ends[migration.status]
    expected = migration.source_compute if side is Part.SOURCE else migration.dest_compute
    [place] = found.state.instances
    if place.host != expected:
        yield f"migration is {migration.status}, and the instance on {place.host} instead of {expected}"
    vm_state = VmState.RESIZED if is_waiting(found) else VmState.ACTIVE
    if place.vm_state != vm_state:
        yield f"migration is {migration.status}, and the instance {place.vm_state}"
    guests = found.state.guests.get(place.uuid, {})
    if guests.get(place.host or "") is not PowerState.RUNNING:
        yield f"it does not run on {place.host}"
    asides = {migration.source_compute} if is_waiting(found) else set()
    if set(found.asides) != asides:
        yield f"it is set aside on {_listed(found.asides)} instead of {_listed(asides)}"
    if not is_waiting(found) and set(found.disks) != {place.host}:
        yield f"its disk is on {_listed(found.disks)}"


def _wrong_words(found: Found) -> Iterator[str]:
    migration, server = found.migration, found.server
    [place] = found.state.instances
    for name, expected in (
        ("id", migration.id),
        ("status", migration.status),
        ("source_compute", migration.source_compute),
        ("dest_compute", migration.dest_compute),
    ):
        if found.told[name] != expected:
            yield f"os-migrations says {name} {found.told[name]} instead of {expected}"
    status = "VERIFY_RESIZE" if is_waiting(found) else "ACTIVE"
    for name, expected in (
        ("status", status),
        ("OS-EXT-STS:task_state", None),
        ("OS-EXT-SRV-ATTR:host", place.host),
    ):
        if server[name] != expected:
            yield f"nova-api says {name} {server[name]} instead of {expected}"


def _wrong_events(move: Move, found: Found) -> Iterator[str]:
    """A good end has every step; one that is not names in its record and in the log at which step it failed."""
    yield from _missing(found, move.vocabulary.event("request", COMPLETED))
    ran: Sequence[str] = move.steps
    if found.migration.status is not move.good:
        match = _FAILED_STEP.match(found.migration.error or "")
        step = match.group(1) if match else None
        if step is None or step not in move.steps:
            yield f"its record does not say at which step it failed: {found.migration.error}"
            return
        at = move.steps.index(step)
        ran = move.steps[:at]
        yield from _missing(found, move.vocabulary.event(step, FAILED))
        if move.undone_from is not None and at >= move.steps.index(move.undone_from):
            yield from _missing(found, move.vocabulary.event(ROLLBACK, COMPLETED))
    for step in ran:
        yield from _missing(found, move.vocabulary.event(step, COMPLETED))


def _missing(found: Found, event: str) -> Iterator[str]:
    if event not in found.events:
        yield f"event {event} is not stored"


def _listed(hosts: Collection[str]) -> str:
    return ", ".join(sorted(hosts)) or "none"
