"""What must hold at the end: no instance is on two hosts, no claim leaks, no task_state sticks."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from cloud.db.engine import Database
from cloud.db.models import ClaimRow, FixedIpRow, InstanceRow
from cloud.domain.flavor import Resources
from cloud.domain.instance import PowerState, VmState
from cloud.virt.simulated.guest import Guest


@dataclass(frozen=True, slots=True)
class Place:
    """An instance as the database has it."""

    uuid: str
    host: str | None
    vm_state: str
    task_state: str | None
    size: Resources
    kept: Mapping[str, Resources] = field(default_factory=dict)
    """What it has on other hosts until its resize is confirmed or reverted."""


@dataclass(frozen=True, slots=True)
class State:
    """Of the whole cloud."""

    instances: Sequence[Place]
    """Those that are not deleted."""
    claims: Mapping[str, Mapping[str, Resources]]
    """By instance and host."""
    addresses: Mapping[str, int]
    """How many each instance has."""
    guests: Mapping[str, Mapping[str, PowerState]]
    """What the hypervisors have, by instance and host."""


def read_state(database: Database, hosts: Path, state_path: str = "") -> State:
    """`hosts` has the directory of each compute host, and that its `state_path`."""
    claims: dict[str, dict[str, Resources]] = defaultdict(dict)
    addresses: dict[str, int] = defaultdict(int)
    with database.reading() as session:
        rows = session.scalars(select(InstanceRow).where(InstanceRow.deleted_at.is_(None))).all()
        for claim in session.scalars(select(ClaimRow)):
            claims[claim.instance_uuid][claim.host] = Resources(claim.memory_mb, claim.vcpus, claim.disk_gb)
        for uuid in session.scalars(select(FixedIpRow.instance_uuid)):
            addresses[uuid] += 1
    places = [
        Place(
            row.uuid,
            row.host,
            row.vm_state,
            row.task_state,
            Resources(row.memory_mb, row.vcpus, row.root_gb + row.ephemeral_gb),
        )
        for row in rows
    ]
    return State(places, claims, addresses, read_guests(hosts, state_path))


def read_guests(hosts: Path, state_path: str = "") -> Mapping[str, Mapping[str, PowerState]]:
    """By instance and host, from the directories of the drivers."""
    guests: dict[str, dict[str, PowerState]] = defaultdict(dict)
    for file in hosts.glob(f"{Path('*', state_path)}/simulated/instances/*/guest.json"):
        host = file.relative_to(hosts).parts[0]
        guests[file.parent.name][host] = Guest.from_json(file.read_text()).power_state
    return guests


def wrongs(state: State) -> Iterator[str]:
    """A text for each thing that must not be."""
    there = {place.uuid for place in state.instances}
    for place in state.instances:
        yield from _wrongs_of(place, state)
    for uuid in sorted(state.claims.keys() - there):
        yield f"instance {uuid} is deleted and has claims on {_listed(state.claims[uuid])}"
    for uuid in sorted(state.guests.keys() - there):
        yield f"instance {uuid} is deleted and has guests on {_listed(state.guests[uuid])}"
    for uuid in sorted(state.addresses.keys() - there):
        yield f"instance {uuid} is deleted and has an address"


def _wrongs_of(place: Place, state: State) -> Iterator[str]:
    uuid = place.uuid
    if place.task_state is not None or place.vm_state == VmState.BUILDING:
        yield f"instance {uuid} stays in vm_state {place.vm_state}, task_state {place.task_state}"
    claims, guests = state.claims.get(uuid, {}), state.guests.get(uuid, {})
    expected = {} if place.host is None else {**place.kept, place.host: place.size}
    if claims != expected:
        yield f"instance {uuid} is on {place.host} and has claims on {_listed(claims)}"
    running = [host for host, power_state in guests.items() if power_state is PowerState.RUNNING]
    if len(running) > 1:
        yield f"instance {uuid} runs on {', '.join(sorted(running))}"
    if guests.keys() != ({place.host} if place.host is not None else set()):
        yield f"instance {uuid} is on {place.host} and has guests on {_listed(guests)}"
    if place.vm_state == VmState.ACTIVE and running != [place.host]:
        yield f"instance {uuid} is active on {place.host} and runs on {_listed(running)}"
    if state.addresses.get(uuid, 0) != (0 if place.host is None else 1):
        yield f"instance {uuid} is on {place.host} and has {state.addresses.get(uuid, 0)} addresses"


def _listed(hosts: Mapping[str, object] | Sequence[str]) -> str:
    return ", ".join(sorted(hosts)) or "none"
