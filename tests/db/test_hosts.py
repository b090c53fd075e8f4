"""The table of compute hosts, alike on SQLite and PostgreSQL."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import event

from cloud.db.aggregates import AggregateTable
from cloud.db.claims import ClaimTable
from cloud.db.engine import Database
from cloud.db.hosts import ComputeNodeTable
from cloud.db.instances import InstanceTable
from cloud.db.services import ServiceTable
from cloud.domain.flavor import Resources
from cloud.domain.host import ComputeNode
from cloud.domain.service import ServiceReport
from cloud.errors import BadRequestError, HostNotFoundError
from tests.db.conftest import Clock
from tests.db.making import NO_QUOTA, SMALL, at_once, compute_node, failures, new_instance, uuid_of

LIMITS = Resources(16384, 8, 200)


def report(services: ServiceTable, host: str, zone: str = "nova") -> None:
    services.report(ServiceReport(host, "nova-compute", "compute", zone))


def test_host_is_as_it_last_reported(nodes: ComputeNodeTable, clock: Clock) -> None:
    nodes.report(replace(compute_node("a"), running_vms=3, used=Resources(9, 9, 9), id=77))
    clock.advance(5)
    nodes.report(replace(compute_node("a"), free_disk_gb=100, cpu_info={"arch": "aarch64"}, storage_id="nfs"))
    assert nodes.get("a") == ComputeNode(
        host="a",
        node="a.example.org",
        total=Resources(16384, 8, 200),
        used=Resources(0, 0, 0),
        hypervisor_type="QEMU",
        hypervisor_version=2000000,
        cpu_info={"arch": "aarch64"},
        host_ip="192.0.2.11",
        running_vms=0,
        free_disk_gb=100,
        updated_at=datetime(2014, 10, 16, 12, 0, 5, tzinfo=UTC),
        storage_id="nfs",
        id=1,
    )
    nodes.report(compute_node("b"))
    assert [(state.node.host, state.node.storage_id) for state in nodes.states()] == [("a", "nfs"), ("b", None)]


def test_hosts_come_by_name_whatever_the_locale(nodes: ComputeNodeTable) -> None:
    for host in ("b", "B", "a", "_"):
        nodes.report(compute_node(host))
    assert [node.host for node in nodes.all()] == ["B", "_", "a", "b"]


def test_unknown_host_is_not_found(nodes: ComputeNodeTable) -> None:
    for ask in (nodes.get, nodes.usage_by_project):
        for host in ("a", "x\x00", "h" * 300):
            with pytest.raises(HostNotFoundError, match="it has never reported its resources"):
                ask(host)


def test_report_of_more_than_a_column_holds_is_refused(nodes: ComputeNodeTable) -> None:
    with pytest.raises(BadRequestError, match="cannot store free_disk_gb: 2147483648 is beyond 2147483647"):
        nodes.report(replace(compute_node("a"), free_disk_gb=2**31))


def test_first_reports_that_meet_are_one_host(nodes: ComputeNodeTable) -> None:
    done = at_once(10, lambda _number: nodes.report(compute_node("a")))
    assert failures(done) == []
    assert [node.host for node in nodes.all()] == ["a"]


def test_state_joins_service_aggregates_claims_and_the_asked_instances(
    nodes: ComputeNodeTable,
    services: ServiceTable,
    aggregates: AggregateTable,
    claims: ClaimTable,
    instances: InstanceTable,
    clock: Clock,
) -> None:
    for host in ("a", "b", "c"):
        nodes.report(compute_node(host))
    report(services, "b")
    clock.advance(61)
    report(services, "a", "east")
    services.report(ServiceReport("c", "nova-network", "network", "internal"))
    services.disable("b", "nova-compute", "broken fan")
    west = aggregates.create("west", "west")
    fast = aggregates.create("fast")
    aggregates.add_host(west.id, "b")
    west = aggregates.get(west.id)
    aggregates.add_host(fast.id, "a")
    fast = aggregates.add_host(fast.id, "b")
    instances.create([new_instance(number) for number in (1, 2, 3, 4)], NO_QUOTA)
    for number, host in ((1, "a"), (2, "a"), (3, "b"), (4, "a")):
        instances.update(uuid_of(number), {"host": host})
        claims.claim(uuid_of(number), host, SMALL.resources, LIMITS)
    instances.delete(uuid_of(4))

    a, b, c = nodes.states([uuid_of(1), uuid_of(3), uuid_of(4), "x"])
    assert (a.node.host, a.node.used) == ("a", Resources(4096, 2, 60))
    assert (a.is_up, a.is_enabled, a.availability_zone) == (True, True, "east")
    assert (a.aggregates, a.instances) == ((fast,), frozenset({uuid_of(1)}))
    assert (b.node.host, b.node.used) == ("b", Resources(2048, 1, 30))
    assert (b.is_up, b.is_enabled, b.availability_zone) == (False, False, "west")
    assert (b.aggregates, b.instances) == ((west, fast), frozenset({uuid_of(3)}))
    assert (c.node.host, c.node.used) == ("c", Resources(0, 0, 0))
    assert (c.is_up, c.is_enabled, c.availability_zone) == (False, True, "nova")
    assert (c.aggregates, c.instances) == ((), frozenset())
    assert nodes.states()[0].instances == frozenset()


def test_states_take_four_statements_however_many_hosts_there_are(database: Database, nodes: ComputeNodeTable) -> None:
    for number in range(20):
        nodes.report(compute_node(f"host-{number}"))
    statements: list[str] = []
    with database.reading() as session:
        engine = session.get_bind().engine

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        assert len(nodes.states([uuid_of(1)])) == 20
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len([statement for statement in statements if statement.startswith("SELECT")]) == 4


def test_usage_of_a_host_is_what_each_project_has_there(nodes: ComputeNodeTable, instances: InstanceTable) -> None:
    nodes.report(compute_node("a"))
    for number, project_id in ((1, "p2"), (2, "p1"), (3, "p2"), (4, "p2"), (5, "p3")):
        instances.create([new_instance(number, project_id=project_id)], NO_QUOTA)
        instances.update(uuid_of(number), {"host": "b" if number == 5 else "a"})
    instances.delete(uuid_of(4))
    usage = nodes.usage_by_project("a")
    assert list(usage.items()) == [("p1", Resources(2048, 1, 30)), ("p2", Resources(4096, 2, 60))]


def test_host_that_an_admin_has_forced_down_is_down(
    nodes: ComputeNodeTable, services: ServiceTable, clock: Clock
) -> None:
    nodes.report(compute_node("a"))
    report(services, "a")
    services.force_down("a", "nova-compute", is_forced=True)
    assert [state.is_up for state in nodes.states()] == [False]
    services.force_down("a", "nova-compute", is_forced=False)
    assert [state.is_up for state in nodes.states()] == [True]
