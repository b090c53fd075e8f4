"""Every kind of move, how it is asked for, its steps in order, and by what it is kept at each until somebody is killed.

Of the hosts 1 and 2 each has its own disks, 3 and 4 share them. 5 is as the former and 6 as the latter, and they are
there to fail.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloud.domain.migration import MigrationStatus
from cloud.logs.events import EVACUATE, MIGRATION, RESIZE, Procedure
from tests.kills.daemons import Part

OWN, SHARED = ("compute-01", "compute-02"), ("compute-03", "compute-04")
BROKEN_OWN, BROKEN_SHARED = "compute-05", "compute-06"
HOLD_S = 16.0
"""So long a hypervisor takes for a step: until all who are to be there are, and somebody is killed."""
LARGER = "2"
"""The flavor that instances are resized to."""

SOURCE, DESTINATION, CONDUCTOR = Part.SOURCE, Part.DESTINATION, Part.CONDUCTOR


@dataclass(frozen=True, slots=True)
class Knob:
    """A step of the simulated hypervisor of one of the two hosts, for one instance."""

    part: Part
    step: str
    hold_s: float = HOLD_S


@dataclass(frozen=True, slots=True, eq=False)
class At:
    """A step in the middle of which a move is kept, and whom it is worth to kill then."""

    step: str
    killed: Sequence[Part]
    kept_by: Knob | Part | None
    """A hypervisor that takes its time, or a daemon that is stopped beforehand; None: the conductor is stopped as soon
    as it is seen there.
    """
    when: str = ""
    """Where in the step, if it matters."""
    fails: Knob | None = None
    """What fails, so that all is undone."""
    undoes: str | None = None
    """The step from which on it is, for `rollback`."""


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """One kind."""

    name: str
    hosts: tuple[str, str]
    """The source, and where it goes."""
    request: Mapping[str, Any]
    """The action's body."""
    vocabulary: Procedure
    steps: Sequence[str]
    """In order, as all of them run."""
    ends: Mapping[MigrationStatus, Part]
    """Which host has the instance then; the first one is for a move that has done all it should."""
    undone_from: str | None
    """The first step whose failure leaves something to undo."""
    at: Sequence[At]
    after: "Move | None" = None
    """What is finished before."""

    @property
    def good(self) -> MigrationStatus:
        return next(iter(self.ends))

    @property
    def is_evacuation(self) -> bool:
        return self.vocabulary is EVACUATE

    def host_of(self, part: Part) -> str:
        """Of SOURCE or DESTINATION."""
        return self.hosts[0] if part is SOURCE else self.hosts[1]


_SCHEDULE = At("schedule", (CONDUCTOR, Part.SCHEDULER), Part.SCHEDULER)
_CLAIM = At("claim", (CONDUCTOR,), None)

_LIVE_STEPS = ("source_check", "schedule", "claim", "dest_check", "pre", "transfer", "post", "cleanup")
_LIVE_ENDS = {
    MigrationStatus.COMPLETED: DESTINATION,
    MigrationStatus.FAILED: SOURCE,
    MigrationStatus.CANCELLED: SOURCE,
}
_LIVE_AT = (
    At("source_check", (CONDUCTOR, SOURCE), Knob(SOURCE, "check_can_leave")),
    _SCHEDULE,
    _CLAIM,
    # Asked at source_check too: not for so long that the others of its wave have passed their own.
    At("dest_check", (SOURCE,), Knob(SOURCE, "check_can_leave", hold_s=5.0), "source is asked"),
    At("dest_check", (CONDUCTOR, DESTINATION), Knob(DESTINATION, "check_can_come")),
    At("pre", (CONDUCTOR, DESTINATION), Knob(DESTINATION, "prepare_arrival.ready")),
    At("transfer", (CONDUCTOR, SOURCE, DESTINATION), Knob(SOURCE, "transfer.memory")),
    At("transfer", (CONDUCTOR, SOURCE, DESTINATION), Knob(SOURCE, "transfer.depart"), "all is sent"),
    At("post", (CONDUCTOR, DESTINATION), Knob(DESTINATION, "complete_arrival")),
    At("cleanup", (CONDUCTOR, SOURCE), Knob(SOURCE, "clear_departed")),
    At(
        "rollback",
        (CONDUCTOR, DESTINATION),
        Knob(DESTINATION, "cancel_arrival"),
        fails=Knob(SOURCE, "transfer.memory"),
        undoes="transfer",
    ),
)

_RESIZE_STEPS = ("schedule", "claim", "pre", "transfer", "post")
_RESIZE_ENDS = {
    MigrationStatus.FINISHED: DESTINATION,
    MigrationStatus.FAILED: SOURCE,
    MigrationStatus.CANCELLED: SOURCE,
}
_RESIZE_AT = (
    _SCHEDULE,
    _CLAIM,
    At("pre", (CONDUCTOR, DESTINATION), Knob(DESTINATION, "prepare_disk.ready")),
    At("pre", (SOURCE,), Knob(SOURCE, "power_off"), "source is asked"),
    At("post", (SOURCE,), Knob(SOURCE, "set_aside"), "source is asked"),
    At("post", (CONDUCTOR, DESTINATION), Knob(DESTINATION, "adopt.define")),
    At("post", (CONDUCTOR, DESTINATION), Knob(DESTINATION, "power_on"), "handed over"),
    At(
        "rollback",
        (CONDUCTOR, SOURCE),
        Knob(SOURCE, "take_back"),
        fails=Knob(DESTINATION, "adopt.disk"),
        undoes="post",
    ),
    At(
        "rollback",
        (DESTINATION,),
        Knob(DESTINATION, "drop_aside"),
        "destination is asked",
        fails=Knob(DESTINATION, "adopt.disk"),
        undoes="post",
    ),
)
_DISK_IS_SENT = At("transfer", (CONDUCTOR, SOURCE, DESTINATION), Knob(SOURCE, "send_disk.copy"))
_DISK_STAYS = At("transfer", (CONDUCTOR,), None)

_CONFIRM_AT = (
    At("confirm", (CONDUCTOR, SOURCE), Knob(SOURCE, "drop_aside")),
    At("cleanup", (CONDUCTOR,), None),
)
_REVERT_AT = (
    At("revert", (DESTINATION,), Knob(DESTINATION, "set_aside"), "destination is asked"),
    At("revert", (CONDUCTOR, SOURCE), Knob(SOURCE, "take_back")),
    At("revert", (CONDUCTOR, SOURCE), Knob(SOURCE, "power_on"), "handed over"),
    At("cleanup", (CONDUCTOR, DESTINATION), Knob(DESTINATION, "drop_aside")),
)

_EVACUATE_STEPS = ("source_check", "schedule", "claim", "network", "image", "spawn", "cleanup")


def _live(name: str, hosts: tuple[str, str], *, block: bool) -> Move:
    request = {"os-migrateLive": {"host": hosts[1], "block_migration": block}}
    return Move(name, hosts, request, MIGRATION, _LIVE_STEPS, _LIVE_ENDS, "claim", _LIVE_AT)


def _off(name: str, hosts: tuple[str, str], request: Mapping[str, Any], transfer: At) -> tuple[Move, Move, Move]:
    """A move of an instance that is off meanwhile, and its two ends."""
    moved = Move(name, hosts, request, RESIZE, _RESIZE_STEPS, _RESIZE_ENDS, "claim", (*_RESIZE_AT, transfer))
    confirmed = {MigrationStatus.CONFIRMED: DESTINATION, MigrationStatus.FINISHED: DESTINATION}
    reverted = {MigrationStatus.REVERTED: SOURCE, MigrationStatus.FINISHED: DESTINATION}
    return (
        moved,
        Move(
            f"{name}-confirm", hosts, {"confirmResize": None}, RESIZE, ("confirm", "cleanup"), confirmed, None,
            _CONFIRM_AT, moved,
        ),
        Move(
            f"{name}-revert", hosts, {"revertResize": None}, RESIZE, ("revert", "cleanup"), reverted, "revert",
            _REVERT_AT, moved,
        ),
    )  # fmt: skip


def _evacuation(name: str, hosts: tuple[str, str], spawn: Knob) -> Move:
    at = (
        At("source_check", (CONDUCTOR,), None),
        _SCHEDULE,
        _CLAIM,
        At("network", (CONDUCTOR, Part.NETWORK), Part.NETWORK),
        At("image", (CONDUCTOR, DESTINATION), DESTINATION),
        At("spawn", (CONDUCTOR, DESTINATION), spawn),
        At("cleanup", (CONDUCTOR,), None),
    )
    request = {"evacuate": {"host": hosts[1]}}
    return Move(name, hosts, request, EVACUATE, _EVACUATE_STEPS, _LIVE_ENDS, "claim", at)


MOVES: Mapping[str, Move] = {
    move.name: move
    for move in (
        _live("live-block", OWN, block=True),
        _live("live-shared", SHARED, block=False),
        *_off("cold", OWN, {"migrate": None}, _DISK_IS_SENT),
        *_off("resize", SHARED, {"resize": {"flavorRef": LARGER}}, _DISK_STAYS),
        _evacuation("evacuate-image", (BROKEN_OWN, OWN[1]), Knob(DESTINATION, "spawn.boot")),
        _evacuation("evacuate-shared", (BROKEN_SHARED, SHARED[1]), Knob(DESTINATION, "define_again.disk")),
    )
}
"""By name."""
