"""The table of instances, alike on SQLite and PostgreSQL."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from cloud.db.claims import ClaimTable
from cloud.db.fixed_ips import FixedIpTable
from cloud.db.hosts import ComputeNodeTable
from cloud.db.instances import InstanceQuery, InstanceTable, Run, Usage
from cloud.db.quotas import QuotaLimits
from cloud.domain.expected import Expected
from cloud.domain.flavor import Flavor, Resources
from cloud.domain.instance import Instance, InstanceFault, PowerState, TaskState, VmState
from cloud.errors import BadRequestError, InstanceNotFoundError, InstanceStateError, QuotaError
from tests.db.conftest import Clock
from tests.db.making import NO_QUOTA, SMALL, at_once, compute_node, failures, new_instance, uuid_of

NOON = datetime(2014, 10, 16, 12, 0, tzinfo=UTC)
BUILDING = Expected(vm_states=[VmState.BUILDING])
IDLE = Expected(task_states=[None])


def create(instances: InstanceTable, *numbers: int) -> tuple[Instance, ...]:
    return instances.create([new_instance(number) for number in numbers], NO_QUOTA)


def test_new_instance_is_being_scheduled_and_has_all_it_was_given(instances: InstanceTable) -> None:
    new = new_instance(
        1,
        image_id="i1",
        availability_zone="west",
        key_name="mykey",
        key_data="ssh-rsa AAAA",
        user_data="I2Nsb3VkLWNvbmZpZwo=",
        has_config_drive=True,
        metadata={"role": "web"},
        system_metadata={"image_os": "linux"},
        access_ip_v4="192.0.2.7",
        access_ip_v6="2001:db8::7",
        launch_index=3,
    )
    (created,) = instances.create([new], NO_QUOTA)
    assert created == Instance(
        id=1,
        uuid="00000000-0000-0000-0000-000000000001",
        project_id="p1",
        user_id="u1",
        display_name="web-1",
        flavor=Flavor(id=2, flavorid="2", name="m1.small", memory_mb=2048, vcpus=1, root_gb=20, ephemeral_gb=10),
        vm_state=VmState.BUILDING,
        task_state=TaskState.SCHEDULING,
        power_state=PowerState.NOSTATE,
        created_at=NOON,
        updated_at=NOON,
        image_id="i1",
        availability_zone="west",
        key_name="mykey",
        key_data="ssh-rsa AAAA",
        user_data="I2Nsb3VkLWNvbmZpZwo=",
        has_config_drive=True,
        metadata={"role": "web"},
        system_metadata={"image_os": "linux"},
        access_ip_v4="192.0.2.7",
        access_ip_v6="2001:db8::7",
        reservation_id="r-abcdefgh",
        launch_index=3,
        hostname="web-1",
    )
    assert instances.get(new.uuid) == created


def test_several_are_entered_in_the_order_they_were_given(instances: InstanceTable) -> None:
    created = create(instances, 3, 1, 2)
    assert [(instance.id, instance.uuid) for instance in created] == [(1, uuid_of(3)), (2, uuid_of(1)), (3, uuid_of(2))]
    assert instances.create([], NO_QUOTA) == ()


@pytest.mark.parametrize(
    ("quota", "complaint"),
    [
        (QuotaLimits(4, -1, -1), "quota of instances is 4, 2 are used and 3 more were wanted"),
        (QuotaLimits(-1, 4, -1), "quota of cores is 4, 2 are used and 3 more were wanted"),
        (QuotaLimits(-1, -1, 10239), "quota of ram is 10239, 4096 are used and 6144 more were wanted"),
        (
            QuotaLimits(0, 0, -1),
            "quota of instances is 0, 2 are used and 3 more were wanted; quota of cores is 0, 2 are used and 3 more were wanted",
        ),
    ],
)
def test_beyond_the_quota_none_is_entered(instances: InstanceTable, quota: QuotaLimits, complaint: str) -> None:
    create(instances, 1, 2)
    with pytest.raises(QuotaError) as caught:
        instances.create([new_instance(number) for number in (3, 4, 5)], quota)
    assert str(caught.value) == f"cannot create 3 instances: {complaint}"
    assert instances.usage("p1") == Usage(instances=2, cores=2, ram_mb=4096)


def test_quota_may_be_used_to_the_last_and_is_each_projects_own(instances: InstanceTable) -> None:
    create(instances, 1, 2)
    instances.create([new_instance(3)], QuotaLimits(3, 3, 6144))
    instances.create([new_instance(4, project_id="p2")], QuotaLimits(1, 1, 2048))
    assert instances.usage("p1") == Usage(3, 3, 6144)
    assert instances.usage("p2") == Usage(1, 1, 2048)
    assert instances.usage("nobody") == Usage(0, 0, 0)


def test_forty_at_once_with_a_quota_of_ten_are_exactly_ten(instances: InstanceTable) -> None:
    done = at_once(40, lambda number: instances.create([new_instance(number)], QuotaLimits(10, -1, -1)))
    refused = failures(done)
    assert [type(exc) for exc in refused] == [QuotaError] * 30
    assert instances.usage("p1") == Usage(10, 10, 20480)


def test_instance_of_another_project_is_not_found(instances: InstanceTable) -> None:
    create(instances, 1)
    assert instances.get(uuid_of(1), project_id="p1").uuid == uuid_of(1)
    with pytest.raises(InstanceNotFoundError, match="cannot find instance 00000000-0000-0000-0000-000000000001"):
        instances.get(uuid_of(1), project_id="p2")
    with pytest.raises(InstanceNotFoundError):
        instances.get("no such")


def test_update_changes_what_it_names_and_the_time(instances: InstanceTable, clock: Clock) -> None:
    (created,) = create(instances, 1)
    clock.advance(5)
    changed = instances.update(
        created.uuid,
        {"vm_state": VmState.ACTIVE, "task_state": None, "power_state": PowerState.RUNNING, "launched_at": clock()},
    )
    assert changed == replace(
        created,
        vm_state=VmState.ACTIVE,
        task_state=None,
        power_state=PowerState.RUNNING,
        launched_at=datetime(2014, 10, 16, 12, 0, 5, tzinfo=UTC),
        updated_at=datetime(2014, 10, 16, 12, 0, 5, tzinfo=UTC),
    )
    assert instances.get(created.uuid) == changed


def test_changes_may_come_as_they_travel(instances: InstanceTable) -> None:
    (created,) = create(instances, 1)
    large = Flavor(id=4, flavorid="4", name="m1.large", memory_mb=8192, vcpus=4, root_gb=80)
    changed = instances.update(
        created.uuid,
        {
            "vm_state": "stopped",
            "task_state": "powering-on",
            "power_state": 4,
            "launched_at": "2014-10-16T14:00:00+02:00",
            "flavor": large.as_dict(),
            "metadata": {"a": "b"},
            "has_config_drive": True,
        },
    )
    assert (changed.vm_state, changed.task_state, changed.power_state) == (
        VmState.STOPPED,
        TaskState.POWERING_ON,
        PowerState.SHUTDOWN,
    )
    assert (changed.launched_at, changed.flavor, changed.metadata) == (NOON, large, {"a": "b"})
    assert instances.usage("p1") == Usage(instances=1, cores=4, ram_mb=8192)


NO_CHANGES: tuple[dict[str, object], ...] = (
    {"uuid": "x"},
    {"deleted_at": NOON},
    {"colour": "red"},
    {"vm_state": "deleted"},
    {"vm_state": "wobbly"},
    {"vm_state": None},
    {"task_state": "dancing"},
    {"power_state": 99},
    {"launched_at": "yesterday"},
    {"launched_at": 7},
    {"metadata": None},
    {"metadata": "x"},
    {"display_name": None},
    {"node": 5},
    {"has_config_drive": "false"},
    {"flavor": {"id": 1}},
)


def test_change_that_is_none_is_refused_whole(instances: InstanceTable) -> None:
    (created,) = create(instances, 1)
    for changes in NO_CHANGES:
        with pytest.raises(ValueError, match=f"^cannot update instance {created.uuid}: "):
            instances.update(created.uuid, {"host": "a", **changes})
    assert instances.get(created.uuid) == created


EXPECTATIONS = (
    Expected(),
    BUILDING,
    Expected(vm_states=(VmState.ACTIVE, VmState.BUILDING)),
    Expected(task_states=[TaskState.SCHEDULING]),
    Expected(task_states=[None, TaskState.SCHEDULING]),
    Expected(vm_states={VmState.BUILDING}, task_states={TaskState.SCHEDULING}, host="a"),
)


def test_states_that_somebody_has_written_by_hand_and_that_are_none_hide_no_instance(instances: InstanceTable) -> None:
    create(instances, 1, 2)
    by_hand = "UPDATE instances SET vm_state = 'shutoff', power_state = 5, task_state = 'shutting' WHERE uuid = :uuid"
    with instances._database.transaction() as session:
        session.execute(text(by_hand), {"uuid": uuid_of(1)})
    found = {each.uuid: each for each in instances.list(InstanceQuery())}
    assert found.keys() == {uuid_of(1), uuid_of(2)}
    assert found[uuid_of(1)] == instances.get(uuid_of(1))
    states = (found[uuid_of(1)].vm_state, found[uuid_of(1)].task_state, found[uuid_of(1)].power_state)
    assert states == (VmState.ERROR, None, PowerState.NOSTATE)
    with pytest.raises(InstanceStateError, match="its vm_state is shutoff, its task_state shutting"):
        instances.update(uuid_of(1), {"progress": 1}, expected=IDLE)
    put_right = {"vm_state": VmState.ACTIVE, "task_state": None, "power_state": PowerState.RUNNING}
    assert instances.update(uuid_of(1), put_right).vm_state is VmState.ACTIVE


def test_update_in_an_expected_state_is_done(instances: InstanceTable) -> None:
    create(instances, 1)
    instances.update(uuid_of(1), {"host": "a"})
    for progress, expected in enumerate(EXPECTATIONS):
        assert instances.update(uuid_of(1), {"progress": progress}, expected=expected).progress == progress


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (Expected(vm_states=[VmState.ACTIVE]), "its vm_state is building, its task_state scheduling"),
        (Expected(vm_states=[]), "its vm_state is building, its task_state scheduling"),
        (IDLE, "its vm_state is building, its task_state scheduling"),
        (Expected(host="b"), "its vm_state is building, its task_state scheduling, and it is on host a"),
    ],
)
def test_update_in_another_state_says_which_and_changes_nothing(
    instances: InstanceTable, expected: Expected, found: str
) -> None:
    create(instances, 1)
    before = instances.update(uuid_of(1), {"host": "a"})
    with pytest.raises(InstanceStateError) as caught:
        instances.update(uuid_of(1), {"progress": 10}, expected=expected, verb="reboot")
    assert str(caught.value) == f"cannot reboot instance {uuid_of(1)}: {found}"
    assert instances.get(uuid_of(1)) == before


def test_of_two_updates_that_expect_the_same_state_one_wins(instances: InstanceTable) -> None:
    create(instances, *range(20))

    def take(number: int) -> Instance:
        return instances.update(uuid_of(number // 2), {"vm_state": "active", "progress": number}, expected=BUILDING)

    done = at_once(40, take)
    assert [type(exc) for exc in failures(done)] == [InstanceStateError] * 20
    winners = [future.result() for future in done if future.exception() is None]
    assert sorted(winner.uuid for winner in winners) == [uuid_of(number) for number in range(20)]
    assert [instances.get(winner.uuid).progress for winner in winners] == [winner.progress for winner in winners]


def test_of_two_that_merge_different_keys_at_once_none_is_lost(instances: InstanceTable) -> None:
    create(instances, 1)

    def merge(number: int) -> Instance:
        return instances.merge(uuid_of(1), lambda now: {"metadata": {**now.metadata, f"key{number}": str(number)}})

    for _ in range(5):
        instances.update(uuid_of(1), {"metadata": {}})
        assert failures(at_once(2, merge)) == []
        assert instances.get(uuid_of(1)).metadata == {"key0": "0", "key1": "1"}
    assert failures(at_once(20, merge)) == []
    assert instances.get(uuid_of(1)).metadata == {f"key{number}": str(number) for number in range(20)}


def test_merge_sees_the_instance_with_its_addresses_and_gives_it_changed(
    instances: InstanceTable, fixed_ips: FixedIpTable, clock: Clock
) -> None:
    (created,) = create(instances, 1)
    fixed_ips.allocate(created.uuid, "private", "10.0.0.0/24")
    clock.advance(5)
    changed = instances.merge(created.uuid, lambda now: {"metadata": {"addresses": ",".join(now.addresses)}})
    assert changed == replace(
        created,
        addresses=("10.0.0.2",),
        metadata={"addresses": "10.0.0.2"},
        updated_at=datetime(2014, 10, 16, 12, 0, 5, tzinfo=UTC),
    )
    assert instances.get(created.uuid) == changed


def test_merge_that_fails_changes_nothing(instances: InstanceTable) -> None:
    (created,) = create(instances, 1, 2)[:1]

    def refuse(now: Instance) -> dict[str, object]:
        raise QuotaError(f"too many of {now.display_name}")

    with pytest.raises(QuotaError, match="too many of web-1"):
        instances.merge(created.uuid, refuse)
    with pytest.raises(InstanceStateError, match=f"^cannot tag instance {created.uuid}: its vm_state is building"):
        instances.merge(created.uuid, refuse, expected=Expected(vm_states=[VmState.ACTIVE]), verb="tag")
    with pytest.raises(ValueError, match=f"^cannot update instance {created.uuid}: colour is not changed so"):
        instances.merge(created.uuid, lambda _: {"colour": "red"})
    instances.delete(uuid_of(2))
    for gone in (uuid_of(2), uuid_of(3)):
        with pytest.raises(InstanceNotFoundError):
            instances.merge(gone, refuse)
    assert instances.get(created.uuid) == created


def test_runs_are_those_of_the_time_by_id(instances: InstanceTable, clock: Clock) -> None:
    create(instances, *range(1, 7))
    for number, hour in ((1, 0), (2, 0), (3, 0), (4, 9), (5, 3)):  # 6 never ran
        instances.update(uuid_of(number), {"launched_at": NOON + timedelta(hours=hour)})
    clock.advance(3600)
    instances.delete(uuid_of(1))
    clock.advance(4 * 3600)
    instances.delete(uuid_of(3))
    start, stop = NOON + timedelta(hours=2), NOON + timedelta(hours=9)
    found = instances.runs(start, stop, project_id=None, after=None, limit=9)
    assert [run.uuid for run in found] == [uuid_of(2), uuid_of(3), uuid_of(5)]
    assert found[1] == Run(
        id=3,
        uuid=uuid_of(3),
        project_id="p1",
        display_name="web-3",
        flavor_name="m1.small",
        memory_mb=2048,
        vcpus=1,
        root_gb=20,
        ephemeral_gb=10,
        vm_state="deleted",
        launched_at=NOON,
        terminated_at=datetime(2014, 10, 16, 17, 0, tzinfo=UTC),
    )
    assert instances.runs(start, stop, project_id="p1", after=found[0], limit=1) == found[1:2]
    assert instances.runs(start, stop, project_id="p2", after=None, limit=9) == ()


def test_deleted_instance_stays_but_counts_and_is_found_no_more(instances: InstanceTable, clock: Clock) -> None:
    create(instances, 1, 2)
    instances.update(uuid_of(1), {"host": "a", "power_state": PowerState.RUNNING})
    clock.advance(5)
    instances.delete(uuid_of(1))
    assert instances.usage("p1") == Usage(1, 1, 2048)
    assert instances.on_host("a") == ()
    for gone in (
        lambda: instances.get(uuid_of(1)),
        lambda: instances.update(uuid_of(1), {"progress": 1}),
        lambda: instances.delete(uuid_of(1)),
    ):
        with pytest.raises(InstanceNotFoundError):
            gone()
    deleted = instances.get(uuid_of(1), deleted=True)
    later = datetime(2014, 10, 16, 12, 0, 5, tzinfo=UTC)
    assert (deleted.vm_state, deleted.task_state, deleted.power_state) == (VmState.DELETED, None, PowerState.NOSTATE)
    assert (deleted.terminated_at, deleted.deleted_at, deleted.updated_at) == (later, later, later)
    assert deleted.host == "a"


def test_deletion_takes_back_claims_and_addresses_of_that_instance(
    instances: InstanceTable, nodes: ComputeNodeTable, claims: ClaimTable, fixed_ips: FixedIpTable
) -> None:
    create(instances, 1, 2)
    nodes.report(compute_node("a"))
    for number in (1, 2):
        claims.claim(uuid_of(number), "a", SMALL.resources, Resources(16384, 8, 200))
        fixed_ips.allocate(uuid_of(number), "private", "10.0.0.0/24")
    assert instances.get(uuid_of(1)).addresses == ("10.0.0.2",)
    instances.delete(uuid_of(1))
    assert claims.of(uuid_of(1)) == {}
    assert nodes.get("a").used == Resources(2048, 1, 30)
    assert list(fixed_ips.of([uuid_of(1), uuid_of(2)])) == [uuid_of(2)]
    assert instances.get(uuid_of(1), deleted=True).addresses == ()


def test_deletion_that_expects_another_state_takes_nothing_back(
    instances: InstanceTable, fixed_ips: FixedIpTable
) -> None:
    create(instances, 1)
    fixed_ips.allocate(uuid_of(1), "private", "10.0.0.0/24")
    with pytest.raises(InstanceStateError, match=f"^cannot delete instance {uuid_of(1)}: its vm_state is building"):
        instances.delete(uuid_of(1), expected=Expected(vm_states=[VmState.ACTIVE]))
    assert instances.get(uuid_of(1)).addresses == ("10.0.0.2",)


def test_deletion_that_meets_a_claim_leaves_nothing_claimed(
    instances: InstanceTable, nodes: ComputeNodeTable, claims: ClaimTable, fixed_ips: FixedIpTable
) -> None:
    nodes.report(compute_node("a", Resources(1_000_000, 1000, 10_000)))
    create(instances, *range(1, 21))
    wanted = [SMALL.resources, Resources(1_000_000, 1000, 10_000)]

    def build_or_delete(number: int) -> None:
        uuid = uuid_of(number // 3 + 1)
        match number % 3:
            case 0:
                claims.claim(uuid, "a", *wanted)
            case 1:
                fixed_ips.allocate(uuid, "private", "10.0.0.0/24")
            case 2:
                instances.delete(uuid)

    done = at_once(60, build_or_delete)
    assert {type(exc) for exc in failures(done)} <= {InstanceNotFoundError}
    assert nodes.get("a").used == Resources(0, 0, 0)
    assert fixed_ips.of([uuid_of(number) for number in range(1, 21)]) == {}


def test_newest_fault_of_each_instance_is_shown(instances: InstanceTable, clock: Clock) -> None:
    create(instances, 1, 2, 3)
    instances.add_fault(uuid_of(1), 500, "no valid host", "all were full", "a")
    instances.add_fault(uuid_of(2), 500, "spawn failed")
    clock.advance(5)
    instances.add_fault(uuid_of(1), 404, "image gone", None, "b")
    later = datetime(2014, 10, 16, 12, 0, 5, tzinfo=UTC)
    assert instances.faults([uuid_of(number) for number in (1, 2, 3)]) == {
        uuid_of(1): InstanceFault(404, "image gone", None, "b", later),
        uuid_of(2): InstanceFault(500, "spawn failed", None, None, NOON),
    }
    assert instances.faults([]) == {}


def test_of_a_long_fault_the_beginning_is_kept(instances: InstanceTable) -> None:
    create(instances, 1)
    instances.add_fault(uuid_of(1), 500, "m" * 256, "d" * 70_000)
    fault = instances.faults([uuid_of(1)])[uuid_of(1)]
    assert fault.message == "m" * 252 + "..."
    assert fault.details == "d" * 65_533 + "..."
    instances.add_fault(uuid_of(1), 500, "ü" * 255)
    assert instances.faults([uuid_of(1)])[uuid_of(1)].message == "ü" * 255


def test_text_that_no_database_stores_is_no_error(instances: InstanceTable) -> None:
    bad = "a\x00b\ud800c"
    instances.create(
        [new_instance(1, display_name=bad, user_data=bad, metadata={bad: "x\x00"}, project_id=bad)], NO_QUOTA
    )
    found = instances.get(uuid_of(1), project_id=bad)
    assert (found.display_name, found.user_data) == ("a\ufffdb\ufffdc", "a\ufffdb\ufffdc")
    assert instances.usage(bad).instances == 1
    instances.update(uuid_of(1), {"host": bad, "metadata": {"key": bad}})
    instances.add_fault(uuid_of(1), 500, bad, bad, bad)
    assert instances.faults([uuid_of(1), bad])[uuid_of(1)].message == "a\ufffdb\ufffdc"
    with pytest.raises(InstanceNotFoundError):
        instances.get(bad)
    with pytest.raises(InstanceNotFoundError):
        instances.delete("\x00")


def test_text_beyond_its_column_is_refused_on_either_database(instances: InstanceTable) -> None:
    with pytest.raises(BadRequestError, match="cannot store display_name: it has more than 255 characters"):
        instances.create([new_instance(1, display_name="n" * 256)], NO_QUOTA)
    create(instances, 1)
    with pytest.raises(BadRequestError, match="cannot store host: it has more than 255 characters"):
        instances.update(uuid_of(1), {"host": "h" * 256})
    with pytest.raises(BadRequestError, match="cannot store progress: 2147483648 is beyond 2147483647"):
        instances.update(uuid_of(1), {"progress": 2**31})
    with pytest.raises(InstanceNotFoundError):
        instances.get("u" * 300)
