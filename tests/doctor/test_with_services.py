"""The doctor among services as they are: two nova-compute, nova-conductor, nova-network, and a broker between them."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud.db.engine import Database
from cloud.db.instances import NewInstance
from cloud.doctor.configured import configured_doctor
from cloud.doctor.doctor import Doctor
from cloud.doctor.finding import Kind
from cloud.domain.flavor import Flavor, Resources
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.service import ServiceReport
from cloud.errors import ComputeError, InstanceStateError
from cloud.logs.emit import request_context
from cloud.rpc.topology import Target
from cloud.services.compute.client import ComputeClient
from cloud.services.compute.manager import ComputeManager
from cloud.services.compute.manager import make_manager as make_compute
from cloud.services.compute.options import COMPUTE_OPTIONS
from cloud.services.conductor.client import ConductorClient
from cloud.services.conductor.manager import ConductorManager
from cloud.services.conductor.options import CONDUCTOR_OPTIONS
from cloud.services.conductor.tables import Tables
from cloud.services.configuration import read_configuration
from cloud.services.manager import Parts
from cloud.services.network.manager import NetworkManager
from cloud.services.network.options import Network
from tests.brokers import RedisBroker
from tests.db.making import NO_QUOTA
from tests.rpc.bus import Bus
from tests.waiting import wait_until

pytestmark = pytest.mark.server

NETWORK = Network("private", "10.0.0.0/24")
TINY = Flavor(id=1, flavorid="1", name="m1.tiny", memory_mb=64, vcpus=1, root_gb=1)
LIMITS = Resources(99999, 999, 9999)


@pytest.fixture(scope="module")
def broker() -> Iterator[RedisBroker]:
    with RedisBroker() as broker:
        yield broker


@dataclass
class Cloud:
    """Two hosts, and what looks after them."""

    tables: Tables
    compute: ComputeClient
    doctor: Doctor
    hosts: tuple[str, str]
    managers: tuple[ComputeManager, ...]

    def run(self, host: str) -> str:
        """An instance that is built there."""
        new = NewInstance(str(uuid.uuid4()), "p", "u", "web", TINY, "r-1")
        self.tables.instances.create([new], NO_QUOTA)
        self.tables.claims.claim(new.uuid, host, TINY.resources, LIMITS)
        self.tables.fixed_ips.allocate(new.uuid, NETWORK.label, NETWORK.cidr)
        self.spawn(new.uuid, host)
        return new.uuid

    def spawn(self, uuid: str, host: str) -> None:
        tables = self.tables
        building = {"vm_state": VmState.BUILDING, "task_state": TaskState.SPAWNING, "host": host}
        tables.instances.update(uuid, building | {"node": tables.compute_nodes.get(host).node})
        power_state = self.compute.spawn(host, tables.instances.get(uuid))
        active = {"vm_state": VmState.ACTIVE, "task_state": None, "launched_at": datetime.now(UTC)}
        tables.instances.update(uuid, active | {"power_state": power_state})

    def put(self, uuid: str, host: str) -> None:
        """As an admin does it in the database, node and all."""
        self.tables.instances.update(uuid, {"host": host, "node": self.tables.compute_nodes.get(host).node})

    def kinds(self) -> list[Kind]:
        return [finding.kind for finding in self.doctor.look().findings]

    def mend(self) -> None:
        for finding in self.doctor.look().findings:
            self.doctor.mend(finding)


@pytest.fixture
def cloud(broker: RedisBroker, database: Database, tmp_path: Path) -> Iterator[Cloud]:
    tables = Tables.of(database, lambda: datetime.now(UTC), down_after_s=60)
    with ExitStack() as stack:
        bus = Bus(broker, stack)
        bus.server(Target("conductor", "controller-01"), ConductorManager(tables, network=NETWORK), workers=8)
        hosts = (bus.host(), bus.host())
        managers = tuple(_start(bus, host, tmp_path / host) for host in hosts)
        for host in hosts:
            tables.services.report(ServiceReport(host, "nova-compute", "compute", "nova"))
        wait_until(lambda: len(tables.compute_nodes.all()) == 2, what="both hosts to report their resources")
        conf = read_configuration([tmp_path / hosts[0] / "nova.conf"], groups={"DEFAULT": CONDUCTOR_OPTIONS})
        client = bus.client()
        doctor = configured_doctor(conf, database, client, lambda: datetime.now(UTC))
        with request_context(request_id="req-doctor"):
            yield Cloud(tables, ComputeClient(client), doctor, hosts, managers)


def _start(bus: Bus, host: str, directory: Path) -> ComputeManager:
    directory.mkdir()
    file = directory / "nova.conf"
    options = f"host = {host}\nstate_path = {directory}\nmy_ip = 192.0.2.7\n"
    file.write_text(f"[DEFAULT]\n{options}[simulated]\nvcpus = 8\nmemory_mb = 8192\ndisk_gb = 100\n")
    addresses = ConductorClient(bus.client(), host=host)
    bus.server(Target("network", host), NetworkManager(addresses, NETWORK))
    manager = make_compute(Parts(read_configuration([file], groups=COMPUTE_OPTIONS), bus.client(), database=None))
    bus.server(Target("compute", host), manager)
    manager.start()
    bus.stack.callback(manager.stop)
    return manager


def test_instance_that_was_put_elsewhere_by_hand_comes_back_to_its_guest(cloud: Cloud) -> None:
    here, there = cloud.hosts
    moved, stays = cloud.run(here), cloud.run(there)
    assert cloud.kinds() == []
    cloud.put(moved, there)
    assert cloud.kinds() == [Kind.GUEST_ELSEWHERE]
    cloud.mend()
    found = cloud.tables.instances.get(moved)
    assert (found.host, found.node) == (here, cloud.tables.compute_nodes.get(here).node)
    assert cloud.kinds() == []
    assert cloud.compute.list_guests(there) == {stays: PowerState.RUNNING}


def test_duplicate_goes_and_the_instance_runs_on(cloud: Cloud) -> None:
    here, there = cloud.hosts
    doubled = cloud.run(here)
    cloud.spawn(doubled, there)
    cloud.put(doubled, here)
    (finding,) = cloud.doctor.look().findings
    assert (finding.kind, finding.host) == (Kind.GUEST_ON_TWO_HOSTS, there)
    cloud.doctor.mend(finding)
    assert cloud.compute.list_guests(there) == {}
    assert cloud.compute.list_guests(here) == {doubled: PowerState.RUNNING}
    (copy,) = cloud.compute.list_kept_copies(there)
    (kept,) = cloud.doctor.look().findings
    assert (kept.kind, kept.host, kept.subject) == (Kind.COPY_KEPT, there, copy.name)


@pytest.mark.parametrize("is_off", [False, True])
def test_guest_of_a_deleted_instance_goes(cloud: Cloud, *, is_off: bool) -> None:
    here, _ = cloud.hosts
    deleted = cloud.run(here)
    cloud.tables.instances.delete(deleted)
    if is_off:
        cloud.managers[0]._duties.host.driver.power_off(deleted)
    assert cloud.kinds() == [Kind.GUEST_UNKNOWN]
    cloud.mend()
    assert cloud.compute.list_guests(here) == {}
    assert cloud.kinds() == []


def test_guest_that_is_nobodys_is_kept_as_a_copy_until_that_is_removed(cloud: Cloud) -> None:
    here, _ = cloud.hosts
    driver = cloud.managers[0]._duties.host.driver
    known = cloud.tables.instances.get(cloud.run(here))
    driver.spawn(replace(known, uuid=str(uuid.uuid4())), None, [], lambda _percent: None)
    assert cloud.kinds() == [Kind.GUEST_UNKNOWN]
    cloud.mend()
    assert cloud.compute.list_guests(here) == {known.uuid: PowerState.RUNNING}
    (copy,) = cloud.compute.list_kept_copies(here)
    (finding,) = cloud.doctor.look().findings
    assert (finding.kind, finding.subject, finding.since) == (Kind.COPY_KEPT, copy.name, copy.since)
    cloud.doctor.mend(finding)
    assert cloud.compute.list_kept_copies(here) == []
    assert cloud.kinds() == []


def test_host_keeps_nothing_that_is_its_own(cloud: Cloud) -> None:
    here, _ = cloud.hosts
    own = cloud.run(here)
    with pytest.raises(InstanceStateError, match=f"cannot keep a copy of instance {own} on {here}"):
        cloud.compute.keep_guest(here, own)
    with pytest.raises(ComputeError, match="no name of a copy"):
        cloud.compute.remove_kept_copy(here, own, "../instances", keeps_disk=False)
    with pytest.raises(InstanceStateError, match="cannot remove a copy"):
        cloud.compute.remove_kept_copy(here, own, own, keeps_disk=False)
    assert cloud.compute.list_guests(here) == {own: PowerState.RUNNING}


def test_instance_whose_guest_and_disk_are_gone_ends_in_error(cloud: Cloud) -> None:
    here, _ = cloud.hosts
    lost = cloud.run(here)
    cloud.managers[0]._duties.host.driver.destroy(lost)
    assert cloud.kinds() == [Kind.GUEST_MISSING]
    cloud.mend()
    wait_until(lambda: cloud.tables.instances.get(lost).vm_state is VmState.ERROR, what="the reboot to fail")
    assert lost in cloud.tables.instances.faults([lost])
    assert [action.action for action in cloud.tables.actions.list(lost)] == ["reboot"]


def test_host_that_has_never_listened_is_silent_and_the_others_are_looked_at(cloud: Cloud) -> None:
    cloud.tables.services.report(ServiceReport("gone", "nova-compute", "compute", "nova"))
    cloud.run(cloud.hosts[0])
    diagnosis = cloud.doctor.look()
    assert (diagnosis.findings, list(diagnosis.silent), diagnosis.is_partial) == ((), ["gone"], True)
    assert diagnosis.counts["guests"] == 1
