"""Guests that are missing, nobody's, in the wrong place or twice, and what mends that; on either database."""

from collections.abc import Callable

import pytest

from cloud.doctor.finding import Kind
from cloud.doctor.remedy import Destroys
from cloud.domain.expected import ANY
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus, MigrationType
from cloud.errors import ComputeError, InstanceNotFoundError, InstanceStateError
from cloud.rpc.errors import BusUnavailableError, RpcTimeoutError
from tests.db.making import uuid_of
from tests.doctor.site import LARGE, LIMITS, Site, Told

RUNNING, OFF = PowerState.RUNNING, PowerState.SHUTDOWN


def test_cloud_in_which_all_is_in_its_place_has_nothing(site: Site) -> None:
    site.run(1, "a")
    site.run(2, "b", vm_state=VmState.STOPPED)
    site.compute.guests["b"][uuid_of(2)] = OFF
    site.run(3, "c", vm_state=VmState.ERROR)
    site.age(days=3)
    diagnosis = site.look()
    assert (diagnosis.findings, diagnosis.silent, diagnosis.is_partial) == ((), {}, False)
    assert diagnosis.counts == {
        "instances": 3,
        "claims": 3,
        "addresses": 3,
        "migrations": 0,
        "hosts": 3,
        "guests": 3,
    }
    assert site.waited == []


def build(site: Site, task_state: TaskState, *, with_claim: bool, with_guest: bool) -> None:
    site.run(1, "a", vm_state=VmState.BUILDING, task_state=task_state, launched_at=None)
    if not with_claim:
        site.tables.claims.release(uuid_of(1))
    if not with_guest:
        site.compute.guests["a"].clear()


def resized(site: Site) -> None:
    """It waits to be confirmed on b; a has it set aside, and what it has claimed there."""
    site.run(1, "b")
    migration = site.begin(1, type=MigrationType.RESIZE)
    site.tables.claims.claim(uuid_of(1), "a", LARGE.resources, LIMITS)
    site.tables.migrations.end(
        migration.id,
        MigrationStatus.FINISHED,
        instance_changes={"task_state": None, "vm_state": VmState.RESIZED, "flavor": LARGE},
        expected=ANY,
    )
    site.age(days=2)


def transferring(site: Site) -> None:
    """On its way from a to b, which has a guest of it and its claim."""
    site.run(1, "a")
    site.begin(1)
    site.tables.claims.claim(uuid_of(1), "b", LARGE.resources, LIMITS)
    site.compute.guests["b"][uuid_of(1)] = PowerState.PAUSED


def handed_over(site: Site) -> None:
    transferring(site)
    site.set(1, host="b")


@pytest.mark.parametrize(
    "under_way",
    [
        lambda site: build(site, TaskState.SCHEDULING, with_claim=False, with_guest=False),
        lambda site: build(site, TaskState.NETWORKING, with_claim=True, with_guest=False),
        lambda site: build(site, TaskState.SPAWNING, with_claim=True, with_guest=True),
        lambda site: site.run(1, "a", task_state=TaskState.REBOOTING_HARD),
        lambda site: site.compute.guests["a"].clear() if site.run(1, "a", task_state=TaskState.REBUILDING) else None,
        resized,
        transferring,
        handed_over,
    ],
)
def test_what_is_on_its_way_is_no_finding(site: Site, under_way: Callable[[Site], None]) -> None:
    under_way(site)
    assert site.found() == []


def test_instance_without_a_guest_is_rebooted_hard(site: Site) -> None:
    site.run(1)
    del site.compute.guests["a"][uuid_of(1)]
    assert site.found() == [Told(Kind.GUEST_MISSING, 1, "a")]
    assert site.mend() == []
    assert site.compute.asked == [("reboot_instance", "a", uuid_of(1), "HARD")]
    assert site.found() == []


def test_instance_that_was_never_launched_or_whose_host_is_silent_misses_no_guest(site: Site) -> None:
    site.run(1, "a", vm_state=VmState.ERROR, launched_at=None)
    site.run(2, "b")
    site.compute.guests = {"a": {}, "b": {}, "c": {}}
    site.compute.failures["b"] = RpcTimeoutError("no reply in 10 s")
    diagnosis = site.look()
    assert diagnosis.findings == ()
    assert (diagnosis.silent, diagnosis.is_partial) == ({"b": "no reply in 10 s"}, True)


def test_missing_guest_is_not_made_anew_while_a_silent_host_may_have_it(site: Site) -> None:
    site.run(1)
    del site.compute.guests["a"][uuid_of(1)]
    site.compute.failures["c"] = RpcTimeoutError("no reply in 10 s")
    assert site.only().mending == "nothing while hosts do not say whether they have it: c"
    assert site.only().remedy is None


def test_stopped_instance_without_a_guest_is_left_to_its_owner(site: Site) -> None:
    site.run(1, vm_state=VmState.STOPPED)
    del site.compute.guests["a"][uuid_of(1)]
    assert site.found() == [Told(Kind.GUEST_MISSING, 1, "a", is_mendable=False)]


def test_reboot_that_cannot_be_asked_for_leaves_the_instance_as_it_was(site: Site) -> None:
    before = site.run(1)
    del site.compute.guests["a"][uuid_of(1)]
    doctor = site.doctor()
    (finding,) = doctor.look().findings
    site.compute.failures["a"] = BusUnavailableError("no broker")
    with pytest.raises(BusUnavailableError):
        doctor.mend(finding)
    after = site.tables.instances.get(uuid_of(1))
    assert (after.vm_state, after.task_state) == (before.vm_state, None)


@pytest.mark.parametrize(
    ("state", "says", "destroys"),
    [
        (RUNNING, "power off the guest", Destroys.RUNNING_GUEST),
        (OFF, "remove the guest, which is off", None),
    ],
)
def test_guest_of_a_deleted_instance_is_removed_and_by_particular_wish_when_it_runs(
    site: Site, state: PowerState, says: str, destroys: Destroys | None
) -> None:
    site.run(1)
    site.tables.instances.delete(uuid_of(1))
    site.compute.guests["a"][uuid_of(1)] = state
    assert site.found() == [Told(Kind.GUEST_UNKNOWN, 1, "a")]
    assert site.only().since == site.clock.now
    assert site.only().mending.startswith(says)
    assert site.only().as_dict()["destroys_running_guest"] is (destroys is not None)
    assert site.mend() == []
    assert site.compute.asked == [("destroy", "a", uuid_of(1))]
    assert site.found() == []


@pytest.mark.parametrize("state", list(PowerState))
def test_guest_that_the_database_never_had_is_set_aside_and_its_disk_kept(site: Site, state: PowerState) -> None:
    site.compute.guests["c"][uuid_of(9)] = state
    assert site.found() == [Told(Kind.GUEST_UNKNOWN, 9, "c")]
    assert "nobody knows whose it is" in site.only().what
    assert ("power off and set aside" in site.only().mending) is (state not in (OFF, PowerState.CRASHED))
    assert "whose disk is kept there" in site.only().mending
    assert site.only().as_dict()["destroys_running_guest"] is (state not in (OFF, PowerState.CRASHED))
    assert site.mend() == []
    assert site.compute.asked == [("keep_guest", "c", uuid_of(9))]


def test_guest_that_the_database_knows_by_now_is_not_set_aside(site: Site) -> None:
    site.compute.guests["a"][uuid_of(1)] = RUNNING
    doctor = site.doctor()
    (finding,) = doctor.look().findings
    site.run(1)
    with pytest.raises(InstanceStateError, match="its instance is known, or elsewhere, by now"):
        doctor.mend(finding)
    assert site.compute.asked == []


def test_guest_that_was_started_meanwhile_is_not_removed(site: Site) -> None:
    site.run(1)
    site.tables.instances.delete(uuid_of(1))
    site.compute.guests["a"][uuid_of(1)] = OFF
    doctor = site.doctor()
    (finding,) = doctor.look().findings
    site.compute.guests["a"][uuid_of(1)] = RUNNING
    with pytest.raises(InstanceStateError, match="it is RUNNING on host a by now"):
        doctor.mend(finding)
    assert site.compute.asked == []


def moved_by_hand(site: Site) -> None:
    """As the guide's SQL does it, with the guest on a."""
    site.run(1, "a")
    site.set(1, host="b")


def test_instance_is_put_where_its_guest_runs_with_its_claim(site: Site) -> None:
    moved_by_hand(site)
    assert site.found() == [Told(Kind.GUEST_ELSEWHERE, 1, "a")]
    assert site.mend() == []
    found = site.tables.instances.get(uuid_of(1))
    assert (found.host, found.node) == ("a", "a.example.org")
    assert list(site.tables.claims.of(uuid_of(1))) == ["a"]
    assert (site.found(), site.compute.asked) == ([], [])


def test_guest_on_no_known_host_of_its_instance_brings_it_back(site: Site) -> None:
    site.run(1, "a")
    site.set(1, host="a-mistyped")
    assert site.found() == [Told(Kind.GUEST_ELSEWHERE, 1, "a")]
    assert site.mend() == []
    assert site.tables.instances.get(uuid_of(1)).host == "a"


@pytest.mark.parametrize(
    ("change", "mending"),
    [
        (lambda site: site.compute.guests["a"].update({uuid_of(1): OFF}), "nothing while it does not run: "),
        (
            lambda site: site.compute.failures.update({"b": RpcTimeoutError("no reply")}),
            "nothing: b may have it too, and does not say (no reply)",
        ),
        (lambda site: site.tables.services.force_down("b", "nova-compute", is_forced=True), "(it is forced down)"),
        (lambda site: site.set(1, host=None), "nothing: it was built there once, or runs"),
    ],
)
def test_guest_elsewhere_is_only_told_where_it_may_be_the_wrong_one(
    site: Site, change: Callable[[Site], object], mending: str
) -> None:
    moved_by_hand(site)
    change(site)
    finding = next(each for each in site.look().findings if each.kind is Kind.GUEST_ELSEWHERE)
    assert finding.remedy is None
    assert mending in finding.mending


@pytest.mark.parametrize("host", ["a", "b"])
def test_instance_is_not_put_elsewhere_when_things_have_changed_meanwhile(site: Site, host: str) -> None:
    moved_by_hand(site)
    doctor = site.doctor()
    (finding,) = doctor.look().findings
    site.compute.guests[host] = {uuid_of(1): RUNNING} if host == "b" else {}
    with pytest.raises(InstanceStateError, match="cannot mend instance"):
        doctor.mend(finding)
    assert site.tables.instances.get(uuid_of(1)).host == "b"


def test_what_is_left_of_a_build_that_failed_is_removed_when_it_is_off(site: Site) -> None:
    site.run(1, "a", vm_state=VmState.ERROR, launched_at=None)
    site.set(1, host=None, node=None)
    site.compute.guests["a"][uuid_of(1)] = OFF
    assert Told(Kind.GUEST_ELSEWHERE, 1, "a") in site.found()
    assert site.mend() == []
    assert ("destroy", "a", uuid_of(1)) in site.compute.asked
    site.mend()
    assert site.found() == []


def doubled(site: Site, state: PowerState, **storages: str) -> None:
    """Each host has its own storage, unless `storages` say otherwise."""
    site.run(1, "a")
    site.compute.guests["b"][uuid_of(1)] = state
    site.store(**{"a": "a", "b": "b", "c": "c", **storages})


@pytest.mark.parametrize("state", list(PowerState))
def test_duplicate_that_may_run_is_destroyed_by_particular_wish_only(site: Site, state: PowerState) -> None:
    doubled(site, state)
    assert site.found() == [Told(Kind.GUEST_ON_TWO_HOSTS, 1, "b")]
    remedy = site.only().remedy
    assert remedy is not None
    is_off = state in (PowerState.SHUTDOWN, PowerState.CRASHED)
    assert remedy.destroys is (None if is_off else Destroys.RUNNING_GUEST)
    assert site.mend() == []
    kept = ("keep_guest", "b", uuid_of(1))
    assert site.compute.asked == ([kept] if is_off else [("give_up_guest", "b", uuid_of(1)), kept])
    assert site.compute.guests["a"] == {uuid_of(1): RUNNING}
    assert site.found() == []


def test_disk_of_a_duplicate_stays_where_both_hosts_see_it(site: Site) -> None:
    doubled(site, OFF, a="nfs", b="nfs")
    assert "the disk, which both hosts see, stays" in site.only().mending
    assert site.mend() == []
    assert site.compute.asked == [("clear_departed", "b", uuid_of(1), "keeps_disk=True")]


def test_duplicate_is_let_be_while_nobody_knows_whose_its_disk_is(site: Site) -> None:
    site.run(1, "a")
    site.compute.guests["b"][uuid_of(1)] = OFF
    assert site.found() == [Told(Kind.GUEST_ON_TWO_HOSTS, 1, "b", is_mendable=False)]
    assert site.only().mending == "nothing until b and a have said which storage they have"


@pytest.mark.parametrize("state", [OFF, PowerState.PAUSED, PowerState.NOSTATE])
def test_no_duplicate_is_touched_where_the_instance_does_not_run_on_its_host(site: Site, state: PowerState) -> None:
    doubled(site, RUNNING)
    site.compute.guests["a"][uuid_of(1)] = state
    assert site.found() == [Told(Kind.GUEST_ON_TWO_HOSTS, 1, "b", is_mendable=False)]


@pytest.mark.parametrize(
    ("storages", "asked"),
    [
        ({"a": "a", "b": "b"}, ("keep_guest", "b", uuid_of(1))),
        ({"a": "nfs", "b": "nfs"}, ("clear_departed", "b", uuid_of(1), "keeps_disk=True")),
    ],
)
def test_duplicate_that_is_off_beside_one_that_is_off_is_set_aside_and_no_disk_is_lost(
    site: Site, storages: dict[str, str], asked: tuple[str, ...]
) -> None:
    doubled(site, OFF, **storages)
    site.compute.guests["a"][uuid_of(1)] = OFF
    assert site.found() == [Told(Kind.GUEST_ON_TWO_HOSTS, 1, "b")]
    assert site.mend() == []
    assert (site.compute.asked, site.compute.guests["a"]) == ([asked], {uuid_of(1): OFF})


def test_duplicate_that_was_started_meanwhile_is_not_set_aside(site: Site) -> None:
    doubled(site, OFF)
    site.compute.guests["a"][uuid_of(1)] = OFF
    doctor = site.doctor()
    (finding,) = doctor.look().findings
    site.compute.guests["b"][uuid_of(1)] = RUNNING
    with pytest.raises(InstanceStateError, match="it is RUNNING on b by now"):
        doctor.mend(finding)
    assert site.compute.asked == []


def test_no_duplicate_is_touched_where_its_host_does_not_have_it_at_all(site: Site) -> None:
    doubled(site, RUNNING)
    site.set(1, host="c", node="c.example.org")
    found = [told for told in site.found() if told.kind is Kind.GUEST_ON_TWO_HOSTS]
    assert found == [Told(Kind.GUEST_ON_TWO_HOSTS, 1, host, is_mendable=False) for host in ("a", "b")]


@pytest.mark.parametrize("storages", [{}, {"a": "a", "b": "b"}], ids=["unknown", "own"])
def test_no_duplicate_is_touched_of_an_instance_that_is_on_no_host(site: Site, storages: dict[str, str]) -> None:
    site.run(1, "a")
    site.compute.guests["b"][uuid_of(1)] = OFF
    site.set(1, host=None, node=None)
    site.store(**storages)
    twice = [each for each in site.look().findings if each.kind is Kind.GUEST_ON_TWO_HOSTS]
    assert [(each.host, each.mending) for each in twice] == [
        (
            host,
            "nothing: it does not run where the database has it, so that nobody knows which guest is the right one",
        )
        for host in ("a", "b")
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda site: site.compute.guests["a"].clear(),
        lambda site: site.compute.guests["a"].update({uuid_of(1): OFF}),
        lambda site: site.compute.failures.update({"a": ComputeError("no answer")}),
        lambda site: site.set(1, host="b"),
        lambda site: site.begin(1),
        lambda site: site.tables.instances.delete(uuid_of(1)),
    ],
)
def test_duplicate_is_left_when_things_have_changed_meanwhile(site: Site, change: Callable[[Site], object]) -> None:
    doubled(site, RUNNING)
    doctor = site.doctor()
    (finding,) = doctor.look().findings
    change(site)
    with pytest.raises((InstanceStateError, InstanceNotFoundError, ComputeError)):
        doctor.mend(finding)
    assert site.compute.asked == []


def test_what_is_seen_only_once_is_no_finding(site: Site) -> None:
    site.run(1, "a")
    site.compute.guests["b"][uuid_of(1)] = RUNNING
    site.between_looks = site.compute.guests["b"].clear
    assert site.found() == []
    assert site.waited == [1.0]


def test_instance_that_is_made_while_hosts_are_asked_is_no_finding(site: Site) -> None:
    made: list[str] = []

    def make(host: str) -> None:
        if host == "a" and not made:
            made.append(site.run(1, "a").uuid)

    site.compute.after_listing = make
    assert site.found() == []
    assert (made, site.waited) == ([uuid_of(1)], [1.0])
