"""The table of addresses, alike on SQLite and PostgreSQL."""

import re

import pytest

from cloud.db.fixed_ips import FixedIp, FixedIpTable
from cloud.db.instances import InstanceTable
from cloud.domain.fixed_ip import Allocation
from cloud.errors import BadRequestError, ConflictError, InstanceNotFoundError
from tests.db.conftest import Clock
from tests.db.making import NO_QUOTA, at_once, failures, new_instance, uuid_of

NET = ("private", "10.0.0.0/29")  # .2 to .6 may be given away


def address(fixed_ips: FixedIpTable, number: int) -> str:
    return fixed_ips.allocate(uuid_of(number), *NET).address


def test_lowest_free_address_is_given_with_a_mac_of_its_own(fixed_ips: FixedIpTable) -> None:
    found = [fixed_ips.allocate(uuid_of(number), "private", "10.0.0.0/16") for number in range(3)]
    assert [each.address for each in found] == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    assert {each.network for each in found} == {"private"}
    assert all(re.fullmatch(r"fa:16:3e(:[0-9a-f]{2}){3}", each.mac) for each in found)
    assert len({each.mac for each in found}) == 3
    assert fixed_ips.of([uuid_of(number) for number in range(4)]) == {
        uuid_of(number): (found[number],) for number in range(3)
    }


def test_second_time_gives_the_same(fixed_ips: FixedIpTable) -> None:
    first = fixed_ips.allocate(uuid_of(1), *NET)
    assert fixed_ips.allocate(uuid_of(1), *NET) == first
    assert fixed_ips.of([uuid_of(1)]) == {uuid_of(1): (first,)}


def test_instance_may_have_one_in_each_network_in_their_order(fixed_ips: FixedIpTable) -> None:
    fixed_ips.allocate(uuid_of(1), "private", "10.0.0.0/29")
    fixed_ips.allocate(uuid_of(1), "storage", "10.0.1.0/29")
    found = fixed_ips.of([uuid_of(1)])[uuid_of(1)]
    assert [(each.network, each.address) for each in found] == [("private", "10.0.0.2"), ("storage", "10.0.1.2")]


def test_released_address_is_the_next_that_is_given(fixed_ips: FixedIpTable) -> None:
    assert [address(fixed_ips, number) for number in (1, 2, 3, 4)] == ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"]
    fixed_ips.release(uuid_of(2))
    fixed_ips.release(uuid_of(2))
    assert fixed_ips.of([uuid_of(2)]) == {}
    assert [address(fixed_ips, number) for number in (5, 6)] == ["10.0.0.3", "10.0.0.6"]
    fixed_ips.release(uuid_of(1))
    assert address(fixed_ips, 7) == "10.0.0.2"


def test_addresses_of_network_gateway_and_broadcast_are_never_given(fixed_ips: FixedIpTable) -> None:
    given = [address(fixed_ips, number) for number in range(5)]
    assert given == ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]
    with pytest.raises(ConflictError) as caught:
        address(fixed_ips, 6)
    assert str(caught.value) == "cannot allocate an address of network private: none of 10.0.0.0/29 is free"
    for number, cidr in enumerate(("192.0.2.0/30", "192.0.2.4/31", "192.0.2.6/32"), start=10):
        if number == 10:
            assert fixed_ips.allocate(uuid_of(number), "tiny", cidr).address == "192.0.2.2"
        else:
            with pytest.raises(ConflictError):
                fixed_ips.allocate(uuid_of(number), "tiny", cidr)


def test_addresses_beyond_the_half_of_all_are_given_too(fixed_ips: FixedIpTable) -> None:
    assert fixed_ips.allocate(uuid_of(1), "high", "255.255.255.0/24").address == "255.255.255.2"


def test_network_that_was_made_larger_keeps_what_is_given(fixed_ips: FixedIpTable) -> None:
    for number in range(5):
        address(fixed_ips, number)
    assert fixed_ips.allocate(uuid_of(6), "private", "10.0.0.0/24").address == "10.0.0.7"


def test_what_is_no_network_is_refused(fixed_ips: FixedIpTable) -> None:
    for cidr in ("10.0.0.1/24", "10.0.0.0/33", "fd00::/64", "private"):
        with pytest.raises(ValueError, match=r"^.*(bits|mask|Expected|octet)"):
            fixed_ips.allocate(uuid_of(1), "private", cidr)
    with pytest.raises(BadRequestError, match="cannot store network: it has more than 255 characters"):
        fixed_ips.allocate(uuid_of(1), "n" * 256, "10.0.0.0/24")


def test_deleted_instance_gets_none(instances: InstanceTable, fixed_ips: FixedIpTable) -> None:
    instances.create([new_instance(1)], NO_QUOTA)
    instances.delete(uuid_of(1))
    with pytest.raises(InstanceNotFoundError, match="it is deleted"):
        address(fixed_ips, 1)


def test_fifty_at_once_get_fifty_addresses(fixed_ips: FixedIpTable) -> None:
    done = at_once(50, lambda number: fixed_ips.allocate(uuid_of(number), "private", "10.0.0.0/24"))
    assert failures(done) == []
    given = {future.result().address for future in done}
    assert given == {f"10.0.0.{last}" for last in range(2, 52)}
    assert len({future.result().mac for future in done}) == 50


def test_same_instance_at_once_gets_one(fixed_ips: FixedIpTable) -> None:
    done = at_once(20, lambda _number: fixed_ips.allocate(uuid_of(1), *NET))
    assert failures(done) == []
    assert {future.result().address for future in done} == {"10.0.0.2"}


def test_of_fifty_at_once_in_a_network_of_five_exactly_five_get_one(fixed_ips: FixedIpTable) -> None:
    done = at_once(50, lambda number: fixed_ips.allocate(uuid_of(number), *NET))
    assert [type(exc) for exc in failures(done)] == [ConflictError] * 45
    assert sum(map(len, fixed_ips.of([uuid_of(number) for number in range(50)]).values())) == 5


def test_address_travels() -> None:
    fixed_ip = FixedIp("10.0.0.2", "fa:16:3e:00:00:01", "private")
    assert fixed_ip.as_dict() == {"address": "10.0.0.2", "mac": "fa:16:3e:00:00:01", "network": "private"}
    assert FixedIp.from_dict(fixed_ip.as_dict()) == fixed_ip


def test_all_addresses_come_page_by_page(fixed_ips: FixedIpTable, clock: Clock) -> None:
    given = [fixed_ips.allocate(uuid_of(number), *NET) for number in (1, 2, 3)]
    first, second = fixed_ips.page(0, 2)
    assert first == Allocation(first.id, uuid_of(1), given[0], clock.now)
    assert [each.fixed_ip for each in fixed_ips.page(second.id, 2)] == [given[2]]
    assert fixed_ips.page(second.id + 1, 2) == ()
