"""SchedulerClient and nova-scheduler's manager with a real broker between them, and the daemon that serves it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cloud.domain.flavor import Resources
from cloud.domain.host import Candidate
from cloud.errors import NoValidHostError
from cloud.rpc.client import RpcClient
from cloud.rpc.errors import BadMessageError
from cloud.rpc.topology import Target
from cloud.services.scheduler.client import SchedulerClient
from cloud.services.scheduler.filters.table import DEFAULT_FILTER_NAMES, filters_by_name
from cloud.services.scheduler.manager import SchedulerManager
from cloud.services.scheduler.ratios import Ratios
from cloud.services.scheduler.scheduler import Rules
from cloud.services.scheduler.weighers.ram import RamWeigher
from tests.brokers import Broker
from tests.rpc.bus import Bus
from tests.scheduler.hosts import chance, request, state

RATIOS = Ratios()
FILTERS = filters_by_name(RATIOS)
RULES = Rules(tuple(FILTERS[name] for name in DEFAULT_FILTER_NAMES), ((RamWeigher(), 1.0),), RATIOS)
STATES = (
    state("a", instances=("x",), used=Resources(4096, 0, 0)),
    state("b", used=Resources(2048, 0, 0)),
    state("c", is_up=False),
)


@pytest.fixture
def client(shared_broker: Broker) -> Iterator[RpcClient]:
    """Of a bus on which a scheduler that knows STATES answers."""
    with ExitStack() as stack:
        bus = Bus(shared_broker, stack)
        bus.server(Target("scheduler", bus.host()), SchedulerManager(lambda _asked: STATES, RULES, chance()))
        yield bus.client()


@pytest.mark.server
def test_candidates_arrive_best_first(client: RpcClient) -> None:
    assert SchedulerClient(client).select_hosts(request()) == (
        Candidate("b", "b.example.org", Resources(12288, 64, 100), 1.0),
        Candidate("a", "a.example.org", Resources(12288, 64, 100), 0.0),
    )


@pytest.mark.server
def test_everything_that_is_wanted_arrives(client: RpcClient) -> None:
    scheduler = SchedulerClient(client)
    assert [each.host for each in scheduler.select_hosts(request(hints={"same_host": ["x"]}))] == ["a"]
    assert [each.host for each in scheduler.select_hosts(request(ignored_hosts=("b",)))] == ["a"]
    assert [each.host for each in scheduler.select_hosts(request(forced_host="a"))] == ["a"]


@pytest.mark.server
def test_no_valid_host_arrives_as_itself_with_its_explanation(client: RpcClient) -> None:
    with pytest.raises(NoValidHostError) as refused:
        SchedulerClient(client).select_hosts(request(availability_zone="east"))
    assert str(refused.value) == "no valid host: 3 hosts; ComputeFilter 3 -> 2, AvailabilityZoneFilter 2 -> 0"


@pytest.mark.server
def test_request_that_cannot_be_read_is_the_senders_error(client: RpcClient) -> None:
    with pytest.raises(BadMessageError, match=r"^cannot read request: its project_id is not a text$"):
        client.call(Target("scheduler"), "select_hosts", {"request": {**request().as_dict(), "project_id": 7}})
    with pytest.raises(BadMessageError, match=r"^cannot call select_hosts: "):
        client.call(Target("scheduler"), "select_hosts", {})


def test_daemon_with_an_unknown_filter_does_not_start_and_says_which_are_known(tmp_path: Path) -> None:
    file = tmp_path / "nova.conf"
    file.write_text("[DEFAULT]\nscheduler_default_filters = ComputeFilter,PetFilter\n")
    command = [
        sys.executable,
        "-c",
        "from cloud.services.scheduler.daemon import main; main()",
        f"--config-file={file}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"nova-scheduler: cannot use option scheduler_default_filters of {file}: unknown filter 'PetFilter': expected "
        "some of ComputeFilter, RetryFilter, AvailabilityZoneFilter, RamFilter, CoreFilter, DiskFilter, "
        "SameHostFilter, DifferentHostFilter, AggregateInstanceExtraSpecsFilter, ImagePropertiesFilter, "
        "AggregateMultiTenancyIsolation, JsonFilter\n"
    )
