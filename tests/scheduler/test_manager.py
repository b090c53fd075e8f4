"""nova-scheduler on real databases: what it reads of the hosts, what it answers, and what it says in its log."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from cloud.db.aggregates import AggregateTable
from cloud.db.claims import ClaimTable
from cloud.db.engine import Database
from cloud.db.hosts import ComputeNodeTable
from cloud.db.instances import InstanceTable, NewInstance
from cloud.db.quotas import QuotaLimits
from cloud.db.services import ServiceTable
from cloud.domain.flavor import Resources
from cloud.domain.host import Candidate, HostState
from cloud.domain.service import ServiceReport
from cloud.errors import NoValidHostError
from cloud.rpc.errors import BadMessageError
from cloud.services.configuration import read_configuration
from cloud.services.manager import Parts
from cloud.services.scheduler.filters.table import DEFAULT_FILTER_NAMES, filters_by_name
from cloud.services.scheduler.manager import SchedulerManager, make_manager
from cloud.services.scheduler.options import SCHEDULER_OPTIONS
from cloud.services.scheduler.ratios import Ratios
from cloud.services.scheduler.scheduler import Rules
from cloud.services.scheduler.weighers.ram import RamWeigher
from tests.db.conftest import Clock
from tests.scheduler.hosts import chance, flavor, node, request, state
from tests.services.said import Line

RATIOS = Ratios()
RULES = Rules(tuple(filters_by_name(RATIOS)[name] for name in DEFAULT_FILTER_NAMES), ((RamWeigher(), 1.0),), RATIOS)


class Hosts:
    """Compute hosts as they come to be in the database."""

    def __init__(self, database: Database, services: ServiceTable, clock: Clock) -> None:
        self.services = services
        self.nodes = ComputeNodeTable(database, clock, down_after_s=60)
        self.claims = ClaimTable(database, clock)
        self.aggregates = AggregateTable(database, clock)
        self.instances = InstanceTable(database, clock)

    def add(self, host: str, **changes: Any) -> None:
        self.report(host)
        self.nodes.report(node(host, **changes))

    def put_instance(self, uuid: str, host: str) -> None:
        new = NewInstance(uuid, "project-1", "user-1", "web", flavor(), reservation_id="r-1")
        self.instances.create([new], QuotaLimits(-1, -1, -1))
        self.instances.update(uuid, {"host": host, "node": host})

    def report(self, host: str) -> None:
        self.services.report(ServiceReport(host, "nova-compute", "compute", "nova"))


@pytest.fixture
def hosts(database: Database, services: ServiceTable, clock: Clock) -> Hosts:
    return Hosts(database, services, clock)


@pytest.fixture
def manager(hosts: Hosts, lines: list[Line]) -> SchedulerManager:
    return SchedulerManager(hosts.nodes.states, RULES, chance())


def selected(manager: SchedulerManager, **changes: Any) -> list[str]:
    return [each["host"] for each in manager.select_hosts(request(**changes).as_dict())]


def test_hosts_are_ordered_by_what_is_left_after_claims(manager: SchedulerManager, hosts: Hosts) -> None:
    for host in ("a", "b", "c"):
        hosts.add(host)
    hosts.claims.claim("uuid-7", "a", Resources(2048, 1, 1), Resources(12288, 64, 100))
    hosts.claims.claim("uuid-8", "c", Resources(4096, 1, 1), Resources(12288, 64, 100))
    answer = manager.select_hosts(request().as_dict())
    assert [Candidate.from_dict(each) for each in answer] == [
        Candidate("b", "b.example.org", Resources(12288, 64, 100), 1.0),
        Candidate("a", "a.example.org", Resources(12288, 64, 100), 0.5),
        Candidate("c", "c.example.org", Resources(12288, 64, 100), 0.0),
    ]


def test_host_that_is_full_of_claims_down_or_disabled_is_not_chosen(
    manager: SchedulerManager, hosts: Hosts, clock: Clock
) -> None:
    for host in ("down", "disabled", "full", "good"):
        hosts.add(host)
    clock.advance(61)
    for host in ("disabled", "full", "good"):
        hosts.report(host)
    hosts.services.disable("disabled", "nova-compute", "disk swap")
    hosts.claims.claim("uuid-7", "full", Resources(12288, 1, 1), Resources(12288, 64, 100))
    assert selected(manager) == ["good"]


def test_zone_and_metadata_come_from_aggregates(manager: SchedulerManager, hosts: Hosts) -> None:
    for host in ("a", "b"):
        hosts.add(host)
    fast = hosts.aggregates.create("fast", "east")
    hosts.aggregates.add_host(fast.id, "b")
    hosts.aggregates.set_metadata(fast.id, {"ssd": "true"})
    assert selected(manager, availability_zone="east") == ["b"]
    assert selected(manager, availability_zone="nova") == ["a"]
    assert selected(manager, of_flavor={"extra_specs": {"ssd": "true"}}) == ["b"]


def test_hints_are_about_the_instances_that_are_there(manager: SchedulerManager, hosts: Hosts) -> None:
    for host, uuid in (("a", "uuid-a"), ("b", "uuid-b"), ("c", "uuid-c")):
        hosts.add(host)
        hosts.put_instance(uuid, host)
    assert selected(manager, hints={"same_host": "uuid-a"}) == ["a"]
    assert selected(manager, hints={"different_host": ["uuid-a", "uuid-b"]}) == ["c"]
    hosts.instances.delete("uuid-b")
    assert sorted(selected(manager, hints={"different_host": ["uuid-a", "uuid-b"]})) == ["b", "c"]
    with pytest.raises(NoValidHostError, match=r"^no valid host: 3 hosts; SameHostFilter 3 -> 0$"):
        selected(manager, hints={"same_host": "uuid-b"})


def test_no_valid_host_says_what_each_filter_left_and_names_no_host(
    manager: SchedulerManager, hosts: Hosts, clock: Clock
) -> None:
    for number in range(8):
        hosts.add(f"compute-{number}")
    clock.advance(61)
    for number in range(5):
        hosts.report(f"compute-{number}")
    with pytest.raises(NoValidHostError) as refused:
        selected(manager, of_flavor={"memory_mb": 8193})
    assert str(refused.value) == "no valid host: 8 hosts; ComputeFilter 8 -> 5, RamFilter 5 -> 0"


def test_no_host_at_all_is_no_valid_host(manager: SchedulerManager) -> None:
    with pytest.raises(NoValidHostError, match=r"^no valid host: 0 hosts$"):
        selected(manager)


def test_each_choice_logs_the_counts_of_every_filter(
    manager: SchedulerManager, hosts: Hosts, lines: list[Line]
) -> None:
    for host in ("a", "b", "c"):
        hosts.add(host)
    hosts.services.disable("b", "nova-compute", None)
    selected(manager, ignored_hosts=("c",))
    assert lines == [
        (
            "DEBUG",
            "hosts refused",
            {"instance": "uuid-1", "filter": "ComputeFilter", "refused": 1, "refused_hosts": ("b",)},
        ),
        (
            "DEBUG",
            "hosts refused",
            {"instance": "uuid-1", "filter": "RetryFilter", "refused": 1, "refused_hosts": ("c",)},
        ),
        (
            "INFO",
            "hosts filtered",
            {
                "instance": "uuid-1",
                "hosts": 3,
                "filters": {
                    "ComputeFilter": [3, 2],
                    "RetryFilter": [2, 1],
                    "AvailabilityZoneFilter": [1, 1],
                    "RamFilter": [1, 1],
                    "CoreFilter": [1, 1],
                    "DiskFilter": [1, 1],
                    "SameHostFilter": [1, 1],
                    "DifferentHostFilter": [1, 1],
                    "AggregateInstanceExtraSpecsFilter": [1, 1],
                    "ImagePropertiesFilter": [1, 1],
                },
                "candidates": 1,
                "best_host": "a",
            },
        ),
    ]


def test_failed_choice_logs_its_counts_as_well(manager: SchedulerManager, hosts: Hosts, lines: list[Line]) -> None:
    hosts.add("a")
    with pytest.raises(NoValidHostError):
        selected(manager, ignored_hosts=("a",))
    assert lines[-1] == (
        "INFO",
        "hosts filtered",
        {
            "instance": "uuid-1",
            "hosts": 1,
            "filters": {"ComputeFilter": [1, 1], "RetryFilter": [1, 0]},
            "candidates": 0,
            "best_host": None,
        },
    )


class FakeStates:
    """A state that only a test knows."""

    def __init__(self, states: Sequence[HostState] = ()) -> None:
        self.states = states
        self.asked: list[frozenset[str]] = []

    def __call__(self, asked: Any) -> Sequence[HostState]:
        self.asked.append(frozenset(asked))
        return self.states


def test_answer_and_log_line_are_bounded(lines: list[Line]) -> None:
    states = FakeStates([state(f"up-{number}") for number in range(300)] + [state("down", is_up=False)] * 300)
    manager = SchedulerManager(states, RULES, chance())
    assert len(selected(manager)) == 20
    assert [fields["candidates"] for _, message, fields in lines if message == "hosts filtered"] == [300]
    assert [(fields["refused"], len(fields["refused_hosts"])) for level, _, fields in lines if level == "DEBUG"] == [
        (300, 50)
    ]


def test_instances_of_the_hints_are_asked_for(lines: list[Line]) -> None:
    states = FakeStates([state("a", instances=("x",)), state("b", instances=("y",)), state("c")])
    manager = SchedulerManager(states, RULES, chance())
    assert selected(manager, hints={"same_host": ["x", "y"], "different_host": "y", "group": "g"}) == ["a"]
    assert states.asked == [frozenset({"x", "y"})]


def test_request_that_cannot_be_read_is_refused_before_anything_is_looked_up() -> None:
    states = FakeStates()
    manager = SchedulerManager(states, RULES, chance())
    good = request().as_dict()
    for bad, cause in [
        ({**good, "project_id": 5}, "its project_id is not a text"),
        ({**good, "hints": {"same_host": 5}}, "the hint same_host is neither the id of an instance nor a list of them"),
        (
            {**good, "hints": {"different_host": [{}]}},
            "the hint different_host is neither the id of an instance nor a list of them",
        ),
        (
            {**good, "hints": {"same_host": "a\0b"}},
            "the hint same_host is neither the id of an instance nor a list of them",
        ),
        (
            {**good, "hints": {"same_host": [str(number) for number in range(1001)]}},
            "the hints same_host and different_host name more than 1000 instances",
        ),
    ]:
        with pytest.raises(BadMessageError) as refused:
            manager.select_hosts(bad)
        assert str(refused.value) == f"cannot read request: {cause}"
    with pytest.raises(BadMessageError, match=r"^cannot read request: its fields are not those of a request: "):
        manager.select_hosts({})
    assert states.asked == []


def test_manager_is_made_as_nova_conf_says(tmp_path: Path, database: Database, lines: list[Line]) -> None:
    file = tmp_path / "nova.conf"
    file.write_text("[DEFAULT]\nservice_down_time = 3600\nscheduler_default_filters = ComputeFilter\n")
    conf = read_configuration([file], groups={"DEFAULT": SCHEDULER_OPTIONS})
    clock = Clock()
    clock.now = datetime.now(UTC) - timedelta(minutes=30)
    hosts = Hosts(database, ServiceTable(database, clock, down_after_s=60), clock)
    hosts.add("a", total=Resources(1, 1, 1))
    manager = make_manager(Parts(conf, cast("Any", None), database))
    assert selected(manager) == ["a"]
    assert lines[-1][2]["filters"] == {"ComputeFilter": [1, 1]}
    with pytest.raises(ValueError, match=r"^nova-scheduler needs a database$"):
        make_manager(Parts(conf, cast("Any", None), None))
