"""The evacuation from its request to its end: each step failed in turn, each undo failed in turn, and nothing is left."""

from collections.abc import Callable, Sequence

import pytest

from cloud.domain.action import EventResult
from cloud.domain.flavor import Resources
from cloud.domain.host import BuildRequest, Candidate
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus
from cloud.errors import ComputeError, ConflictError, ImageNotFoundError
from cloud.rpc.errors import RpcTimeoutError
from cloud.services.conductor.moves.move import WAITS_S
from tests.compute.image_store import IMAGE
from tests.conductor.moves.evacuate_fixtures import case, site
from tests.conductor.moves.evacuate_site import (
    CASES,
    ELSEWHERE,
    HERE,
    HOSTS,
    ROOM,
    RUNNING,
    THERE,
    Case,
    EvacuationSite,
)
from tests.conductor.site import Point, first_time, raising
from tests.db.making import SMALL, uuid_of
from tests.services.said import Line

__all__ = ["case", "site"]

STEPS = {
    "services.all": "source_check",
    "scheduler.select_hosts": "schedule",
    "claims.claim": "claim",
    "network.allocate_for_instance": "network",
    "compute.sees_disk": "image",
    "compute.prepare_image": "image",
    "migrations.hand_over": "spawn",
}
"""What is asked of others before the hand-over, and at which step."""
NO = ComputeError("cannot do it: the disk is full")
OWN_DISKS, SHARED_DISKS = CASES["own disks"], CASES["shared disks"]
with_own_disks = pytest.mark.parametrize("case", ["own disks"], indirect=True)
with_shared_disks = pytest.mark.parametrize("case", ["shared disks"], indirect=True)
with_both = pytest.mark.parametrize("case", ["own disks", "shared disks"], indirect=True)


def always(name: str, exc: Exception = NO) -> Callable[[Point], None]:
    """Let each such call fail before it does anything."""

    def fail(point: Point) -> None:
        if point[1:] == (name, "before"):
            raise exc

    return fail


def events(lines: list[Line]) -> list[str]:
    return [fields["event"] for _, _, fields in lines if "event" in fields]


def asked_by(case: Case) -> Sequence[str]:
    return [name for name in STEPS if not (case.is_shared and name == "compute.prepare_image")]


def test_another_host_has_it_with_its_addresses_and_its_claim(site: EvacuationSite) -> None:
    before = site.enter()
    site.move(site.begin())
    assert site.runs_on()[:1] == ([] if site.case.vm_state is VmState.STOPPED else [HERE])  # nobody has told it yet
    site.assert_evacuated()
    assert site.instance().addresses == before.addresses
    assert site.waited_s == []
    assert site.fault() is None
    action = site.action()
    assert (action.action, action.message) == ("evacuate", None)
    assert [(event.event, event.result) for event in action.events] == [
        ("conductor_evacuate_instance", EventResult.SUCCESS)
    ]


def test_task_state_status_and_host_at_each_step(site: EvacuationSite) -> None:
    seen: dict[str, tuple[TaskState | None, MigrationStatus, str | None]] = {}

    def look(point: Point) -> None:
        instance = site.instance()
        seen.setdefault(point[1], (instance.task_state, site.migration().status, instance.host))

    site.enter()
    site.calls.begin(look)
    site.move(site.begin())
    preparing = (TaskState.REBUILDING, MigrationStatus.PREPARING, HERE)
    destination = str(site.migration().dest_compute)
    expected = {
        "scheduler.select_hosts": preparing,
        "claims.claim": preparing,
        "network.allocate_for_instance": preparing,
        "compute.sees_disk": preparing,
        "compute.prepare_image": preparing,
        "migrations.hand_over": (TaskState.REBUILDING, MigrationStatus.RUNNING, HERE),
        "compute.evacuate_here": (TaskState.REBUILDING, MigrationStatus.RUNNING, destination),
        "claims.release": (TaskState.REBUILDING, MigrationStatus.POST_MIGRATING, destination),
    }
    if site.case.is_shared:
        del expected["compute.prepare_image"]
    assert {name: states for name, states in seen.items() if name in expected} == expected


def test_every_step_says_that_it_began_and_how_it_ended(site: EvacuationSite, lines: list[Line]) -> None:
    site.enter()
    migration_id = site.begin()
    site.move(migration_id)
    steps = ("source_check", "schedule", "claim", "network", "image", "spawn", "cleanup")
    assert events(lines) == [f"evacuate.{step}.{suffix}" for step in steps for suffix in ("started", "completed")]
    said = next(fields for _, _, fields in lines if fields.get("event") == "evacuate.spawn.completed")
    named = {name: said[name] for name in ("migration", "type", "source_compute", "dest_compute")}
    assert named == {
        "migration": migration_id,
        "type": "evacuation",
        "source_compute": HERE,
        "dest_compute": site.instance().host,
    }
    assert "step_s" in said


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_step_that_fails_leaves_the_instance_as_it_was_and_a_fault_that_says_why(
    site: EvacuationSite, lines: list[Line], when: str
) -> None:
    for number, name in enumerate(asked_by(site.case), start=1):
        if (name, when) == ("migrations.hand_over", "after"):
            continue  # then it is handed over
        site.enter(number)
        site.calls.begin(first_time(name, when, raising(NO)))
        lines.clear()
        site.move(site.begin(number))
        site.assert_undone(number)
        assert site.migration(number).error == f"step {STEPS[name]}: {NO}"
        fault, action = site.fault(number), site.action(number)
        assert fault is not None
        assert fault.message == str(NO)
        assert str(fault.details).startswith(f"step {STEPS[name]}: ComputeError: {NO}\n")
        assert action.message == "Error"
        assert [(event.result, event.details) for event in action.events] == [
            (EventResult.ERROR, f"step {STEPS[name]}: {NO}")
        ]
        assert f"evacuate.{STEPS[name]}.failed" in events(lines)
        if STEPS[name] not in ("source_check", "schedule"):
            assert events(lines)[-2:] == ["evacuate.rollback.started", "evacuate.rollback.completed"]
        site.clear_away(number)


@with_both
@pytest.mark.parametrize("exc", [ConflictError("cannot undo"), OSError("cannot undo")], ids=["expected", "defect"])
def test_an_undo_that_fails_once_leaves_nothing(site: EvacuationSite, lines: list[Line], exc: Exception) -> None:
    site.enter()
    site.calls.begin(always("compute.sees_disk"), first_time("claims.release", "before", raising(exc)))
    site.move(site.begin())
    site.assert_undone()
    assert [message for _, message, _ in lines].count("cannot undo step") == 1


@with_own_disks
def test_a_claim_that_cannot_be_given_back_is_told_to_admins_and_the_instance_is_as_it_was(
    site: EvacuationSite,
) -> None:
    site.enter()
    site.calls.begin(always("compute.sees_disk"), always("claims.release"))
    site.move(site.begin())
    instance, migration, fault = site.instance(), site.migration(), site.fault()
    assert (instance.vm_state, instance.task_state, instance.host) == (VmState.ACTIVE, None, HERE)
    assert migration.status is MigrationStatus.ERROR
    assert str(migration.error).endswith("; may not be undone: claim")
    assert fault is not None
    assert "may not be undone: claim" in str(fault.details)
    assert site.guests() == {HERE: RUNNING}


def test_behind_the_hand_over_what_fails_is_tried_again(site: EvacuationSite) -> None:
    site.enter()
    site.calls.begin(first_time("compute.evacuate_here", "before", raising(NO)))
    site.move(site.begin())
    assert site.waited_s == [WAITS_S[0]]
    site.assert_evacuated()
    assert site.fault() is None


@pytest.mark.parametrize("when", ["before", "after"])
def test_behind_the_hand_over_nothing_is_undone_and_it_never_runs_twice(
    site: EvacuationSite, lines: list[Line], when: str
) -> None:
    def fail(point: Point) -> None:
        if point[1:] == ("compute.evacuate_here", when):
            raise NO

    site.enter()
    site.calls.begin(fail)
    site.move(site.begin())
    instance, migration, fault = site.instance(), site.migration(), site.fault()
    host = str(migration.dest_compute)
    assert (instance.vm_state, instance.task_state) == (VmState.ERROR, None)
    assert (instance.host, instance.node) == (host, host)
    assert (migration.status, migration.is_handed_over) == (MigrationStatus.ERROR, True)
    assert migration.error == f"step spawn: {NO}"
    assert tuple(site.waited_s) == WAITS_S
    assert fault is not None
    assert (fault.message, fault.host) == (str(NO), host)
    assert "not undone: the destination has the instance" in str(fault.details)
    assert site.tables.claims.of(instance.uuid) == {host: SMALL.resources}
    assert "evacuate.rollback.started" not in events(lines)
    assert site.action().message == "Error"
    site.come_back()
    assert site.runs_on() == ([host] if when == "after" and site.case.vm_state is not VmState.STOPPED else [])
    assert HERE in site.guests()  # off, with what may be the last of its disks


def test_one_that_ended_in_error_is_evacuated_again_when_its_new_host_breaks_down_too(site: EvacuationSite) -> None:
    site.enter()
    site.calls.begin(always("compute.evacuate_here"))
    site.move(site.begin())
    second = str(site.instance().host)
    third = ELSEWHERE if second == THERE else THERE
    site.clock.advance(61)
    site.report_up(third)
    site.calls.begin()
    site.move(site.begin(source=second, host=third))
    instance = site.instance()
    assert (instance.vm_state, instance.task_state, instance.host) == (VmState.ACTIVE, None, third)
    assert site.tables.claims.of(instance.uuid) == {third: SMALL.resources}
    site.come_back()
    assert site.runs_on() == [third]


def test_while_its_host_is_up_it_is_refused(site: EvacuationSite) -> None:
    site.enter()
    begun = site.begin()
    site.report_up(HERE)
    site.move(begun)
    site.break_down()
    site.assert_undone()
    fault = site.fault()
    assert fault is not None
    assert fault.message == f"cannot evacuate instance {uuid_of(1)} from the host: its nova-compute is up"


def test_a_host_that_is_forced_down_is_down_whatever_it_reports(site: EvacuationSite) -> None:
    site.enter()
    site.report_up(HERE)
    site.tables.services.force_down(HERE, "nova-compute", is_forced=True)
    site.move(site.begin())
    assert HERE not in site.runs_on()  # it was asked, and answers
    site.assert_evacuated()


@with_own_disks
def test_a_host_that_is_forced_down_need_not_answer(site: EvacuationSite) -> None:
    site.enter()
    site.tables.services.force_down(HERE, "nova-compute", is_forced=True)
    site.calls.begin(always("compute.give_up_guest", RpcTimeoutError("no reply in 30 s")))
    site.move(site.begin())
    assert site.calls.made("compute.give_up_guest") == 1
    site.assert_evacuated()


@with_both
@pytest.mark.parametrize("exc", [RpcTimeoutError("no reply in 30 s"), NO], ids=["silent", "failing"])
def test_a_host_that_came_back_and_may_run_it_keeps_it(site: EvacuationSite, exc: Exception) -> None:
    """It was down when this began; at the hand-over it is up, and does not say that the guest is off."""
    site.enter()
    site.calls.begin(
        first_time("claims.claim", "after", lambda: site.report_up(HERE)), always("compute.give_up_guest", exc)
    )
    site.move(site.begin())
    fault = site.fault()
    assert fault is not None
    assert fault.message == (f"cannot be certain that instance {uuid_of(1)} does not run on the host any more: {exc}")
    assert site.runs_on() == [HERE]
    site.break_down()
    site.assert_undone()


@pytest.mark.parametrize(
    ("case", "found"),
    [
        (Case(is_shared=True, on_shared_storage=False), "its disk is where the host sees it"),
        (Case(is_shared=False, on_shared_storage=True), "its disk is not where the host sees it"),
    ],
    indirect=["case"],
)
def test_what_was_said_of_the_storage_has_to_be_so(site: EvacuationSite, found: str) -> None:
    site.enter()
    site.move(site.begin())
    site.assert_undone()
    fault = site.fault()
    assert fault is not None
    assert fault.message == (
        f"cannot evacuate instance {uuid_of(1)} with on_shared_storage {site.case.on_shared_storage}: {found}"
    )


@with_own_disks
def test_without_its_image_it_is_not_made_anew_and_the_fault_says_which(site: EvacuationSite) -> None:
    for host in site.hosts.values():
        host.images.delete(IMAGE)
    site.enter()
    site.move(site.begin())
    site.assert_undone()
    fault = site.fault()
    assert fault is not None
    assert fault.message == (
        f"cannot evacuate instance {uuid_of(1)} without shared storage: image {IMAGE}, which it is made of, "
        f"is not there: cannot find image {IMAGE}"
    )
    assert str(fault.details).startswith("step image: ImageNotFoundError: ")


@with_shared_disks
def test_with_its_disk_it_needs_no_image(site: EvacuationSite) -> None:
    site.enter()
    site.calls.begin(always("compute.prepare_image", ImageNotFoundError("it is gone")))
    site.move(site.begin())
    site.assert_evacuated()


@with_own_disks
def test_that_the_disk_of_one_without_an_image_will_be_empty_is_said(site: EvacuationSite, lines: list[Line]) -> None:
    site.enter(image_id=None)
    site.move(site.begin())
    site.assert_evacuated()
    assert ("WARNING", "instance was made of no image, its disk will be empty") in [line[:2] for line in lines]


@with_own_disks
def test_one_without_an_address_is_given_none(site: EvacuationSite) -> None:
    site.enter()
    site.tables.fixed_ips.release(uuid_of(1))
    site.move(site.begin())
    assert site.calls.made("network.allocate_for_instance") == 0
    assert (site.instance().vm_state, site.instance().addresses) == (VmState.ACTIVE, ())


@with_own_disks
def test_its_own_host_is_never_chosen(site: EvacuationSite) -> None:
    site.enter()
    site.move(site.begin(host=THERE, may_stay=True))
    assert site.scheduler.asked[0].ignored_hosts == (HERE,)
    site.enter(2)
    for host in HOSTS[1:]:
        site.report_room(host, Resources(memory_mb=0, vcpus=0, disk_gb=0))
    site.move(site.begin(2))
    site.assert_undone(2)
    assert site.migration(2).error == "step schedule: no valid host: 3 hosts; RamFilter 3 -> 0"


@with_own_disks
def test_it_goes_where_it_was_asked_to_go(site: EvacuationSite) -> None:
    site.enter()
    site.move(site.begin(host=ELSEWHERE, is_forced=True))
    assert site.scheduler.asked[0].forced_host == ELSEWHERE
    assert site.instance().host == ELSEWHERE
    site.assert_evacuated()


class Outdated:
    """A nova-scheduler that has seen room on the second host, where there is none any more."""

    def select_hosts(self, _request: BuildRequest) -> Sequence[Candidate]:
        none = Resources(memory_mb=1, vcpus=1, disk_gb=1)
        return [Candidate(host, host, limits, 1.0) for host, limits in ((THERE, none), (ELSEWHERE, ROOM))]


@with_own_disks
def test_of_candidates_the_first_that_still_has_room_gets_it(site: EvacuationSite) -> None:
    site.scheduler = Outdated()  # type: ignore[assignment]
    site.enter()
    site.move(site.begin())
    assert site.instance().host == ELSEWHERE
    site.assert_evacuated()


@with_both
@pytest.mark.parametrize("knob", ["spawn", "spawn.disk", "spawn.boot", "define_again", "define_again.disk", "power_on"])
def test_what_a_hypervisor_has_half_done_is_done_to_the_end(site: EvacuationSite, knob: str) -> None:
    for host in HOSTS[1:]:
        site.hosts[host].turn(fail=[f"{knob}:1"])
    site.enter()
    site.move(site.begin())
    for host in HOSTS[1:]:
        site.hosts[host].turn()
    site.assert_evacuated()


@with_own_disks
def test_a_guest_that_the_destination_has_of_it_already_is_not_taken_for_it(site: EvacuationSite) -> None:
    instance = site.enter()
    for host in HOSTS[1:]:
        site.hosts[host].driver.spawn(instance, None, [], lambda _percent: None)
    site.move(site.begin())
    assert site.instance().host == HERE
    assert "there is a guest of it, and its power state is RUNNING" in str(site.migration().error)


@with_own_disks
def test_an_admin_who_resets_its_state_meanwhile_has_the_last_word(site: EvacuationSite) -> None:
    """Reset, the instance may be started by its own host at once: it must not be handed over any more."""
    site.enter()
    reset = {"task_state": None, "vm_state": VmState.ACTIVE}
    site.calls.begin(
        first_time("compute.prepare_image", "after", lambda: _update(site, **reset)),
    )
    site.move(site.begin())
    instance = site.instance()
    assert (instance.vm_state, instance.task_state, instance.host) == (VmState.ACTIVE, None, HERE)
    assert site.migration().status is MigrationStatus.FAILED
    assert site.tables.claims.of(instance.uuid) == {HERE: SMALL.resources}
    assert site.runs_on() == [HERE]


def _update(site: EvacuationSite, **changes: object) -> None:
    site.tables.instances.update(uuid_of(1), changes)


@with_own_disks
def test_launch_time_is_that_of_the_new_guest_where_it_is_made_anew(site: EvacuationSite) -> None:
    site.enter()
    site.move(site.begin())
    assert site.instance().launched_at == site.clock.now


@with_shared_disks
def test_power_state_is_unknown_until_the_destination_tells_it(site: EvacuationSite) -> None:
    seen: list[PowerState] = []
    site.enter()
    site.calls.begin(first_time("compute.evacuate_here", "before", lambda: seen.append(site.instance().power_state)))
    site.move(site.begin())
    assert seen == [PowerState.NOSTATE]
