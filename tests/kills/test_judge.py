"""The judge of kills, which has to find each kind of wrong, and none where there is none."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bench.sim.checks import Place, State
from cloud.domain.flavor import Flavor, Resources
from cloud.domain.instance import PowerState, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from tests.kills.judge import Found, judge
from tests.kills.moves import MOVES, Move

AT = datetime(2026, 1, 1, tzinfo=UTC)
TINY = Flavor(1, "1", "m1.tiny", 512, 1, 1)
SIZE = Resources(512, 1, 1)
LIVE = MOVES["live-block"]
COLD = MOVES["cold"]
REVERT = MOVES["cold-revert"]
UNDONE = {"status": MigrationStatus.FAILED, "error": "step pre: cannot prepare arrival: no answer"}
LIVE_EVENTS = [f"migration.{step}.completed" for step in ("request", *LIVE.steps)]
COLD_EVENTS = [f"resize.{step}.completed" for step in ("request", *COLD.steps)]
UNDONE_EVENTS = [
    *(f"migration.{step}.completed" for step in ("request", "source_check", "schedule", "claim", "dest_check")),
    "migration.pre.failed",
    "migration.rollback.completed",
]


def found(
    migration: Mapping[str, Any], host: str = "two", events: list[str] = LIVE_EVENTS, *, is_waiting: bool = False
) -> Found:
    """All as it should be, of an instance that has gone from host one to host two, or has not."""
    moved = Migration(
        id=7, uuid="m", instance_uuid="a", type=MigrationType.LIVE, request_id="req-1",
        source_compute="one", dest_compute="two", old_flavor=TINY, new_flavor=TINY, old_vm_state=VmState.ACTIVE,
        created_at=AT, updated_at=AT, **migration,
    )  # fmt: skip
    kept = {"one": SIZE} if is_waiting else {}
    place = Place("a", host, "resized" if is_waiting else "active", None, SIZE, kept)
    return Found(
        migration=moved,
        state=State([place], {"a": {**kept, host: SIZE}}, {"a": 1}, {"a": {host: PowerState.RUNNING}}),
        told={"id": 7, "status": moved.status, "source_compute": "one", "dest_compute": "two"},
        server={
            "status": "VERIFY_RESIZE" if is_waiting else "ACTIVE",
            "OS-EXT-STS:task_state": None,
            "OS-EXT-SRV-ATTR:host": host,
        },
        events=events,
        open_actions=[],
        asides=["one"] if is_waiting else [],
        remains=[],
        disks=[host, "one"] if is_waiting else [host],
        findings=[],
    )


COMPLETED = found({"status": MigrationStatus.COMPLETED})
FAILED = found(UNDONE, "one", UNDONE_EVENTS)
WAITING = found({"status": MigrationStatus.FINISHED}, events=COLD_EVENTS, is_waiting=True)
STILL_WAITING = found(
    {"status": MigrationStatus.FINISHED, "error": "step revert: nova-compute on host one is down"},
    events=["resize.request.completed", "resize.revert.failed", "resize.rollback.completed"],
    is_waiting=True,
)


def having(good: Found, **changes: Any) -> Found:
    """Changes of its migration, its place, its state, or of itself."""
    for name, value in changes.items():
        if name in Place.__dataclass_fields__:
            [place] = good.state.instances
            good = replace(good, state=replace(good.state, instances=[replace(place, **{name: value})]))
        elif name in State.__dataclass_fields__:
            good = replace(good, state=replace(good.state, **{name: value}))
        elif name in Found.__dataclass_fields__:
            good = replace(good, **{name: value})
        else:
            good = replace(good, migration=replace(good.migration, **{name: value}))
    return good


@pytest.mark.parametrize(
    ("move", "good"), [(LIVE, COMPLETED), (LIVE, FAILED), (COLD, WAITING), (REVERT, STILL_WAITING)]
)
def test_move_in_order_has_nothing_wrong(move: Move, good: Found) -> None:
    assert judge(move, good) == []


@pytest.mark.parametrize(
    ("move", "good", "changes", "text"),
    [
        (LIVE, COMPLETED, {"status": MigrationStatus.RUNNING, "step": "transfer"}, "migration stays running at step transfer"),
        (LIVE, COMPLETED, {"status": MigrationStatus.ERROR, "error": "step post: x"}, "migration has ended as error, though nothing stood in its way for long: step post: x"),
        (LIVE, COMPLETED, {"host": "one"}, "migration is completed, and the instance on one instead of two"),
        (LIVE, FAILED, {"host": "two"}, "migration is failed, and the instance on two instead of one"),
        (COLD, WAITING, {"vm_state": "active"}, "migration is finished, and the instance active"),
        (LIVE, COMPLETED, {"vm_state": "error"}, "migration is completed, and the instance error"),
        (LIVE, COMPLETED, {"task_state": "migrating"}, "instance a stays in vm_state active, task_state migrating"),
        (LIVE, COMPLETED, {"guests": {"a": {"two": PowerState.SHUTDOWN}}}, "it does not run on two"),
        (LIVE, COMPLETED, {"guests": {"a": {"one": PowerState.RUNNING}}}, "it does not run on two"),
        (COLD, WAITING, {"guests": {"a": {"two": PowerState.SHUTDOWN}}}, "it does not run on two"),
        (LIVE, COMPLETED, {"guests": {"a": {"one": PowerState.RUNNING, "two": PowerState.RUNNING}}}, "instance a runs on one, two"),
        (LIVE, COMPLETED, {"guests": {"a": {"one": PowerState.SHUTDOWN, "two": PowerState.RUNNING}}}, "instance a is on two and has guests on one, two"),
        (LIVE, COMPLETED, {"claims": {"a": {"one": SIZE, "two": SIZE}}}, "instance a is on two and has claims on one, two"),
        (LIVE, COMPLETED, {"claims": {}}, "instance a is on two and has claims on none"),
        (COLD, WAITING, {"claims": {"a": {"two": SIZE}}}, "instance a is on two and has claims on two"),
        (LIVE, COMPLETED, {"addresses": {}}, "instance a is on two and has 0 addresses"),
        (LIVE, COMPLETED, {"asides": ["one"]}, "it is set aside on one instead of none"),
        (COLD, WAITING, {"asides": []}, "it is set aside on none instead of one"),
        (LIVE, COMPLETED, {"disks": ["one", "two"]}, "its disk is on one, two"),
        (LIVE, COMPLETED, {"disks": []}, "its disk is on none"),
        (LIVE, COMPLETED, {"remains": ["hosts/one/departed/a"]}, "hosts/one/departed/a is still there"),
        (LIVE, COMPLETED, {"told": {**COMPLETED.told, "status": "running"}}, "os-migrations says status running instead of completed"),
        (LIVE, COMPLETED, {"told": {**COMPLETED.told, "dest_compute": "three"}}, "os-migrations says dest_compute three instead of two"),
        (LIVE, COMPLETED, {"server": {**COMPLETED.server, "status": "MIGRATING"}}, "nova-api says status MIGRATING instead of ACTIVE"),
        (COLD, WAITING, {"server": {**WAITING.server, "OS-EXT-SRV-ATTR:host": "one"}}, "nova-api says OS-EXT-SRV-ATTR:host one instead of two"),
        (LIVE, COMPLETED, {"events": LIVE_EVENTS[1:]}, "event migration.request.completed is not stored"),
        (LIVE, COMPLETED, {"events": LIVE_EVENTS[:-1]}, "event migration.cleanup.completed is not stored"),
        (COLD, WAITING, {"events": COLD_EVENTS[:-1]}, "event resize.post.completed is not stored"),
        (LIVE, FAILED, {"events": UNDONE_EVENTS[:-2]}, "event migration.pre.failed is not stored"),
        (LIVE, FAILED, {"events": UNDONE_EVENTS[:-1]}, "event migration.rollback.completed is not stored"),
        (LIVE, FAILED, {"events": UNDONE_EVENTS[2:]}, "event migration.source_check.completed is not stored"),
        (LIVE, FAILED, {"error": None}, "its record does not say at which step it failed: None"),
        (LIVE, FAILED, {"error": "step nowhere: x"}, "its record does not say at which step it failed: step nowhere: x"),
        (LIVE, COMPLETED, {"open_actions": ["conductor_live_migrate_instance"]}, "conductor_live_migrate_instance of its action has not ended"),
        (LIVE, COMPLETED, {"findings": ["guest-missing on two: x"]}, "doctor: guest-missing on two: x"),
    ],
)  # fmt: skip
def test_what_must_not_be_is_named(move: Move, good: Found, changes: Mapping[str, Any], text: str) -> None:
    assert text in judge(move, having(good, **changes))
