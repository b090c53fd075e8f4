"""The build from its request to its end: every step failed in turn, every undo failed in turn, and nothing is left."""

from dataclasses import replace

import pytest
from loguru import logger

from cloud.domain.action import EventResult
from cloud.domain.instance import TaskState, VmState
from cloud.errors import ComputeError, ConflictError, ImageNotFoundError, NoRoomError, NoValidHostError
from cloud.logs.emit.context import RequestContext, current_context
from cloud.rpc.errors import NoSuchTargetError, RemoteError, RpcTimeoutError
from tests.conductor.site import HOSTS, IMAGE, REQUEST_ID, ROOM, Site, first_time, raising
from tests.db.making import SMALL, compute_node, uuid_of
from tests.services.said import Line

STEPS = {
    "schedule": "scheduler.select_hosts",
    "claim": "claims.claim",
    "network": "network.allocate_for_instance",
    "image": "compute.prepare_image",
    "spawn": "compute.spawn",
}
"""What each step asks of others."""
UNBUILT = f"cannot build instance {uuid_of(1)}"
UNDOS = ("compute.destroy", "network.deallocate_for_instance", "claims.release")


def failing(site: Site, name: str, exc: Exception, *, times: int = 1000) -> None:
    """Let the calls of that name fail, so many of them."""
    left = [times]

    def fail(point: tuple[int, str, str]) -> None:
        if point[1:] == (name, "before") and left[0] > 0:
            left[0] -= 1
            raise exc

    site.calls.steps_in.append(fail)


def events(lines: list[Line]) -> list[str]:
    return [fields["event"] for _, _, fields in lines if "event" in fields]


def test_instance_is_active_on_the_emptiest_host_with_a_claim_and_an_address(site: Site) -> None:
    site.build(site.enter(2))
    site.build(site.enter(1))
    site.assert_active(1)
    site.assert_active(2)
    assert site.instance(1).host != site.instance(2).host
    instance = site.instance(1)
    assert instance.node == f"{instance.host}.example.org"
    assert instance.launched_at == site.clock.now
    assert instance.addresses == ("10.0.0.3",)
    assert [each.address for each in site.compute.addresses[uuid_of(1)]] == ["10.0.0.3"]
    assert (instance.host, IMAGE) in site.compute.images
    assert site.fault(1) is None


def test_task_states_are_those_of_nova_in_order(site: Site) -> None:
    seen: list[tuple[str, TaskState | None]] = []
    site.calls.begin(lambda point: seen.append((point[1], site.instance().task_state)))
    site.build(site.enter())
    of_steps = {name: state for name, state in seen if name in STEPS.values()}
    assert of_steps == {
        "scheduler.select_hosts": TaskState.SCHEDULING,
        "claims.claim": TaskState.SCHEDULING,
        "network.allocate_for_instance": TaskState.NETWORKING,
        "compute.prepare_image": TaskState.NETWORKING,
        "compute.spawn": TaskState.SPAWNING,
    }


def test_every_step_says_that_it_began_and_how_it_ended(site: Site, lines: list[Line]) -> None:
    site.build(site.enter())
    host = site.instance().host
    said = [(fields["event"], fields.get("host"), "step_s" in fields) for _, _, fields in lines if "event" in fields]
    assert said == [
        ("build.schedule.started", None, False),
        ("build.schedule.completed", None, True),
        ("build.claim.started", None, False),
        ("build.claim.completed", host, True),
        ("build.network.started", host, False),
        ("build.network.completed", host, True),
        ("build.image.started", host, False),
        ("build.image.completed", host, True),
        ("build.spawn.started", host, False),
        ("build.spawn.completed", host, True),
        ("instance.create", host, False),
    ]


def test_build_of_an_instance_without_an_image_prepares_none(site: Site) -> None:
    request = site.enter()
    site.tables.instances.update(request.instance_uuid, {"image_id": None})
    site.build(replace(request, image_id=None))
    site.assert_active()
    assert site.compute.images == set()


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_leaves_nothing_but_a_fault_that_names_the_cause(
    site: Site, lines: list[Line], step: str
) -> None:
    failing(site, STEPS[step], ConflictError(f"cannot do {step}: the disk is full"))
    site.build(site.enter())
    fault = site.assert_in_error()
    assert fault.message == f"cannot do {step}: the disk is full"
    assert fault.details == f"step {step}: ConflictError: cannot do {step}: the disk is full"
    (failed,) = [line for line in lines if line[2].get("event") == f"build.{step}.failed"]
    assert failed[0] == "ERROR"
    assert (failed[2]["error"], failed[2]["cause"]) == (f"cannot do {step}: the disk is full", "ConflictError")
    assert events(lines)[-1] == "instance.error"


@pytest.mark.parametrize("step", STEPS)
def test_a_defect_in_a_step_leaves_nothing_and_tells_its_owner_no_internals(site: Site, step: str) -> None:
    failing(site, STEPS[step], KeyError("password"))
    site.build(site.enter())
    fault = site.assert_in_error()
    assert fault.message == f"cannot build instance {uuid_of(1)}: KeyError at step {step}"
    assert fault.details is not None
    assert "Traceback" in fault.details


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (RpcTimeoutError("cannot call nova-compute on HOST: no reply in 60 s"), f"{UNBUILT}: no answer at step spawn"),
        (NoSuchTargetError("cannot send to HOST: nobody listens"), f"{UNBUILT}: no answer at step spawn"),
        (RemoteError("KeyError: 'password'"), f"{UNBUILT}: a service failed at step spawn"),
        (ComputeError("cannot spawn on HOST: no KVM"), "cannot spawn on the host: no KVM"),
        (ConflictError("cannot spawn: it is on host compute-77"), "cannot spawn: it is on another host"),
        (ComputeError("cannot write '/var/lib/nova/x y': disk full"), "cannot write a file: disk full"),
    ],
)
def test_a_fault_names_neither_hosts_nor_paths_to_the_owner_and_all_to_admins(
    site: Site, cause: Exception, message: str
) -> None:
    request = site.enter()

    def fail(point: tuple[int, str, str]) -> None:
        if point[1:] == ("compute.spawn", "before"):
            raise type(cause)(str(cause).replace("HOST", str(site.instance().host)))

    site.calls.begin(fail)
    site.build(request, site.builder(site.calls, max_attempts=1))
    fault = site.assert_in_error()
    assert fault.message == message
    whole = str(cause).partition("HOST")
    assert fault.details is not None
    assert whole[0] in fault.details
    assert whole[2] in fault.details


@pytest.mark.parametrize("undo", UNDOS)
@pytest.mark.parametrize("exc", [ConflictError("cannot undo"), OSError("cannot undo")], ids=["expected", "defect"])
def test_an_undo_that_fails_once_holds_up_no_other_and_leaves_nothing(
    site: Site, lines: list[Line], undo: str, exc: Exception
) -> None:
    failing(site, "compute.spawn", ImageNotFoundError("cannot find image: it is gone"))
    failing(site, undo, exc, times=1)
    site.build(site.enter())
    assert site.assert_in_error().message == "cannot find image: it is gone"
    assert [message for _, message, _ in lines].count("cannot undo step") == 1


def test_the_address_is_taken_back_also_where_nova_network_does_not_answer_any_more(site: Site) -> None:
    failing(site, "compute.spawn", ImageNotFoundError("cannot find image: it is gone"))
    failing(site, "network.deallocate_for_instance", RpcTimeoutError("cannot call nova-network: no reply in 15 s"))
    site.build(site.enter())
    assert site.assert_in_error().message == "cannot find image: it is gone"


def test_where_a_guest_cannot_be_destroyed_the_instance_says_where_it_may_be(site: Site) -> None:
    failing(site, "compute.spawn", ComputeError("cannot spawn: no answer"))
    failing(site, "compute.destroy", ComputeError("cannot destroy: no answer"))
    site.build(site.enter())
    instance, fault = site.instance(), site.fault()
    assert (instance.vm_state, instance.task_state) == (VmState.ERROR, None)
    assert instance.host in HOSTS  # whoever deletes it tells that host
    assert len(site.scheduler.asked) == 1  # there are never two of it
    assert site.left() == ([], [instance.host], 1)  # the guest may run there, on that address
    assert fault is not None
    assert fault.message == "cannot spawn: no answer"
    assert fault.details == (
        "step spawn: ComputeError: cannot spawn: no answer\n"
        f"tried on host {instance.host}: cannot spawn: no answer\n"
        f"may not be undone on host {instance.host}: spawn, network, claim"
    )
    site.calls.begin()  # the host answers again
    site.delete(instance.uuid, hears=True)
    assert site.instance().vm_state is VmState.DELETED
    assert site.left() == ([], [], 0)


@pytest.mark.parametrize("is_told", [True, False], ids=["the host is told", "nobody is told"])
def test_where_a_guest_cannot_be_destroyed_a_deletion_meanwhile_is_left_to_the_host(site: Site, is_told: bool) -> None:
    site.calls.begin(
        first_time("compute.destroy", "before", lambda: site.delete(uuid_of(1), hears=False)),
        first_time("compute.spawn", "after", raising(ComputeError("cannot spawn: no answer"))),
    )
    failing(site, "compute.destroy", ComputeError("cannot destroy: no answer"))
    site.build(request := site.enter())
    instance = site.instance()
    assert (instance.vm_state, instance.task_state) == (VmState.BUILDING, TaskState.DELETING)
    assert site.left() == ([instance.host], [instance.host], 1)
    site.calls.begin()
    if is_told:
        site.compute.delete(str(instance.host), instance.uuid)
    else:
        site.build(request)
    site.assert_deleted()


def test_a_guest_that_is_destroyed_at_the_second_attempt_leaves_nothing(site: Site) -> None:
    site.calls.begin(first_time("compute.spawn", "after", raising(ImageNotFoundError("cannot find image: it is gone"))))
    failing(site, "compute.destroy", ComputeError("cannot destroy: no answer"), times=1)
    site.build(site.enter())
    assert site.assert_in_error().details == "step spawn: ImageNotFoundError: cannot find image: it is gone"


def test_what_may_run_of_a_build_that_others_have_now_keeps_its_claim(site: Site) -> None:
    def moved_on() -> None:
        site.tables.instances.update(uuid_of(1), {"vm_state": VmState.ERROR, "task_state": None, "host": None})

    site.calls.begin(first_time("compute.spawn", "after", moved_on))
    failing(site, "compute.destroy", ComputeError("cannot destroy: no answer"))
    site.build(site.enter())
    guests, claims, addresses = site.left()
    assert len(guests) == 1
    assert (claims, addresses) == (guests, 1)


@pytest.mark.parametrize("step", ["network", "image", "spawn"])
@pytest.mark.parametrize("kind", [ComputeError, RemoteError, RpcTimeoutError, NoSuchTargetError])
def test_what_fails_on_one_host_is_tried_on_another(site: Site, step: str, kind: type[Exception]) -> None:
    failing(site, STEPS[step], kind("cannot do it here"), times=1)
    site.build(site.enter())
    site.assert_active()
    first, second = site.scheduler.asked
    assert first.ignored_hosts == ()
    assert len(second.ignored_hosts) == 1
    assert site.instance().host not in second.ignored_hosts
    assert site.fault() is None


def test_three_hosts_are_tried_and_no_more(site: Site) -> None:
    site.tables.compute_nodes.report(compute_node("compute-04", ROOM))
    failing(site, "compute.spawn", ComputeError("cannot spawn instance: the disk is full"))
    site.build(site.enter())
    assert site.assert_in_error().message == "cannot spawn instance: the disk is full"
    assert [len(request.ignored_hosts) for request in site.scheduler.asked] == [0, 1, 2]
    assert site.calls.made("compute.spawn") == 3


def test_how_many_hosts_are_tried_is_an_option(site: Site) -> None:
    failing(site, "compute.spawn", ComputeError("cannot spawn instance: the disk is full"))
    site.build(site.enter(), site.builder(site.calls, max_attempts=1))
    site.assert_in_error()
    assert site.calls.made("compute.spawn") == 1


def test_a_scheduler_that_names_the_same_host_again_does_not_hold_us(site: Site) -> None:
    site.scheduler.forgets = True
    failing(site, "compute.spawn", ComputeError("cannot spawn instance: the disk is full"))
    site.build(site.enter())
    assert site.assert_in_error().message == "cannot spawn instance: the disk is full"
    assert site.calls.made("compute.spawn") == 2


def test_a_host_that_an_admin_has_chosen_is_the_only_one_that_is_tried(site: Site) -> None:
    failing(site, "compute.spawn", ComputeError("cannot spawn instance: the disk is full"))
    site.build(replace(site.enter(), forced_host="compute-02"))
    assert site.assert_in_error().message == "cannot spawn instance: the disk is full"
    assert len(site.scheduler.asked) == 1


def test_where_no_other_host_is_found_the_fault_says_what_failed_on_the_last_one(site: Site) -> None:
    failing(site, "compute.spawn", ComputeError("cannot spawn instance: the disk is full"))
    site.build(site.enter(), site.builder(site.calls, max_attempts=10))
    fault = site.assert_in_error()
    assert fault.message == "cannot spawn instance: the disk is full"
    assert fault.details is not None
    assert fault.details.splitlines()[0] == (
        "step schedule: NoValidHostError: no valid host: 3 hosts; RamFilter 3 -> 0"
    )


def test_no_valid_host_is_a_fault_in_the_schedulers_words(site: Site) -> None:
    failing(site, "scheduler.select_hosts", NoValidHostError("no valid host: 3 hosts; ComputeFilter 3 -> 0"))
    site.build(site.enter())
    assert site.assert_in_error().message == "no valid host: 3 hosts; ComputeFilter 3 -> 0"


def enter_others(site: Site, host: str, numbers: range) -> None:
    """Builds of others, on that host alone."""
    for number in numbers:
        site.build(replace(site.enter(number), forced_host=host), site.builder())


def test_a_candidate_that_is_full_by_now_is_passed_over(site: Site, lines: list[Line]) -> None:
    site.tables.compute_nodes.report(compute_node("compute-03", SMALL.resources))  # the last choice
    enter_others(site, "compute-02", range(11, 12))  # the second
    request = site.enter()
    site.calls.begin(
        first_time("scheduler.select_hosts", "after", lambda: enter_others(site, "compute-01", range(21, 25)))
    )
    site.build(request)
    site.assert_active()
    assert site.instance().host == "compute-02"
    assert len(site.scheduler.asked) == 1 + 1 + 4
    assert "build.claim.failed" not in events(lines)


def test_where_all_candidates_are_full_by_now_hosts_are_chosen_anew(site: Site, lines: list[Line]) -> None:
    request = site.enter()

    def others_are_faster() -> None:
        for first, host in enumerate(HOSTS, start=1):
            enter_others(site, host, range(10 * first, 10 * first + 4))
        site.tables.compute_nodes.report(compute_node("compute-04", ROOM))

    site.calls.begin(first_time("scheduler.select_hosts", "after", others_are_faster))
    site.build(request)
    site.assert_active()
    assert site.instance().host == "compute-04"
    (said,) = [fields for _, _, fields in lines if fields.get("event") == "build.claim.progress"]
    assert said["candidates"] == 3
    assert said["full"] == dict.fromkeys(HOSTS, "cannot claim 2048 MB of memory: 0 are left")


def test_where_others_are_always_faster_it_is_given_up(site: Site) -> None:
    failing(site, "claims.claim", NoRoomError("cannot claim 2048 MB of memory: 0 are left"))
    site.build(site.enter())
    fault = site.assert_in_error()
    assert fault.message == "no valid host: others were faster 10 times; cannot claim 2048 MB of memory: 0 are left"
    assert (fault.details or "").splitlines()[1:] == [
        f"no room on host {host}: cannot claim 2048 MB of memory: 0 are left" for host in HOSTS
    ]
    assert len(site.scheduler.asked) == 10


def test_host_that_an_admin_forced_is_asked_for_room_once(site: Site) -> None:
    cause = "cannot claim 2048 MB of memory: 0 are left"
    failing(site, "claims.claim", NoRoomError(cause))
    site.build(replace(site.enter(), forced_host="compute-01"))
    assert site.assert_in_error().message == f"no valid host: {cause}"
    assert len(site.scheduler.asked) == 1


def test_a_request_for_what_nobody_has_entered_is_let_go(site: Site, lines: list[Line]) -> None:
    request = replace(site.enter(), instance_uuid=uuid_of(2))
    site.build(request)
    assert [message for _, message, _ in lines] == ["cannot build what is not there"]


def test_an_instance_that_an_admin_has_reset_is_left_to_whoever_has_it_then(site: Site) -> None:
    request = site.enter()
    reset = {"vm_state": VmState.ERROR, "task_state": None}

    def reset_it() -> None:
        site.tables.instances.update(uuid_of(1), reset)

    site.calls.begin(first_time("compute.spawn", "after", reset_it))
    site.build(request)
    instance = site.instance()
    assert (instance.vm_state, instance.task_state) == (VmState.ERROR, None)
    assert instance.host is not None
    assert site.left() == ([instance.host], [instance.host], 1)  # deleting it gives all that back


def test_history_of_the_instance_has_the_build(site: Site) -> None:
    site.build(site.enter())
    action = site.tables.actions.get(uuid_of(1), REQUEST_ID)
    assert (action.finished_at, action.message) == (site.clock.now, None)
    assert [(event.event, event.result) for event in action.events] == [
        ("conductor_build_instance", EventResult.SUCCESS)
    ]


def test_every_line_belongs_to_the_instance_and_the_request(site: Site) -> None:
    contexts: list[RequestContext] = []
    sink = logger.add(lambda _message: contexts.append(current_context()), level=0)
    site.build(site.enter())
    logger.remove(sink)
    assert len(contexts) == 11
    assert set(contexts) == {RequestContext(request_id=REQUEST_ID, instance=uuid_of(1))}


def test_history_of_an_instance_in_error_says_why(site: Site) -> None:
    failing(site, "compute.spawn", ImageNotFoundError("cannot find image: it is gone"))
    site.build(site.enter())
    action = site.tables.actions.get(uuid_of(1), REQUEST_ID)
    assert (action.finished_at, action.message) == (site.clock.now, "Error")
    assert [(event.result, event.details) for event in action.events] == [
        (EventResult.ERROR, "cannot find image: it is gone")
    ]
