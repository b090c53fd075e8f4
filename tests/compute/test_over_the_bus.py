"""nova-compute as it is, with a real nova-conductor, a real nova-network and a broker between them."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud.db.engine import Database, open_database
from cloud.db.instances import NewInstance, QuotaLimits
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.errors import ComputeError, HostNotFoundError, InstanceStateError
from cloud.logs.emit import request_context
from cloud.rpc.topology import Target
from cloud.services.compute.client import ComputeClient
from cloud.services.compute.manager import ComputeManager, make_manager
from cloud.services.compute.options import COMPUTE_OPTIONS
from cloud.services.conductor.client import ConductorClient
from cloud.services.conductor.manager import ConductorManager
from cloud.services.conductor.tables import Tables
from cloud.services.configuration import read_configuration
from cloud.services.manager import Parts
from cloud.services.network.manager import NetworkManager
from cloud.services.network.options import Network
from tests.brokers import RedisBroker
from tests.compute.conftest import empty_database
from tests.compute.site import REQUEST, TINY
from tests.rpc.bus import Bus
from tests.waiting import wait_until

__all__ = ["empty_database"]

NETWORK = Network("private", "10.0.0.0/24")


@pytest.fixture(scope="module")
def broker() -> Iterator[RedisBroker]:
    with RedisBroker() as broker:
        yield broker


class Cloud:
    """A controller's and a compute host's services, in this process."""

    def __init__(self, bus: Bus, database: Database, directory: Path) -> None:
        self.bus = bus
        self.directory = directory
        self.host = bus.host()
        self.tables = Tables.of(database, lambda: datetime.now(UTC), down_after_s=60)
        conductor = ConductorManager(self.tables, network=NETWORK)
        bus.server(Target("conductor", "controller-01"), conductor)
        addresses = ConductorClient(bus.client(), host=self.host)
        bus.server(Target("network", self.host), NetworkManager(addresses, NETWORK))
        self.compute = ComputeClient(bus.client())

    def start(self) -> ComputeManager:
        """nova-compute, which serves."""
        file = self.directory / "nova.conf"
        options = f"host = {self.host}\nstate_path = {self.directory}\nmy_ip = 192.0.2.7\n"
        file.write_text(f"[DEFAULT]\n{options}[simulated]\nvcpus = 8\nmemory_mb = 8192\ndisk_gb = 100\n")
        conf = read_configuration([file], groups=COMPUTE_OPTIONS)
        manager = make_manager(Parts(conf, self.bus.client(), database=None))
        self.bus.server(Target("compute", self.host), manager)
        manager.start()
        self.bus.stack.callback(manager.stop)
        return manager

    def enter(self) -> str:
        """An instance with an address, which is to be spawned on the host."""
        new = NewInstance(str(uuid.uuid4()), "p", "u", "web", TINY, "r-1")
        self.tables.instances.create([new], QuotaLimits(-1, -1, -1))
        self.tables.instances.update(new.uuid, {"host": self.host, "task_state": TaskState.SPAWNING})
        self.tables.fixed_ips.allocate(new.uuid, "private", "10.0.0.0/24")
        return new.uuid

    def build(self) -> str:
        """An instance that runs."""
        built = self.enter()
        power_state = self.compute.spawn(self.host, self.tables.instances.get(built))
        active = {"vm_state": VmState.ACTIVE, "task_state": None, "launched_at": datetime.now(UTC)}
        self.tables.instances.update(built, active | {"power_state": power_state})
        return built

    def begin(self, uuid: str, task_state: TaskState, action: str) -> None:
        """What the API does before it casts."""
        self.tables.instances.update(uuid, {"task_state": task_state})
        self.tables.actions.start(uuid, action)

    def state(self, uuid: str) -> tuple[VmState, TaskState | None, PowerState]:
        found = self.tables.instances.get(uuid, deleted=True)
        return found.vm_state, found.task_state, found.power_state

    def wait_for(self, uuid: str, vm_state: VmState) -> None:
        wait_until(lambda: self.state(uuid)[:2] == (vm_state, None), what=f"{uuid} to be {vm_state}")


@pytest.fixture
def cloud(broker: RedisBroker, empty_database: Path, tmp_path: Path) -> Iterator[Cloud]:
    # The database's own copy: that of other tests is open elsewhere.
    (tmp_path / "nova.db").write_bytes(empty_database.read_bytes())
    with open_database(f"sqlite:///{tmp_path}/nova.db") as database, ExitStack() as stack:
        yield Cloud(Bus(broker, stack), database, tmp_path)


@pytest.mark.server
def test_the_host_tells_its_resources_right_after_the_start(cloud: Cloud) -> None:
    cloud.start()

    def is_told() -> bool:
        try:
            return cloud.tables.compute_nodes.get(cloud.host).total.vcpus == 8
        except HostNotFoundError:
            return False

    wait_until(is_told)
    node = cloud.tables.compute_nodes.get(cloud.host)
    assert (node.total.memory_mb, node.total.disk_gb, node.host_ip) == (8192 - 512, 100, "192.0.2.7")
    assert cloud.compute.host_info(cloud.host)["vcpus"] == 8


@pytest.mark.server
def test_an_instance_lives_from_its_build_to_its_deletion(cloud: Cloud) -> None:
    cloud.start()
    uuid = cloud.build()
    mac = cloud.tables.fixed_ips.allocate(uuid, "private", "10.0.0.0/24").mac
    wait_until(lambda: mac in cloud.compute.get_console_output(cloud.host, uuid))
    asked = (
        (TaskState.POWERING_OFF, "stop", cloud.compute.stop_instance, VmState.STOPPED),
        (TaskState.POWERING_ON, "start", cloud.compute.start_instance, VmState.ACTIVE),
        (TaskState.DELETING, "delete", cloud.compute.delete_instance, VmState.DELETED),
    )
    for number, (task_state, action, ask, vm_state) in enumerate(asked):
        with request_context(request_id=f"{REQUEST[:-1]}{number}"):
            cloud.begin(uuid, task_state, action)
            ask(cloud.host, uuid)
            cloud.wait_for(uuid, vm_state)
    wait_until(lambda: all(action.finished_at for action in cloud.tables.actions.list(uuid)))
    assert [action.message for action in cloud.tables.actions.list(uuid)] == [None] * 3
    assert cloud.tables.instances.get(uuid, deleted=True).addresses == ()
    with pytest.raises(InstanceStateError, match="it is not there"):
        cloud.compute.get_console_output(cloud.host, uuid)


@pytest.mark.server
def test_guests_are_listed_page_by_page(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.start()
    assert cloud.compute.list_guests(cloud.host) == {}
    built = [cloud.build() for _ in range(3)]
    cloud.compute.stop_instance(cloud.host, built[0])  # nobody wants that: it is let go
    for page in ("client", "manager"):
        monkeypatch.setattr(f"cloud.services.compute.{page}.GUESTS_PAGE", 2)
    assert cloud.compute.list_guests(cloud.host) == dict.fromkeys(built, PowerState.RUNNING)


@pytest.mark.server
def test_a_failed_spawn_is_an_error_of_the_host_that_names_the_knob(cloud: Cloud) -> None:
    cloud.start()
    uuid = cloud.enter()
    (cloud.directory / "simulated").mkdir(exist_ok=True)
    (cloud.directory / "simulated" / "knobs.toml").write_text('fail = ["spawn.boot:1"]')
    with pytest.raises(ComputeError, match=r"step spawn\.boot fails by knob 'spawn\.boot:1'"):
        cloud.compute.spawn(cloud.host, cloud.tables.instances.get(uuid))
    cloud.compute.destroy(cloud.host, uuid)
    assert cloud.compute.spawn(cloud.host, cloud.tables.instances.get(uuid)) is PowerState.RUNNING


@pytest.mark.server
def test_a_failure_is_a_fault_and_an_action_that_failed(cloud: Cloud) -> None:
    cloud.start()
    uuid = cloud.build()
    (cloud.directory / "simulated" / "knobs.toml").write_text('fail = ["reboot.start"]')
    with request_context(request_id=REQUEST):
        cloud.begin(uuid, TaskState.REBOOTING_HARD, "reboot")
        cloud.compute.reboot_instance(cloud.host, uuid, "HARD")
        cloud.wait_for(uuid, VmState.ERROR)
    fault = cloud.tables.instances.faults([uuid])[uuid]
    assert fault.message.startswith(f"cannot reboot instance {uuid}: step reboot.start fails by knob ")
    assert fault.host == cloud.host
    wait_until(lambda: cloud.tables.actions.get(uuid, REQUEST).finished_at)
    action = cloud.tables.actions.get(uuid, REQUEST)
    assert (action.message, [(step.event, step.result) for step in action.events]) == (
        "Error",
        [("compute_reboot_instance", "Error")],
    )


@pytest.mark.server
def test_a_process_that_starts_again_finds_its_instances_and_what_was_left(cloud: Cloud) -> None:
    first = cloud.start()
    runs, left = cloud.build(), cloud.build()
    first.stop()
    cloud.tables.instances.update(left, {"task_state": TaskState.POWERING_OFF})
    cloud.bus.stack.close()  # whatever was served
    again = Cloud(Bus(cloud.bus.broker, ExitStack()), cloud.tables.instances._database, cloud.directory)
    again.host = cloud.host
    with again.bus.stack:
        again.start()
        again.wait_for(left, VmState.STOPPED)
        assert again.compute.host_info(cloud.host)["running_vms"] == 1
        assert again.state(runs) == (VmState.ACTIVE, None, PowerState.RUNNING)
