"""Which instance migrates, how, and to which host: chosen by a seed, so that a run can be repeated."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.sim.ways import COLD, DESTINATION_DEAD, FAILING, HOST_FULL, LIVE, SOURCE_DIES, Way

COLD_SHARE = 0.2
"""Of those that are left to themselves."""


@dataclass(frozen=True, slots=True)
class Task:
    """One migration that is to be asked for."""

    uuid: str
    source: str
    way: Way
    destination: str | None = None


@dataclass(frozen=True, slots=True)
class Hosts:
    """What kinds there are; each host is of one."""

    plain: Sequence[str]
    mortal: Sequence[str]
    """Whose process can be killed without another's. New instances do not come there."""
    full: str
    """Has no room for one more."""


def ways_of(migrations: int, failing: int) -> list[Way]:
    """`failing` of them take turns in all the ways to fail, of the others a share is cold."""
    rest = migrations - failing
    cold = round(rest * COLD_SHARE)
    return [*(FAILING[number % len(FAILING)] for number in range(failing)), *[COLD] * cold, *[LIVE] * (rest - cold)]


def choose(places: Mapping[str, str], hosts: Hosts, ways: Sequence[Way], seed: int) -> list[Task]:
    """A task for each way, of another instance each; `places` are the hosts of instances.

    ValueError where there are too few.
    """
    chance = random.Random(seed)  # noqa: S311 - it is to be repeated
    free = {
        is_mortal: [uuid for uuid, host in sorted(places.items()) if (host in hosts.mortal) is is_mortal]
        for is_mortal in (False, True)
    }
    for uuids in free.values():
        chance.shuffle(uuids)
    tasks = []
    for way in ways:
        uuids = free[way is SOURCE_DIES]
        if not uuids:
            raise ValueError(f"cannot choose instances for {len(ways)} migrations: there are too few for {way.name}")
        uuid = uuids.pop()
        tasks.append(Task(uuid, places[uuid], way, _destination(way, places[uuid], hosts, chance)))
    chance.shuffle(tasks)
    return tasks


def _destination(way: Way, source: str, hosts: Hosts, chance: random.Random) -> str | None:
    if not way.needs_host:
        return None
    if way is HOST_FULL:
        return hosts.full
    among = hosts.mortal if way is DESTINATION_DEAD else hosts.plain
    return chance.choice([host for host in among if host != source])
