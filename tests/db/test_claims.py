"""The table of claims, alike on SQLite and PostgreSQL: no host is given away twice."""

import pytest

from cloud.db.claims import ClaimTable
from cloud.db.hosts import ComputeNodeTable
from cloud.db.instances import InstanceTable
from cloud.domain.claim import Claim
from cloud.domain.expected import Expected
from cloud.domain.flavor import Resources
from cloud.errors import HostNotFoundError, InstanceNotFoundError, InstanceStateError, NoRoomError
from tests.db.conftest import Clock
from tests.db.making import NO_QUOTA, at_once, compute_node, failures, new_instance, uuid_of

ONE = Resources(memory_mb=2048, vcpus=1, disk_gb=20)
LIMITS = Resources(memory_mb=20480, vcpus=16, disk_gb=400)


@pytest.fixture
def hosts(nodes: ComputeNodeTable) -> ComputeNodeTable:
    for host in ("a", "b"):
        nodes.report(compute_node(host))
    return nodes


def test_claim_counts_until_it_is_released(hosts: ComputeNodeTable, claims: ClaimTable) -> None:
    claims.claim(uuid_of(1), "a", ONE, LIMITS)
    claims.claim(uuid_of(2), "a", Resources(1024, 2, 5), LIMITS)
    assert hosts.get("a").used == Resources(3072, 3, 25)
    assert hosts.get("b").used == Resources(0, 0, 0)
    claims.release(uuid_of(1))
    claims.release(uuid_of(1))
    assert hosts.get("a").used == Resources(1024, 2, 5)


def test_second_claim_of_the_same_is_no_change_even_on_a_host_that_is_full(
    hosts: ComputeNodeTable, claims: ClaimTable
) -> None:
    for _ in range(2):
        claims.claim(uuid_of(1), "a", ONE, ONE)
    assert claims.of(uuid_of(1)) == {"a": ONE}


def test_instance_may_claim_of_two_hosts_and_release_one(hosts: ComputeNodeTable, claims: ClaimTable) -> None:
    for host in ("a", "b"):
        claims.claim(uuid_of(1), host, ONE, LIMITS)
    claims.release(uuid_of(1), "a")
    assert claims.of(uuid_of(1)) == {"b": ONE}
    claims.claim(uuid_of(1), "a", ONE, LIMITS)
    claims.release(uuid_of(1))
    assert claims.of(uuid_of(1)) == {}


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        (Resources(4095, 16, 400), "cannot claim 2048 MB of memory: 2047 are left"),
        (Resources(20480, 1, 400), "cannot claim 1 vcpus: 0 are left"),
        (Resources(20480, 16, 10), "cannot claim 20 GB of disk: 0 are left"),
        (Resources(0, 0, 0), "cannot claim 2048 MB of memory: 0 are left"),
    ],
)
def test_claim_beyond_a_limit_says_of_what_and_claims_nothing(
    hosts: ComputeNodeTable, claims: ClaimTable, limits: Resources, complaint: str
) -> None:
    claims.claim(uuid_of(1), "a", ONE, LIMITS)
    with pytest.raises(NoRoomError) as caught:
        claims.claim(uuid_of(2), "a", ONE, limits)
    assert str(caught.value) == complaint
    assert hosts.get("a").used == ONE


def test_claim_may_take_the_last_of_it_and_nothing_of_a_full_host(hosts: ComputeNodeTable, claims: ClaimTable) -> None:
    claims.claim(uuid_of(1), "a", ONE, ONE)
    claims.claim(uuid_of(2), "a", Resources(0, 0, 0), Resources(0, 0, 0))
    assert hosts.get("a").used == ONE


def test_host_that_never_reported_has_nothing_to_claim(hosts: ComputeNodeTable, claims: ClaimTable) -> None:
    with pytest.raises(HostNotFoundError, match="cannot claim of host c: it has never reported its resources"):
        claims.claim(uuid_of(1), "c", ONE, LIMITS)


def test_deleted_instance_claims_nothing(hosts: ComputeNodeTable, claims: ClaimTable, instances: InstanceTable) -> None:
    instances.create([new_instance(1)], NO_QUOTA)
    claims.claim(uuid_of(1), "a", ONE, LIMITS)
    instances.delete(uuid_of(1))
    with pytest.raises(InstanceNotFoundError, match="it is deleted"):
        claims.claim(uuid_of(1), "a", ONE, LIMITS)
    assert hosts.get("a").used == Resources(0, 0, 0)


def test_of_fifty_who_want_room_for_ten_exactly_ten_get_it(hosts: ComputeNodeTable, claims: ClaimTable) -> None:
    done = at_once(50, lambda number: claims.claim(uuid_of(number), "a", ONE, LIMITS))
    refused = failures(done)
    assert [type(exc) for exc in refused] == [NoRoomError] * 40
    assert {str(exc) for exc in refused} == {"cannot claim 2048 MB of memory: 0 are left"}
    assert hosts.get("a").used == Resources(20480, 10, 200)


def test_fifty_on_two_hosts_fill_both_and_no_more(hosts: ComputeNodeTable, claims: ClaimTable) -> None:
    done = at_once(50, lambda number: claims.claim(uuid_of(number), "ab"[number % 2], ONE, LIMITS))
    assert [type(exc) for exc in failures(done)] == [NoRoomError] * 30
    assert [node.used for node in hosts.all()] == [Resources(20480, 10, 200)] * 2


def test_same_claim_at_once_is_one(hosts: ComputeNodeTable, claims: ClaimTable) -> None:
    done = at_once(20, lambda _number: claims.claim(uuid_of(1), "a", ONE, LIMITS))
    assert failures(done) == []
    assert hosts.get("a").used == ONE


def test_resize_stands_in_for_what_was_claimed_and_counts_it_as_room(
    hosts: ComputeNodeTable, claims: ClaimTable
) -> None:
    claims.claim(uuid_of(1), "a", Resources(2048, 2, 20), LIMITS)
    claims.claim(uuid_of(2), "a", ONE, LIMITS)
    claims.resize(uuid_of(1), "a", Resources(4096, 1, 40), Resources(6144, 3, 60))
    assert claims.of(uuid_of(1)) == {"a": Resources(4096, 1, 40)}
    assert hosts.get("a").used == Resources(6144, 2, 60)


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        (Resources(6143, 16, 400), "cannot claim 4096 MB of memory: 4095 are left"),
        (Resources(0, 16, 400), "cannot claim 4096 MB of memory: 0 are left"),
        (Resources(20480, 16, 59), "cannot claim 40 GB of disk: 39 are left"),
    ],
)
def test_resize_beyond_a_limit_says_of_what_and_changes_nothing(
    hosts: ComputeNodeTable, claims: ClaimTable, limits: Resources, complaint: str
) -> None:
    claims.claim(uuid_of(1), "a", ONE, LIMITS)
    claims.claim(uuid_of(2), "a", ONE, LIMITS)
    with pytest.raises(NoRoomError) as caught:
        claims.resize(uuid_of(1), "a", Resources(4096, 1, 40), limits)
    assert str(caught.value) == complaint
    assert claims.of(uuid_of(1)) == {"a": ONE}


def test_resize_to_less_needs_no_room_nor_does_one_without_limits(hosts: ComputeNodeTable, claims: ClaimTable) -> None:
    claims.claim(uuid_of(1), "a", ONE, LIMITS)
    claims.resize(uuid_of(1), "a", Resources(1024, 1, 10), Resources(0, 0, 0))
    assert claims.of(uuid_of(1)) == {"a": Resources(1024, 1, 10)}
    claims.resize(uuid_of(1), "a", Resources(99999, 99, 9999), None)
    claims.resize(uuid_of(2), "a", ONE, None)
    assert hosts.get("a").used == Resources(99999 + 2048, 100, 9999 + 20)


def test_resize_on_a_host_or_of_an_instance_that_is_not_there_is_refused(
    hosts: ComputeNodeTable, claims: ClaimTable, instances: InstanceTable
) -> None:
    with pytest.raises(HostNotFoundError):
        claims.resize(uuid_of(1), "c", ONE, LIMITS)
    instances.create([new_instance(1)], NO_QUOTA)
    instances.delete(uuid_of(1))
    with pytest.raises(InstanceNotFoundError):
        claims.resize(uuid_of(1), "a", ONE, None)


def test_of_twenty_who_grow_into_room_for_five_five_do(hosts: ComputeNodeTable, claims: ClaimTable) -> None:
    for number in range(20):
        claims.claim(uuid_of(number), "a", Resources(100, 0, 0), LIMITS)
    limits = Resources(2500, 16, 400)
    done = at_once(20, lambda number: claims.resize(uuid_of(number), "a", Resources(200, 0, 0), limits))
    assert [type(exc) for exc in failures(done)] == [NoRoomError] * 15
    assert hosts.get("a").used == Resources(2500, 0, 0)


def test_claim_is_released_only_of_an_instance_that_is_as_expected(
    hosts: ComputeNodeTable, claims: ClaimTable, instances: InstanceTable
) -> None:
    instances.create([new_instance(1)], NO_QUOTA)
    for host in ("a", "b"):
        claims.claim(uuid_of(1), host, ONE, LIMITS)
    with pytest.raises(InstanceStateError, match=r"cannot release claims of instance .*: its vm_state is building"):
        claims.release(uuid_of(1), "b", expected=Expected(task_states=[None]))
    assert claims.of(uuid_of(1)) == {"a": ONE, "b": ONE}
    instances.update(uuid_of(1), {"task_state": None, "host": "a"})
    claims.release(uuid_of(1), "b", expected=Expected(task_states=[None], host="a"))
    assert claims.of(uuid_of(1)) == {"a": ONE}
    with pytest.raises(InstanceNotFoundError):
        claims.release(uuid_of(2), expected=Expected(host="a"))


def test_all_claims_come_page_by_page(hosts: ComputeNodeTable, claims: ClaimTable, clock: Clock) -> None:
    for number in (1, 2, 3):
        claims.claim(uuid_of(number), "a", ONE, LIMITS)
    first, second = claims.page(0, 2)
    assert first == Claim(first.id, uuid_of(1), "a", ONE, clock.now)
    assert [each.instance_uuid for each in claims.page(second.id, 2)] == [uuid_of(3)]
    assert claims.page(second.id + 1, 2) == ()


def test_claim_is_made_only_for_an_instance_that_is_as_expected(
    hosts: ComputeNodeTable, claims: ClaimTable, instances: InstanceTable
) -> None:
    instances.create([new_instance(1)], NO_QUOTA)
    with pytest.raises(InstanceStateError, match="cannot claim for instance"):
        claims.resize(uuid_of(1), "a", ONE, None, expected=Expected(task_states=[None]))
    assert claims.of(uuid_of(1)) == {}


def test_claim_moves_to_the_host_where_the_instance_is_whatever_room_there_is(
    hosts: ComputeNodeTable, claims: ClaimTable
) -> None:
    claims.claim(uuid_of(1), "a", ONE, LIMITS)
    claims.claim(uuid_of(2), "b", LIMITS, LIMITS)
    assert claims.move(uuid_of(1), "b", ONE) == ("a",)
    assert claims.of(uuid_of(1)) == {"b": ONE}
    assert (hosts.get("a").used, hosts.get("b").used) == (Resources(0, 0, 0), Resources(22528, 17, 420))
    assert claims.move(uuid_of(1), "b", ONE) is None


def test_claim_that_was_lost_is_made_where_the_instance_is(hosts: ComputeNodeTable, claims: ClaimTable) -> None:
    assert claims.move(uuid_of(1), "b", ONE) == ()
    assert claims.of(uuid_of(1)) == {"b": ONE}


def test_claim_is_not_moved_to_a_host_that_nobody_knows(hosts: ComputeNodeTable, claims: ClaimTable) -> None:
    claims.claim(uuid_of(1), "a", ONE, LIMITS)
    with pytest.raises(HostNotFoundError):
        claims.move(uuid_of(1), "z", ONE)
    assert claims.of(uuid_of(1)) == {"a": ONE}


def test_claims_of_several_who_move_one_instance_end_on_one_host(hosts: ComputeNodeTable, claims: ClaimTable) -> None:
    claims.claim(uuid_of(1), "a", ONE, LIMITS)
    assert failures(at_once(8, lambda number: claims.move(uuid_of(1), "ab"[number % 2], ONE))) == []
    assert list(claims.of(uuid_of(1)).values()) == [ONE]
