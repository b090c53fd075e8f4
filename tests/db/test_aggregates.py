"""The table of aggregates, alike on SQLite and PostgreSQL."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from cloud.db.aggregates import AggregateTable
from cloud.db.hosts import ComputeNodeTable
from cloud.db.services import ServiceTable
from cloud.domain.host import Aggregate
from cloud.domain.service import ServiceReport
from cloud.errors import BadRequestError, ConflictError, HostNotFoundError, NotFoundError
from tests.db.conftest import Clock
from tests.db.making import at_once, compute_node, failures

NOON = datetime(2014, 10, 16, 12, 0, tzinfo=UTC)


@pytest.fixture
def hosts(services: ServiceTable) -> tuple[str, ...]:
    for host in ("a", "b", "c"):
        services.report(ServiceReport(host, "nova-compute", "compute", "nova"))
    return ("a", "b", "c")


def test_new_aggregate_has_no_hosts_and_shows_its_zone_as_metadata(aggregates: AggregateTable) -> None:
    west = aggregates.create("west", "zone-w")
    assert west == Aggregate(
        id=1,
        name="west",
        availability_zone="zone-w",
        hosts=(),
        metadata={"availability_zone": "zone-w"},
        created_at=NOON,
        updated_at=NOON,
    )
    assert aggregates.create("fast").metadata == {}
    assert [aggregate.name for aggregate in aggregates.all()] == ["west", "fast"]
    assert aggregates.get(1) == west


def test_name_is_used_once(aggregates: AggregateTable) -> None:
    aggregates.create("west")
    fast = aggregates.create("fast")
    with pytest.raises(ConflictError, match="cannot name an aggregate west: there is one"):
        aggregates.create("west")
    with pytest.raises(ConflictError, match="cannot name an aggregate west: there is one"):
        aggregates.update(fast.id, name="west")
    assert aggregates.update(fast.id, name="fast").name == "fast"
    assert aggregates.update(fast.id, name="quick").name == "quick"


def test_what_is_not_there_is_not_found(aggregates: AggregateTable) -> None:
    asks: tuple[Callable[[int], object], ...] = (
        aggregates.get,
        aggregates.delete,
        lambda number: aggregates.update(number, name="x"),
        lambda number: aggregates.add_host(number, "a"),
        lambda number: aggregates.remove_host(number, "a"),
        lambda number: aggregates.set_metadata(number, {"a": "b"}),
    )
    for ask in asks:
        for number in (1, 0, -1, 2**31, 2**70):
            with pytest.raises(NotFoundError, match="cannot find aggregate"):
                ask(number)


def test_hosts_come_and_go(aggregates: AggregateTable, hosts: tuple[str, ...], clock: Clock) -> None:
    fast = aggregates.create("fast")
    clock.advance(5)
    aggregates.add_host(fast.id, "b")
    both = aggregates.add_host(fast.id, "a")
    assert (both.hosts, both.updated_at) == (("a", "b"), datetime(2014, 10, 16, 12, 0, 5, tzinfo=UTC))
    with pytest.raises(ConflictError, match="cannot add host a to aggregate 1: it is in there already"):
        aggregates.add_host(fast.id, "a")
    assert aggregates.remove_host(fast.id, "a").hosts == ("b",)
    with pytest.raises(NotFoundError, match="cannot remove host a from aggregate 1: it is not in there"):
        aggregates.remove_host(fast.id, "a")


def test_only_hosts_that_have_reported_are_added(
    aggregates: AggregateTable, services: ServiceTable, nodes: ComputeNodeTable
) -> None:
    fast = aggregates.create("fast")
    services.report(ServiceReport("net", "nova-network", "network", "internal"))
    for host in ("net", "nowhere", "", "x\x00"):
        with pytest.raises(HostNotFoundError, match="it has never reported"):
            aggregates.add_host(fast.id, host)
    nodes.report(compute_node("d"))
    assert aggregates.add_host(fast.id, "d").hosts == ("d",)


def test_aggregate_with_hosts_is_not_deleted(aggregates: AggregateTable, hosts: tuple[str, ...]) -> None:
    fast = aggregates.create("fast")
    aggregates.add_host(fast.id, "a")
    with pytest.raises(ConflictError, match="cannot delete aggregate 1: it has 1 hosts"):
        aggregates.delete(fast.id)
    aggregates.remove_host(fast.id, "a")
    aggregates.delete(fast.id)
    assert aggregates.all() == ()


def test_host_is_in_one_zone_whichever_way_it_would_come_into_another(
    aggregates: AggregateTable, hosts: tuple[str, ...]
) -> None:
    west, east, fast = aggregates.create("west", "w"), aggregates.create("east", "e"), aggregates.create("fast")
    for aggregate in (west, fast):
        aggregates.add_host(aggregate.id, "a")
    refused: tuple[Callable[[], object], ...] = (
        lambda: aggregates.add_host(east.id, "a"),
        lambda: aggregates.update(fast.id, availability_zone="e"),
        lambda: aggregates.set_metadata(fast.id, {"availability_zone": "e"}),
    )
    for change in refused:
        with pytest.raises(ConflictError, match="cannot put host a into zone e: it is in zone w"):
            change()
    assert [aggregate.hosts for aggregate in aggregates.all()] == [("a",), (), ("a",)]
    assert aggregates.update(fast.id, availability_zone="w").availability_zone == "w"
    aggregates.add_host(aggregates.create("also west", "w").id, "a")


def test_metadata_is_merged_and_none_removes(aggregates: AggregateTable) -> None:
    fast = aggregates.create("fast")
    assert aggregates.set_metadata(fast.id, {"ssd": "true", "net": "10g"}).metadata == {"ssd": "true", "net": "10g"}
    assert aggregates.set_metadata(fast.id, {"ssd": None, "cpu": "x", "gone": None}).metadata == {
        "net": "10g",
        "cpu": "x",
    }


def test_zone_is_set_and_removed_as_metadata(aggregates: AggregateTable) -> None:
    fast = aggregates.create("fast")
    zoned = aggregates.set_metadata(fast.id, {"availability_zone": "w", "ssd": "true"})
    assert (zoned.availability_zone, zoned.metadata) == ("w", {"ssd": "true", "availability_zone": "w"})
    bare = aggregates.set_metadata(fast.id, {"availability_zone": None})
    assert (bare.availability_zone, bare.metadata) == (None, {"ssd": "true"})


def test_what_no_column_holds_is_refused(aggregates: AggregateTable) -> None:
    long = "n" * 256
    fast = aggregates.create("fast")
    refused: tuple[Callable[[], object], ...] = (
        lambda: aggregates.create(long),
        lambda: aggregates.create("x", long),
        lambda: aggregates.update(fast.id, name=long),
        lambda: aggregates.set_metadata(fast.id, {"availability_zone": long}),
        lambda: aggregates.set_metadata(fast.id, {long: "x"}),
        lambda: aggregates.set_metadata(fast.id, {"": "x"}),
        lambda: aggregates.set_metadata(fast.id, {"x": long}),
    )
    for change in refused:
        with pytest.raises(BadRequestError, match=r"cannot (store|set)"):
            change()
    odd = aggregates.set_metadata(aggregates.create("nul\x00").id, {"k\x00": "v\x00"})
    assert odd.name == "nul\ufffd"
    assert aggregates.get(odd.id) == odd


def test_of_two_zones_that_take_a_host_at_once_one_gets_it(aggregates: AggregateTable, hosts: tuple[str, ...]) -> None:
    zones = [aggregates.create(f"zone-{number}", f"zone-{number}") for number in range(10)]
    done = at_once(10, lambda number: aggregates.add_host(zones[number].id, "a"))
    assert [type(exc) for exc in failures(done)] == [ConflictError] * 9
    assert sum(aggregate.hosts == ("a",) for aggregate in aggregates.all()) == 1


def test_of_several_of_one_name_at_once_there_is_one(aggregates: AggregateTable) -> None:
    done = at_once(10, lambda _number: aggregates.create("fast"))
    assert [type(exc) for exc in failures(done)] == [ConflictError] * 9
    assert len(aggregates.all()) == 1
