"""Two nova-computes as they are, with a real nova-conductor and a broker between them: who runs what after a start."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from cloud.db.engine import Database, open_database
from cloud.db.instances import NewInstance, QuotaLimits
from cloud.db.migration_records import NewMigration
from cloud.domain.expected import ANY
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus, MigrationType
from cloud.domain.service import ServiceReport
from cloud.rpc.errors import RpcError
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
from tests.compute.site import TINY
from tests.rpc.bus import Bus
from tests.waiting import wait_until

__all__ = ["empty_database"]

NETWORK = Network("private", "10.0.0.0/24")
RUNNING, OFF = PowerState.RUNNING, PowerState.SHUTDOWN


@pytest.fixture(scope="module")
def broker() -> Iterator[RedisBroker]:
    with RedisBroker() as broker:
        yield broker


class Cloud:
    """A controller's services and two compute hosts that share their disks; nova-conductor serves when it is told."""

    def __init__(self, bus: Bus, database: Database, directory: Path) -> None:
        self.bus = bus
        self.directory = directory
        self.here, self.there = bus.host(), bus.host()
        self.database = database
        self.tables = Tables.of(database, lambda: datetime.now(UTC), down_after_s=60)
        self.compute = ComputeClient(bus.client())
        self.managers: dict[str, ComputeManager] = {}
        for host in (self.here, self.there):
            addresses = ConductorClient(bus.client(), host=host)
            bus.server(Target("network", host), NetworkManager(addresses, NETWORK))

    def start_conductor(self) -> None:
        self.bus.server(Target("conductor", "controller-01"), ConductorManager(self.tables, network=NETWORK))

    def start(self, host: str, **options: str) -> ComputeManager:
        """nova-compute of that host, which serves; it has not said yet that it is up."""
        directory = self.directory / host
        directory.mkdir(exist_ok=True)
        given = {"host": host, "state_path": str(directory), "my_ip": "192.0.2.7", "rpc_response_timeout": "2"}
        lines = "\n".join(f"{name} = {value}" for name, value in (given | options).items())
        simulated = f"vcpus = 8\nmemory_mb = 8192\ndisk_gb = 100\nshared_disks_path = {self.directory}/shared\n"
        file = directory / "nova.conf"
        file.write_text(f"[DEFAULT]\n{lines}\n[simulated]\n{simulated}")
        conf = read_configuration([file], groups=COMPUTE_OPTIONS)
        manager = make_manager(Parts(conf, self.bus.client(), database=None))
        self.bus.server(Target("compute", host), manager)
        manager.start()
        self.bus.stack.callback(manager.stop)
        self.managers[host] = manager
        return manager

    def say_alive(self, host: str) -> None:
        """What its daemon does at each `report_interval`."""
        report = ServiceReport(host, "nova-compute", "compute", "nova")
        self.managers[host].say_alive(lambda: self.tables.services.report(report))

    def build(self) -> str:
        """An instance that runs on the first host, with an address and a claim."""
        new = NewInstance(str(uuid.uuid4()), "p", "u", "web", TINY, "r-1")
        self.tables.instances.create([new], QuotaLimits(-1, -1, -1))
        here = {"host": self.here, "node": self.here, "task_state": TaskState.SPAWNING}
        instance = self.tables.instances.update(new.uuid, here)
        self.tables.fixed_ips.allocate(new.uuid, "private", NETWORK.cidr)
        wait_until(lambda: self.here in {node.host for node in self.tables.compute_nodes.all()})
        self.tables.claims.claim(new.uuid, self.here, TINY.resources, self.tables.compute_nodes.get(self.here).total)
        power_state = self.compute.spawn(self.here, instance)
        active = {"vm_state": VmState.ACTIVE, "task_state": None, "launched_at": datetime.now(UTC)}
        self.tables.instances.update(new.uuid, active | {"power_state": power_state})
        return new.uuid

    def begin_evacuation(self, uuid: str) -> int:
        """All that comes before the hand-over."""
        instance = self.tables.instances.get(uuid)
        new = NewMigration(
            instance_uuid=uuid,
            type=MigrationType.EVACUATION,
            request_id=None,
            source_compute=self.here,
            source_node=self.here,
            old_flavor=TINY,
            new_flavor=TINY,
            old_vm_state=instance.vm_state,
            dest_compute=self.there,
        )
        begun, _ = self.tables.migrations.begin(new, {"task_state": TaskState.REBUILDING}, ANY)
        return self.tables.migrations.update(begun.id, {"status": MigrationStatus.RUNNING, "step": "spawn"}).id

    def end_evacuation(self, migration_id: int, uuid: str) -> None:
        """All that the conductor's steps do."""
        assert self.compute.sees_disk(self.there, uuid)
        there = {"host": self.there, "node": self.there}
        destination = {"destination": {"shares_disk": True}}
        self.tables.migrations.hand_over(
            migration_id, instance_changes=there, expected=ANY, migration_changes=destination
        )
        fixed_ips = self.tables.fixed_ips.of((uuid,))[uuid]
        is_running = self.compute.evacuate_here(self.there, uuid, fixed_ips, shares_disk=True, is_running=True)
        assert is_running is RUNNING
        self.tables.migrations.end(
            migration_id, MigrationStatus.COMPLETED, instance_changes={"task_state": None}, expected=ANY
        )

    def guests(self, uuid: str) -> tuple[PowerState | None, PowerState | None]:
        """Here and there; None where there is none."""
        states = []
        for host in (self.here, self.there):
            driver = self.managers[host]._duties.host.driver
            states.append(driver.instances().get(uuid))
        return states[0], states[1]


@pytest.fixture
def cloud(broker: RedisBroker, empty_database: Path, tmp_path: Path) -> Iterator[Cloud]:
    (tmp_path / "nova.db").write_bytes(empty_database.read_bytes())
    with open_database(f"sqlite:///{tmp_path}/nova.db") as database, ExitStack() as stack:
        yield Cloud(Bus(broker, stack), database, tmp_path)


@pytest.mark.server
def test_a_host_that_comes_back_has_let_go_what_was_evacuated_before_it_says_that_it_is_up(cloud: Cloud) -> None:
    cloud.start_conductor()
    for host in (cloud.here, cloud.there):
        cloud.start(host)
    leaving, gone, stays = cloud.build(), cloud.build(), cloud.build()
    cloud.begin_evacuation(leaving)
    cloud.end_evacuation(cloud.begin_evacuation(gone), gone)
    assert cloud.guests(gone) == (RUNNING, RUNNING)
    cloud.say_alive(cloud.here)
    assert [service.is_up for service in cloud.tables.services.all(host=cloud.here)] == [True]
    assert (cloud.guests(leaving), cloud.guests(gone), cloud.guests(stays)) == (
        (OFF, None),
        (None, RUNNING),
        (RUNNING, None),
    )


@pytest.mark.server
def test_an_instance_that_was_put_elsewhere_by_hand_runs_there_and_no_longer_here(cloud: Cloud) -> None:
    cloud.start_conductor()
    for host in (cloud.here, cloud.there):
        cloud.start(host)
        cloud.say_alive(host)
    moved = cloud.build()
    with cloud.database.transaction() as session:
        session.execute(text(f"UPDATE instances SET host = '{cloud.there}' WHERE uuid = '{moved}'"))  # noqa: S608
    cloud.tables.instances.update(moved, {"task_state": TaskState.REBOOTING_HARD})
    cloud.compute.reboot_instance(cloud.there, moved, "HARD")
    wait_until(lambda: cloud.tables.instances.get(moved).task_state is None)
    assert cloud.guests(moved) == (OFF, RUNNING)
    instance = cloud.tables.instances.get(moved)
    assert (instance.vm_state, instance.node) == (VmState.ACTIVE, cloud.there)
    assert cloud.tables.claims.of(moved) == {cloud.there: TINY.resources}
    wait_until(lambda: "10.0.0.2" in cloud.compute.get_console_output(cloud.there, moved))
    definition = cloud.managers[cloud.there]._duties.host.driver.definition(moved)  # type: ignore[attr-defined]
    assert (definition["dhcp_server"], definition["vnc_address"]) == ("10.0.0.1", "192.0.2.7")


@pytest.mark.server
def test_without_a_conductor_nothing_is_started_and_the_host_is_not_up(cloud: Cloud) -> None:
    """It had no power meanwhile, and is to start again what ran."""
    cloud.start_conductor()
    for host in (cloud.here, cloud.there):
        cloud.start(host)
    runs, leaving = cloud.build(), cloud.build()
    cloud.begin_evacuation(leaving)
    cloud.bus.stack.close()  # all services stop
    again = Cloud(Bus(cloud.bus.broker, ExitStack()), cloud.database, cloud.directory)
    again.here, again.there = cloud.here, cloud.there
    (cloud.directory / cloud.here / "simulated" / "power_lost").touch()
    with again.bus.stack:
        again.start(again.there)
        again.start(again.here, resume_guests_state_on_host_boot="true", sync_power_state_interval="1")
        with pytest.raises(RpcError, match="cannot ask which guests are ours"):
            again.say_alive(again.here)
        assert (again.guests(runs), again.guests(leaving)) == ((OFF, None), (OFF, None))
        assert again.tables.instances.get(runs).vm_state is VmState.ACTIVE  # nor is it stopped
        again.start_conductor()
        again.say_alive(again.here)
        wait_until(lambda: again.guests(runs) == (RUNNING, None))
        wait_until(lambda: again.tables.instances.get(runs).task_state is None)
        assert again.tables.instances.get(runs).vm_state is VmState.ACTIVE
        assert again.guests(leaving) == (OFF, None)
