"""Hosts with simulated hypervisors, and conductors that move instances between them while they are off."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cloud.db.engine import Database
from cloud.db.migration_records import NewMigration
from cloud.domain.action import InstanceAction
from cloud.domain.expected import Expected
from cloud.domain.flavor import Flavor, Resources
from cloud.domain.instance import Instance, InstanceFault, PowerState, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.domain.service import ServiceReport
from cloud.errors import InstanceNotFoundError, InstanceStateError
from cloud.logs.emit import request_context
from cloud.services.compute.cold_migrations import ColdMigrations
from cloud.services.compute.locks import KeyLocks
from cloud.services.compute.work import Host
from cloud.services.conductor.moves import resize
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import MoveServices
from cloud.services.conductor.moves.move import Scheduler as AsksScheduler
from cloud.services.conductor.moves.mover import Mover
from cloud.services.conductor.moves.patience import Patience
from cloud.services.conductor.moves.waiting import TRY_AGAIN_AFTER, ConfirmWindow
from cloud.services.conductor.tables import Tables
from cloud.virt.machine import HostResources
from cloud.virt.moving import Transfer, TransferPhase
from cloud.virt.simulated.driver import SimulatedDriver
from cloud.virt.simulated.host import HostSettings, HostSize
from cloud.virt.simulated.knobs import Knobs, KnobSettings
from tests.compute.records import TableRecords
from tests.conductor.moves.saved import Saved
from tests.conductor.site import CIDR, Calls, Network, Scheduler
from tests.db.conftest import Clock
from tests.db.making import NO_QUOTA, SMALL, compute_node, new_instance, uuid_of
from tests.waiting import wait_until

HERE, THERE, ELSEWHERE = HOSTS = ("compute-01", "compute-02", "compute-03")
LARGE = Flavor(id=3, flavorid="3", name="m1.large", memory_mb=4096, vcpus=2, root_gb=40, ephemeral_gb=10)
ROOM = Resources(6 * SMALL.memory_mb, 100, 1000)
NO_ROOM = Resources(memory_mb=0, vcpus=0, disk_gb=0)
MACHINE = HostResources(vcpus=8, memory_mb=16000, free_memory_mb=8000, disk_gb=2000, free_disk_gb=1900)
ASKED, CONFIRMED, REVERTED = (f"req-c8a7f0cd-6fb0-4a4a-8a3a-1d4f9e8f3c7{number}" for number in "abc")
"""The requests that ask for the move, for its confirmation, and that it be reverted."""
ENDINGS: Mapping[MigrationStatus, tuple[TaskState, str, str]] = {
    MigrationStatus.CONFIRMING: (TaskState.RESIZE_CONFIRMING, CONFIRMED, "confirmResize"),
    MigrationStatus.REVERTING: (TaskState.RESIZE_REVERTING, REVERTED, "revertResize"),
}


@dataclass(frozen=True)
class Case:
    """A kind of move, and of what."""

    type: MigrationType = MigrationType.RESIZE
    is_shared: bool = False
    """All hosts have their disks in one place."""
    stays: bool = False
    """Its own host is the only one that has room."""
    vm_state: VmState = VmState.ACTIVE

    def __str__(self) -> str:
        what = "cold" if self.type is MigrationType.COLD else "resize"
        return f"{what}{' where it is' if self.stays else ''}{', shared storage' if self.is_shared else ''}"

    @property
    def flavor(self) -> Flavor:
        return SMALL if self.type is MigrationType.COLD else LARGE

    @property
    def power_state(self) -> PowerState:
        """As it is before and afterwards."""
        return PowerState.RUNNING if self.vm_state is VmState.ACTIVE else PowerState.SHUTDOWN


CASES: Mapping[str, Case] = {
    str(case): case
    for case in (
        Case(MigrationType.COLD),
        Case(MigrationType.COLD, is_shared=True, vm_state=VmState.STOPPED),
        Case(vm_state=VmState.STOPPED),
        Case(is_shared=True),
        Case(stays=True),
        Case(is_shared=True, stays=True, vm_state=VmState.STOPPED),
    )
}


class Computes:
    """The nova-compute of each host. A disk has been sent when whoever has it sent is told that it is on its way."""

    def __init__(self, hosts: Mapping[str, ColdMigrations], drivers: Mapping[str, SimulatedDriver]) -> None:
        self._hosts = hosts
        self._drivers = drivers

    def guest_state(self, host: str, uuid: str) -> PowerState | None:
        return self._drivers[host].instances().get(uuid)

    def send_disk(self, host: str, uuid: str, target: Mapping[str, Any]) -> None:
        self._hosts[host].send_disk(uuid, target)
        wait_until(lambda: self.disk_transfer(host, uuid).phase is not TransferPhase.RUNNING)

    def disk_transfer(self, host: str, uuid: str) -> Transfer:
        return self._hosts[host].disk_transfer(uuid)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda host, *args, **kwargs: getattr(self._hosts[host], name)(*args, **kwargs)


class ResizeSite:
    """One case of it."""

    def __init__(self, database: Database, clock: Clock, directory: Path, case: Case) -> None:
        self.case = case
        self.clock = clock
        self.directory = directory
        self._database = database
        self.tables = Tables.of(database, clock, down_after_s=60)
        for host in HOSTS:
            room = NO_ROOM if case.stays and host != HERE else ROOM
            self.tables.compute_nodes.report(compute_node(host, room))
            self.say_alive(host)
        self.drivers: dict[str, SimulatedDriver] = {}
        self._hosts: dict[str, ColdMigrations] = {}
        self.computes = Computes(self._hosts, self.drivers)
        self.start_hosts()
        self.scheduler: AsksScheduler = Scheduler(self.tables)
        self.calls = Calls()
        self.waited_s: list[float] = []

    def say_alive(self, host: str) -> None:
        """Its nova-compute."""
        self.tables.services.report(ServiceReport(host, "nova-compute", "compute", "nova"))

    def start_hosts(self) -> None:
        """The nova-compute of each, which finds what an earlier one has left."""
        for host in HOSTS:
            self.drivers[host] = self._driver(host)
            self._hosts[host] = ColdMigrations(self._host(host))

    def save(self) -> Callable[[], None]:
        """What it gives makes all as it is now, each time, and starts each nova-compute again."""
        saved, now = Saved(self._database, self.directory), self.clock.now

        def go_back() -> None:
            saved.restore()
            self.clock.now = now
            self.start_hosts()

        return go_back

    def mover(self, calls: Calls) -> Mover:
        """A conductor's; what it asks of others goes by `calls`."""
        watch = calls.watch
        tables = Tables(**{each.name: watch(each.name, getattr(self.tables, each.name)) for each in fields(Tables)})
        services = MoveServices(
            watch("scheduler", self.scheduler), Network(self.tables), watch("compute", self.computes)
        )
        journal = Journal(tables, wait=self.waited_s.append)
        kinds = resize.make_kinds(tables, services, journal, Patience(), wait=self.waited_s.append)
        return Mover(tables, journal, kinds, self.clock, wait=self.waited_s.append)

    def enter(self, number: int = 1) -> Instance:
        """An instance that is what the case says, on the first host."""
        (made,) = self.tables.instances.create([new_instance(number)], NO_QUOTA)
        node = self.tables.compute_nodes.get(HERE).node
        self.tables.claims.claim(made.uuid, HERE, SMALL.resources, ROOM)
        fixed_ip = self.tables.fixed_ips.allocate(made.uuid, "private", CIDR)
        self.drivers[HERE].spawn(made, None, [fixed_ip], lambda _percent: None)
        if self.case.vm_state is VmState.STOPPED:
            self.drivers[HERE].power_off(made.uuid)
        changes = {"host": HERE, "node": node, "vm_state": self.case.vm_state, "task_state": None}
        return self.tables.instances.update(made.uuid, changes | {"power_state": self.case.power_state})

    def turn(self, *knobs: str) -> None:
        """Let steps of every hypervisor fail; without any, none."""
        for host in HOSTS:
            (self.directory / host).mkdir(exist_ok=True)
            (self.directory / host / "knobs.toml").write_text(f"fail = {list(knobs)!r}\n")

    def begin(self, number: int = 1, *, flavor: Flavor | None = None) -> int:
        """What the API does for a request, of an instance that is there: the migration's id, which it casts."""
        instance = self.instance(number)
        source = str(instance.host)
        new = NewMigration(
            instance_uuid=instance.uuid,
            type=self.case.type,
            request_id=ASKED,
            source_compute=source,
            source_node=instance.node,
            old_flavor=instance.flavor,
            new_flavor=flavor or self.case.flavor,
            old_vm_state=instance.vm_state,
            options={"may_stay": self.case.stays},
        )
        expected = Expected((VmState.ACTIVE, VmState.STOPPED), (None,), source)
        migration, _ = self.tables.migrations.begin(new, {"task_state": TaskState.RESIZE_PREP}, expected)
        with request_context(request_id=ASKED):
            self.tables.actions.start(instance.uuid, "migrate" if self.case.type is MigrationType.COLD else "resize")
        return migration.id

    def begin_ending(self, status: MigrationStatus, number: int = 1) -> int:
        """The same for one that waits, or that has ended in error: to be `confirming` or `reverting`."""
        task_state, request_id, action = ENDINGS[status]
        changes = {
            "status": status,
            "step": None,
            "is_undoing": False,
            "is_handed_over": status is MigrationStatus.CONFIRMING,
            "request_id": request_id,
        }
        migration, _ = self.tables.migrations.update_both(
            self.migration(number).id,
            changes,
            instance_changes={"task_state": task_state},
            expected=Expected((VmState.RESIZED, VmState.ACTIVE, VmState.ERROR), (None,)),
            statuses=(MigrationStatus.FINISHED, MigrationStatus.ERROR),
        )
        with request_context(request_id=request_id):
            self.tables.actions.start(uuid_of(number), action)
        return migration.id

    def move(self, migration_id: int, mover: Mover | None = None) -> None:
        """As it comes off the bus."""
        with request_context(request_id=self.tables.migrations.get(migration_id).request_id):
            (mover or self.mover(self.calls)).move(migration_id)

    def finish(self, number: int = 1) -> None:
        """Let it come to wait for being confirmed or reverted."""
        self.enter(number)
        calls = Calls()
        self.move(self.begin(number), self.mover(calls))
        assert self.migration(number).status is MigrationStatus.FINISHED

    def delete(self, number: int = 1, *, hears: bool) -> None:
        """What the API does when a user deletes it; without `hears` its host comes to it only later."""
        instance = self.tables.instances.get(uuid_of(number))
        seen = Expected((instance.vm_state,), (instance.task_state,), instance.host)
        self.tables.instances.update(instance.uuid, {"task_state": TaskState.DELETING}, expected=seen)
        if hears:
            self.delete_at_host(number)

    def delete_at_host(self, number: int = 1) -> None:
        """What nova-compute does when it is told."""
        instance = self.instance(number)
        if instance.task_state is TaskState.DELETING:
            self.drivers[str(instance.host)].destroy(instance.uuid)
            with suppress(InstanceNotFoundError, InstanceStateError):
                self.tables.instances.delete(instance.uuid, expected=Expected(task_states=(TaskState.DELETING,)))

    def clear_up(self) -> None:
        """What a conductor does now and then about those that wait."""
        self.clock.advance(TRY_AGAIN_AFTER.total_seconds())
        for host in HOSTS:
            self.say_alive(host)
        for migration_id in ConfirmWindow(self.tables, self.clock, window_s=0).begin_due():
            self.move(migration_id, self.mover(Calls()))

    def clear_away(self, number: int) -> None:
        """An instance with all that there is of it."""
        uuid = uuid_of(number)
        with suppress(InstanceNotFoundError):
            self.tables.instances.delete(uuid)
        for driver in self.drivers.values():
            with suppress(Exception):
                driver.power_off(uuid)
            driver.drop_aside(uuid, keeps_disk=False)
            driver.destroy(uuid)
            driver.cancel_arrival(uuid)

    def instance(self, number: int = 1) -> Instance:
        """Also one that is deleted."""
        return self.tables.instances.get(uuid_of(number), deleted=True)

    def migration(self, number: int = 1) -> Migration:
        found = self.tables.migrations.newest(uuid_of(number))
        assert found is not None
        return found

    def fault(self, number: int = 1) -> InstanceFault | None:
        return self.tables.instances.faults([uuid_of(number)]).get(uuid_of(number))

    def action(self, number: int = 1, request_id: str = ASKED) -> InstanceAction:
        return self.tables.actions.get(uuid_of(number), request_id)

    def guests(self, number: int = 1) -> dict[str, PowerState]:
        """Where there is a guest of it, and what it does."""
        states = {host: driver.instances().get(uuid_of(number)) for host, driver in self.drivers.items()}
        return {host: state for host, state in states.items() if state is not None}

    def traces(self, number: int = 1) -> set[str]:
        """Whatever hosts have of it beside a guest: what is set aside, what has come, disks; as paths."""
        uuid = uuid_of(number)
        found = {str(path.parent.relative_to(self.directory)) for path in self.directory.glob(f"*/*/{uuid}")}
        return found - {f"{host}/instances" for host in self.guests(number)}

    def disk_gb(self, number: int = 1) -> set[int]:
        """The sizes of all disks of it."""
        uuid = uuid_of(number)
        return {path.stat().st_size >> 30 for path in self.directory.glob(f"**/{uuid}/disk")}

    def assert_as_before(self, number: int = 1, status: MigrationStatus = MigrationStatus.FAILED) -> None:
        """On the first host, as if nothing had been asked for."""
        case, instance = self.case, self.instance(number)
        assert (instance.vm_state, instance.task_state) == (case.vm_state, None)
        assert (instance.host, instance.node) == (HERE, f"{HERE}.example.org")
        assert (instance.flavor, instance.power_state) == (SMALL, case.power_state)
        assert self.guests(number) == {HERE: case.power_state}
        assert self.tables.claims.of(instance.uuid) == {HERE: SMALL.resources}
        assert self.traces(number) == self._of_its_own(HERE)
        assert self.disk_gb(number) == {SMALL.root_gb}
        assert self.migration(number).status is status

    def assert_waits(self, number: int = 1) -> None:
        """To be confirmed or reverted."""
        case, instance, migration = self.case, self.instance(number), self.migration(number)
        host = HERE if case.stays else str(migration.dest_compute)
        assert case.stays or host in (THERE, ELSEWHERE)
        assert (instance.vm_state, instance.task_state) == (VmState.RESIZED, None)
        assert (instance.host, instance.node) == (host, f"{host}.example.org")
        assert (instance.flavor, instance.power_state) == (case.flavor, case.power_state)
        assert self.guests(number) == {host: case.power_state}
        kept = {} if case.stays else {HERE: SMALL.resources}
        assert self.tables.claims.of(instance.uuid) == kept | {host: case.flavor.resources}
        assert self.traces(number) == self._of_its_own(host) | (set() if case.stays else {f"{HERE}/aside"})
        assert migration.status is MigrationStatus.FINISHED

    def assert_confirmed(self, number: int = 1) -> None:
        case, instance, migration = self.case, self.instance(number), self.migration(number)
        host = str(migration.dest_compute)
        assert (instance.vm_state, instance.task_state, instance.host) == (case.vm_state, None, host)
        assert (instance.flavor, instance.power_state) == (case.flavor, case.power_state)
        assert self.guests(number) == {host: case.power_state}
        assert self.tables.claims.of(instance.uuid) == {host: case.flavor.resources}
        assert self.traces(number) == self._of_its_own(host)
        assert self.disk_gb(number) == {case.flavor.root_gb}
        assert migration.status is MigrationStatus.CONFIRMED

    def assert_reverted(self, number: int = 1) -> None:
        self.assert_as_before(number, MigrationStatus.REVERTED)

    def assert_nothing_left(self, number: int = 1) -> None:
        """It was to be deleted: that is no fault, and no host has anything of it."""
        instance = self.instance(number)
        assert (instance.vm_state, instance.task_state) == (VmState.DELETED, None)
        assert self.guests(number) == {}
        assert self.traces(number) == set()
        assert self.tables.claims.of(instance.uuid) == {}
        assert self.migration(number).has_ended

    def _of_its_own(self, host: str) -> set[str]:
        """What there is of an instance on that host beside its guest."""
        return {"shared/disks"} if self.case.is_shared else set()

    def _driver(self, host: str) -> SimulatedDriver:
        knobs = Knobs(KnobSettings(), self.directory / host / "knobs.toml", wait_s=lambda _s: None, chance=lambda: 0.5)
        shared = self.directory / "shared" / "disks" if self.case.is_shared else None
        return SimulatedDriver(
            self.directory / host,
            knobs,
            size=HostSize(),
            read_machine=lambda: MACHINE,
            now=self.clock,
            settings=HostSettings(shared_disks=shared),
        )

    def _host(self, host: str) -> Host:
        return Host(host, self.drivers[host], TableRecords(self._database, self.clock, host), KeyLocks(wait_s=10.0))
