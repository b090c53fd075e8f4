"""The move of an instance that is off, to another host or flavor: each step failed in turn, and nothing is left."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from cloud.domain.action import EventResult
from cloud.domain.flavor import Resources
from cloud.domain.host import BuildRequest, Candidate
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus
from cloud.errors import ComputeError, ConflictError
from cloud.services.conductor.moves.move import WAITS_S
from tests.conductor.moves.resize_fixtures import case, site
from tests.conductor.moves.resize_site import (
    CASES,
    ELSEWHERE,
    HERE,
    HOSTS,
    LARGE,
    NO_ROOM,
    ROOM,
    THERE,
    Case,
    ResizeSite,
)
from tests.conductor.site import Point, first_time, raising
from tests.db.making import SMALL, compute_node, uuid_of
from tests.services.said import Line

__all__ = ["case", "site"]

STEPS = {
    "scheduler.select_hosts": "schedule",
    "claims.claim": "claim",
    "claims.resize": "claim",
    "compute.prepare_disk": "pre",
    "compute.power_off_for_resize": "pre",
    "compute.send_disk": "transfer",
    "compute.resize_here": "transfer",
    "compute.set_aside": "post",
    "compute.adopt": "post",
}
"""What is asked of others before the hand-over, and at which step."""
NO = ComputeError("cannot do it: the disk is full")
ONE_OF_EACH = pytest.mark.parametrize(
    "case", [CASES["cold"], CASES["resize, shared storage"], CASES["resize where it is"]], ids=str
)


def always(name: str) -> Callable[[Point], None]:
    """Let each such call fail before it does anything."""

    def fail(point: Point) -> None:
        if point[1:] == (name, "before"):
            raise NO

    return fail


def asked_before_hand_over(site: ResizeSite) -> Sequence[str]:
    """The names of STEPS that such a move asks for."""
    site.enter(1000)
    site.calls.begin()
    site.move(site.begin(1000))
    names = [name for _, name, when in site.calls.reached if when == "before"]
    site.clear_away(1000)
    asked = names[: names.index("migrations.hand_over")]
    return [name for name in STEPS if name in asked]


def events(lines: list[Line]) -> list[str]:
    return [fields["event"] for _, _, fields in lines if "event" in fields]


def test_it_waits_on_its_new_host_and_its_old_one_keeps_what_it_had(site: ResizeSite) -> None:
    site.enter()
    site.move(site.begin())
    site.assert_waits()
    assert site.waited_s == []
    assert site.fault() is None
    action = site.action()
    assert (action.action, action.message) == ("migrate" if site.case == CASES["cold"] else action.action, None)
    assert [(event.event, event.result) for event in action.events] == [
        ("conductor_migrate_server", EventResult.SUCCESS)
    ]


def test_task_states_and_statuses_are_those_of_nova_in_order(site: ResizeSite) -> None:
    seen: dict[str, tuple[TaskState | None, MigrationStatus]] = {}

    def look(point: Point) -> None:
        if point[1].startswith(("scheduler.", "compute.", "claims.")) and point[2] == "before":
            seen.setdefault(point[1], (site.instance().task_state, site.migration().status))

    site.enter()
    site.calls.begin(look)
    site.move(site.begin())
    preparing, moving = (TaskState.RESIZE_PREP, MigrationStatus.PREPARING), TaskState.RESIZE_MIGRATING
    expected = {
        "scheduler.select_hosts": preparing,
        "claims.resize": preparing,
        "claims.of": preparing,
        "claims.claim": preparing,
        "compute.prepare_disk": preparing,
        "compute.power_off_for_resize": preparing,
        "compute.send_disk": (moving, MigrationStatus.RUNNING),
        "compute.disk_transfer": (moving, MigrationStatus.RUNNING),
        "compute.resize_here": (moving, MigrationStatus.RUNNING),
        "compute.set_aside": (moving, MigrationStatus.POST_MIGRATING),
        "compute.adopt": (moving, MigrationStatus.POST_MIGRATING),
        "compute.start_resized": (TaskState.RESIZE_FINISH, MigrationStatus.POST_MIGRATING),
    }
    assert seen == {name: states for name, states in expected.items() if name in seen}
    assert {"scheduler.select_hosts", "compute.power_off_for_resize", "compute.start_resized"} <= seen.keys()


def test_every_step_says_that_it_began_and_how_it_ended(site: ResizeSite, lines: list[Line]) -> None:
    site.enter()
    migration_id = site.begin()
    site.move(migration_id)
    steps = ("schedule", "claim", "pre", "transfer", "post")
    assert events(lines) == [f"resize.{step}.{suffix}" for step in steps for suffix in ("started", "completed")]
    said = next(fields for _, _, fields in lines if fields.get("event") == "resize.post.completed")
    named = {name: said[name] for name in ("migration", "type", "source_compute", "dest_compute")}
    destination = HERE if site.case.stays else site.instance().host
    assert named == {
        "migration": migration_id,
        "type": site.case.type,
        "source_compute": HERE,
        "dest_compute": destination,
    }
    assert "step_s" in said


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_step_that_fails_leaves_the_instance_as_it_was_and_a_fault_that_says_why(
    site: ResizeSite, lines: list[Line], when: str
) -> None:
    for number, name in enumerate(asked_before_hand_over(site), start=1):
        site.enter(number)
        site.calls.begin(first_time(name, when, raising(NO)))
        lines.clear()
        site.move(site.begin(number))
        site.assert_as_before(number)
        assert site.migration(number).error == f"step {STEPS[name]}: {NO}"
        fault, action = site.fault(number), site.action(number)
        assert fault is not None
        assert fault.message == str(NO)
        assert fault.details is not None
        assert fault.details.startswith(f"step {STEPS[name]}: ComputeError: {NO}\n")
        assert action.message == "Error"
        assert [(event.result, event.details) for event in action.events] == [
            (EventResult.ERROR, f"step {STEPS[name]}: {NO}")
        ]
        assert f"resize.{STEPS[name]}.failed" in events(lines)
        if name != "scheduler.select_hosts":
            assert events(lines)[-2:] == ["resize.rollback.started", "resize.rollback.completed"]
        site.clear_away(number)


@pytest.mark.parametrize(
    "knob",
    [
        "power_off",
        "prepare_disk",
        "prepare_disk.ready",
        "send_disk",
        "send_disk.copy",
        "set_aside",
        "adopt",
        "adopt.disk",
        "adopt.define",
        "resize",
        "resize.disk",
    ],
)
@ONE_OF_EACH
def test_what_a_hypervisor_has_half_done_is_undone(site: ResizeSite, case: Case, knob: str) -> None:
    site.enter()
    site.turn(f"{knob}:1")
    site.move(site.begin())
    if site.migration().status is MigrationStatus.FINISHED:  # it has no such step
        assert knob.partition(".")[0] in (
            ("prepare_disk", "send_disk", "set_aside", "adopt") if case.stays else ("resize", "send_disk")
        )
        site.assert_waits()
    else:
        site.assert_as_before()
        assert f"step {knob} fails by knob" in str(site.migration().error)


@ONE_OF_EACH
@pytest.mark.parametrize("exc", [ConflictError("cannot undo"), OSError("cannot undo")], ids=["expected", "defect"])
def test_an_undo_that_fails_once_leaves_nothing(
    site: ResizeSite, case: Case, exc: Exception, lines: list[Line]
) -> None:
    failing = "compute.resize_here" if case.stays else "compute.adopt"
    release = "claims.resize" if case.stays else "claims.release"
    undos = [release, "compute.take_back", *(() if case.stays else ("compute.drop_aside",))]
    for number, undo in enumerate(undos, start=1):
        left = [1]

        def fail_undo(point: Point, undo: str = undo, number: int = number, left: list[int] = left) -> None:
            if point[1:] == (undo, "before") and site.migration(number).is_undoing and left[0] > 0:
                left[0] -= 1
                raise exc

        site.enter(number)
        site.calls.begin(first_time(failing, "after", raising(NO)), fail_undo)
        site.move(site.begin(number))
        assert left == [0]
        site.assert_as_before(number)
        site.clear_away(number)
    assert [message for _, message, _ in lines].count("cannot undo step") == len(undos)


@ONE_OF_EACH
def test_where_its_old_host_cannot_take_it_back_it_is_in_error_and_somebody_must_look(
    site: ResizeSite, case: Case
) -> None:
    failing = "compute.resize_here" if case.stays else "compute.adopt"
    site.enter()
    site.calls.begin(first_time(failing, "before", raising(NO)), always("compute.take_back"))
    site.move(site.begin())
    instance, migration, fault = site.instance(), site.migration(), site.fault()
    assert (instance.vm_state, instance.task_state, instance.host) == (VmState.ERROR, None, HERE)
    assert migration.status is MigrationStatus.ERROR
    assert str(migration.error).endswith("; may not be undone: pre, claim")
    assert fault is not None
    assert "may not be undone: pre, claim" in str(fault.details)
    assert PowerState.RUNNING not in site.guests().values()  # it does not run twice: it does not run
    kept = {} if case.stays else {HERE: SMALL.resources}
    assert site.tables.claims.of(instance.uuid) == kept | {str(migration.dest_compute): case.flavor.resources}


@pytest.mark.parametrize("case", [CASES["cold"], CASES["resize, shared storage"]], ids=str)
def test_where_its_old_host_cannot_take_it_back_what_its_new_one_has_is_kept(site: ResizeSite) -> None:
    site.enter()
    site.calls.begin(first_time("compute.adopt", "after", raising(NO)), always("compute.take_back"))
    site.move(site.begin())
    assert site.migration().status is MigrationStatus.ERROR
    assert site.calls.made("compute.drop_aside") == 0
    assert site.guests() == {str(site.migration().dest_compute): PowerState.SHUTDOWN}


@pytest.mark.parametrize("case", [CASES["cold"], CASES["resize, shared storage"]], ids=str)
def test_where_its_new_host_cannot_be_cleared_it_runs_as_before_and_the_claim_stays(
    site: ResizeSite, case: Case
) -> None:
    site.enter()
    site.calls.begin(first_time("compute.adopt", "before", raising(NO)), always("compute.drop_aside"))
    site.move(site.begin())
    instance, migration = site.instance(), site.migration()
    assert (instance.vm_state, instance.task_state, instance.host) == (case.vm_state, None, HERE)
    assert site.guests() == {HERE: case.power_state}
    assert migration.status is MigrationStatus.ERROR
    assert str(migration.error).endswith("; may not be undone: claim")
    there = str(migration.dest_compute)
    assert site.tables.claims.of(instance.uuid) == {HERE: SMALL.resources, there: case.flavor.resources}


def test_behind_the_hand_over_what_fails_is_tried_again(site: ResizeSite) -> None:
    site.enter()
    site.calls.begin(first_time("compute.start_resized", "before", raising(NO)))
    site.move(site.begin())
    site.assert_waits()
    assert site.waited_s == [WAITS_S[0]]
    assert site.fault() is None


def test_behind_the_hand_over_nothing_is_undone_and_it_never_runs_twice(site: ResizeSite, lines: list[Line]) -> None:
    case = site.case
    site.enter()
    site.calls.begin(always("compute.start_resized"))
    site.move(site.begin())
    instance, migration, fault = site.instance(), site.migration(), site.fault()
    host = str(migration.dest_compute)
    assert (instance.vm_state, instance.task_state, instance.host) == (VmState.ERROR, None, host)
    assert (instance.flavor, migration.status) == (case.flavor, MigrationStatus.ERROR)
    assert site.guests() == {host: PowerState.SHUTDOWN}
    assert tuple(site.waited_s) == WAITS_S
    assert fault is not None
    assert (fault.message, fault.host) == (str(NO), host)
    assert "not undone: the destination has the instance" in str(fault.details)
    kept = {} if case.stays else {HERE: SMALL.resources}
    assert site.tables.claims.of(instance.uuid) == kept | {host: case.flavor.resources}
    assert "resize.rollback.started" not in events(lines)
    assert site.action().message == "Error"


@pytest.mark.parametrize("case", [CASES["resize, shared storage"]], ids=str)
def test_a_fault_names_no_host_to_its_owner(site: ResizeSite) -> None:
    site.enter()
    site.calls.begin(first_time("compute.adopt", "before", raising(ComputeError(f"cannot adopt on {THERE}: no room"))))
    site.move(site.begin())
    fault = site.fault()
    assert fault is not None
    assert fault.message == "cannot adopt on the host: no room"
    assert f"from host {HERE} to host {THERE}" in str(fault.details)


class Outdated:
    """A nova-scheduler that has seen room on the second host, where there is none any more."""

    def select_hosts(self, _request: BuildRequest) -> Sequence[Candidate]:
        none = Resources(memory_mb=1, vcpus=1, disk_gb=1)
        return [
            Candidate(host, f"{host}.example.org", limits, 1.0) for host, limits in ((THERE, none), (ELSEWHERE, ROOM))
        ]


@pytest.mark.parametrize("case", [CASES["resize"]], ids=str)
def test_of_candidates_the_first_that_still_has_room_gets_it(site: ResizeSite) -> None:
    site.scheduler = Outdated()
    site.enter()
    site.move(site.begin())
    site.assert_waits()
    assert site.instance().host == ELSEWHERE
    assert THERE not in site.tables.claims.of(uuid_of(1))


@pytest.mark.parametrize("case", [CASES["resize where it is"]], ids=str)
def test_where_it_stays_its_claim_is_the_larger_of_each_until_it_is_confirmed(site: ResizeSite) -> None:
    less = replace(LARGE, vcpus=2, memory_mb=1024)
    site.enter()
    site.move(site.begin(flavor=less))
    assert site.tables.claims.of(uuid_of(1)) == {HERE: Resources(SMALL.memory_mb, 2, 50)}
    site.move(site.begin_ending(MigrationStatus.CONFIRMING))
    assert site.tables.claims.of(uuid_of(1)) == {HERE: Resources(1024, 2, 50)}


@pytest.mark.parametrize("case", [CASES["cold"], CASES["resize where it is"]], ids=str)
def test_a_flavor_with_a_smaller_disk_is_refused_and_it_goes_on_running(site: ResizeSite, lines: list[Line]) -> None:
    smaller = replace(SMALL, id=9, flavorid="9", root_gb=10)
    site.enter()
    site.move(site.begin(flavor=smaller))
    site.assert_as_before()
    fault = site.fault()
    assert fault is not None
    assert fault.message == (
        f"cannot resize instance {uuid_of(1)}: its disks have 20 and 10 GiB, those of flavor 9 10 and 10"
    )
    assert "instance powered off, to be moved or resized" not in [message for _, message, _ in lines]


@pytest.mark.parametrize("case", [CASES["resize"]], ids=str)
def test_where_no_host_passes_it_goes_on_and_the_fault_says_which_filter_left_none(site: ResizeSite) -> None:
    site.enter()
    for host in HOSTS:
        site.tables.compute_nodes.report(compute_node(host, NO_ROOM))
    site.move(site.begin())
    site.assert_as_before()
    fault = site.fault()
    assert fault is not None
    assert fault.message == "no valid host: 3 hosts; RamFilter 3 -> 0"
    assert site.migration().dest_compute is None
