"""Compute hosts with simulated hypervisors, one of which breaks down, and conductors that evacuate its instances."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from cloud.db.engine import Database
from cloud.db.migration_records import NewMigration
from cloud.domain.action import InstanceAction
from cloud.domain.expected import Expected
from cloud.domain.fixed_ip import FixedIp
from cloud.domain.flavor import Resources
from cloud.domain.instance import Instance, InstanceFault, PowerState, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.domain.service import ServiceReport
from cloud.errors import InstanceNotFoundError
from cloud.logs.emit import request_context
from cloud.services.conductor.moves import evacuate
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import MoveServices
from cloud.services.conductor.moves.mover import Mover
from cloud.services.conductor.tables import Tables
from tests.compute.image_store import IMAGE
from tests.compute.site import Peers, Site
from tests.conductor.moves.saved import Saved
from tests.conductor.site import CIDR, Calls, Network, Scheduler
from tests.db.conftest import Clock
from tests.db.making import NO_QUOTA, SMALL, compute_node, new_instance, uuid_of

HERE, THERE, ELSEWHERE = HOSTS = ("compute-01", "compute-02", "compute-03")
ROOM = Resources(6 * SMALL.memory_mb, 100, 1000)
ASKED = "req-c8a7f0cd-6fb0-4a4a-8a3a-1d4f9e8f3c7a"
RUNNING = PowerState.RUNNING


@dataclass(frozen=True)
class Case:
    """What is evacuated, and where its disk is."""

    is_shared: bool = False
    """All hosts have their disks in one place."""
    on_shared_storage: bool | None = None
    """What was asked for."""
    vm_state: VmState = VmState.ACTIVE
    unmounted: str | None = None
    """A host that has its disks for itself all the same."""

    @property
    def ends_as(self) -> tuple[VmState, PowerState]:
        if self.vm_state is VmState.STOPPED:
            return VmState.STOPPED, PowerState.SHUTDOWN
        return VmState.ACTIVE, RUNNING


CASES: Mapping[str, Case] = {
    "own disks": Case(on_shared_storage=False),
    "shared disks": Case(is_shared=True, on_shared_storage=True),
    "own disks, to be found out, stopped": Case(vm_state=VmState.STOPPED),
    "shared disks, to be found out, in error": Case(is_shared=True, vm_state=VmState.ERROR),
}


class Computes:
    """The nova-compute of each host, of which the broken one does not answer until it is back."""

    def __init__(self, hosts: Mapping[str, Site]) -> None:
        self._hosts = hosts

    def prepare_image(self, host: str, image_id: str) -> None:
        self._hosts[host].builds.prepare_image(image_id)

    def sees_disk(self, host: str, uuid: str) -> bool:
        return self._hosts[host].evacuations.sees_disk(uuid)

    def evacuate_here(
        self, host: str, uuid: str, fixed_ips: Sequence[FixedIp], *, shares_disk: bool, is_running: bool
    ) -> PowerState:
        return self._hosts[host].evacuations.evacuate_here(
            uuid, fixed_ips, shares_disk=shares_disk, is_running=is_running
        )

    def give_up_guest(self, host: str, uuid: str) -> None:
        self._hosts[host].fence.give_up(uuid)


class EvacuationSite:
    """The first host is down: nobody hears of it, but its guests run on."""

    def __init__(self, database: Database, clock: Clock, directory: Path, case: Case) -> None:
        self.case = case
        self.clock = clock
        self.directory = directory
        self._database = database
        self.hosts: dict[str, Site] = {}
        self.start_hosts()
        self.tables = Tables.of(database, clock, down_after_s=60)
        for name in HOSTS:
            self.report_room(name, ROOM)
            self.report_up(name)
        self.break_down()
        self.computes = Computes(self.hosts)
        self.scheduler = Scheduler(self.tables)
        self.calls = Calls()
        self.waited_s: list[float] = []

    def start_hosts(self) -> None:
        """The nova-compute of each, which finds what an earlier one has left."""
        peers = Peers()
        shared = self.directory / "shared" if self.case.is_shared else None
        for name in HOSTS:
            self.hosts[name] = Site(
                self.directory / name,
                self._database,
                self.clock,
                name=name,
                peers=peers,
                shared_disks=None if name == self.case.unmounted else shared,
            )

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
        services: MoveServices[Any] = MoveServices(
            watch("scheduler", self.scheduler), watch("network", Network(self.tables)), watch("compute", self.computes)
        )
        journal = Journal(tables, wait=self.waited_s.append)
        kinds = evacuate.make_kinds(tables, services, journal, self.clock)
        return Mover(tables, journal, kinds, self.clock, wait=self.waited_s.append)

    def report_room(self, host: str, room: Resources) -> None:
        """What its nova-compute says of it now and then."""
        storage_id = self.hosts[host].open_driver().storage_id()
        self.tables.compute_nodes.report(replace(compute_node(host, room), node=host, storage_id=storage_id))

    def report_up(self, host: str) -> None:
        self.tables.services.report(ServiceReport(host, "nova-compute", "compute", "nova"))

    def break_down(self) -> None:
        """Nothing was heard of the first host for long, and of the others just now."""
        self.clock.advance(61)
        for name in HOSTS[1:]:
            self.report_up(name)

    def come_back(self) -> None:
        """Its nova-compute is started again, and does all that one does then."""
        here = self.hosts[HERE]
        here.fence = here.open_fence()
        here.fence.say_alive(lambda: self.report_up(HERE))
        here.recovery().report()
        here.sync.report()

    def enter(self, number: int = 1, **changes: Any) -> Instance:
        """An instance that is what the case says, on the first host, where its guest runs unless it was stopped."""
        (made,) = self.tables.instances.create([new_instance(number, image_id=IMAGE)], NO_QUOTA)
        self.tables.claims.claim(made.uuid, HERE, SMALL.resources, ROOM)
        fixed_ip = self.tables.fixed_ips.allocate(made.uuid, "private", CIDR)
        driver = self.hosts[HERE].driver
        driver.spawn(made, None, [fixed_ip], lambda _percent: None)
        if self.case.vm_state is VmState.STOPPED:
            driver.power_off(made.uuid)
        of_case = {"host": HERE, "node": HERE, "vm_state": self.case.vm_state, "task_state": None}
        return self.tables.instances.update(
            made.uuid, of_case | {"power_state": driver.power_state(made.uuid)} | changes
        )

    def begin(self, number: int = 1, *, source: str = HERE, **options: Any) -> int:
        """What the API does for a request: the migration's id, which it casts."""
        instance = self.instance(number)
        new = NewMigration(
            instance_uuid=instance.uuid,
            type=MigrationType.EVACUATION,
            request_id=ASKED,
            source_compute=source,
            source_node=instance.node,
            old_flavor=instance.flavor,
            new_flavor=instance.flavor,
            old_vm_state=instance.vm_state,
            options={"on_shared_storage": self.case.on_shared_storage, **options},
        )
        expected = Expected((VmState.ACTIVE, VmState.STOPPED, VmState.ERROR), (None,), source)
        migration, _ = self.tables.migrations.begin(new, {"task_state": TaskState.REBUILDING}, expected)
        with request_context(request_id=ASKED):
            self.tables.actions.start(instance.uuid, "evacuate")
        return migration.id

    def move(self, migration_id: int, mover: Mover | None = None) -> None:
        """As it comes off the bus."""
        with request_context(request_id=ASKED):
            (mover or self.mover(self.calls)).move(migration_id)

    def delete(self, number: int = 1, *, hears: bool = True) -> None:
        """What the API does when a user deletes it; without `hears` its host comes to it only later."""
        instance = self.tables.instances.get(uuid_of(number))
        seen = Expected((instance.vm_state,), (instance.task_state,), instance.host)
        is_up = any(each.is_up for each in self.tables.services.all(host=instance.host, binary="nova-compute"))
        if not is_up:
            self.tables.instances.delete(instance.uuid, expected=seen)
            return
        self.tables.instances.update(instance.uuid, {"task_state": TaskState.DELETING}, expected=seen)
        if hears:
            self.delete_at_host(number)

    def delete_at_host(self, number: int = 1) -> None:
        """What nova-compute does when it is told, in time or when it is back."""
        instance = self.instance(number)
        if instance.host is not None:
            self.hosts[instance.host].lifecycle.delete(instance.uuid)

    def clear_away(self, number: int) -> None:
        """An instance with all that there is of it."""
        uuid = uuid_of(number)
        with suppress(InstanceNotFoundError):
            self.tables.instances.delete(uuid)
        for host in self.hosts.values():
            host.driver.destroy(uuid)

    def instance(self, number: int = 1) -> Instance:
        """Also one that is deleted."""
        return self.tables.instances.get(uuid_of(number), deleted=True)

    def migration(self, number: int = 1) -> Migration:
        found = self.tables.migrations.newest(uuid_of(number))
        assert found is not None
        return found

    def fault(self, number: int = 1) -> InstanceFault | None:
        return self.tables.instances.faults([uuid_of(number)]).get(uuid_of(number))

    def action(self, number: int = 1) -> InstanceAction:
        return self.tables.actions.get(uuid_of(number), ASKED)

    def guests(self, number: int = 1) -> dict[str, PowerState]:
        """Where there is a guest of it, and what it does."""
        states = {name: host.driver.instances().get(uuid_of(number)) for name, host in self.hosts.items()}
        return {name: state for name, state in states.items() if state is not None}

    def runs_on(self, number: int = 1) -> list[str]:
        return [name for name, state in self.guests(number).items() if state is RUNNING]

    def disks(self, number: int = 1) -> list[Path]:
        """All disks that there are of it anywhere."""
        return sorted(path for path in self.directory.rglob("disk") if path.parent.name == uuid_of(number))

    def assert_evacuated(self, number: int = 1) -> None:
        """Another host has it, once the first one is back at the latest, and all that is known of it says so."""
        instance, migration = self.instance(number), self.migration(number)
        host = str(migration.dest_compute)
        vm_state, power_state = self.case.ends_as
        assert host in (THERE, ELSEWHERE)
        assert (instance.vm_state, instance.task_state, instance.power_state) == (vm_state, None, power_state)
        assert (instance.host, instance.node) == (host, host)
        assert self.tables.claims.of(instance.uuid) == {host: SMALL.resources}
        assert len(instance.addresses) == 1
        assert (migration.status, migration.error, migration.is_handed_over) == (MigrationStatus.COMPLETED, None, True)
        assert (migration.destination or {})["shares_disk"] is self.case.is_shared
        self.come_back()
        assert self.guests(number) == {host: power_state}
        assert len(self.disks(number)) == 1
        self.break_down()

    def assert_undone(self, number: int = 1, *, was_back: bool = False) -> None:
        """It is the first host's as if nothing had been asked for; one that `was_back` has powered its guest off."""
        instance, migration = self.instance(number), self.migration(number)
        assert (instance.vm_state, instance.task_state) == (
            VmState.STOPPED if was_back and self.case.vm_state is VmState.ACTIVE else self.case.vm_state,
            None,
        )
        assert (instance.host, instance.node) == (HERE, HERE)
        assert self.tables.claims.of(instance.uuid) == {HERE: SMALL.resources}
        assert len(instance.addresses) == 1
        assert (migration.status, migration.is_handed_over) == (MigrationStatus.FAILED, False)
        self.come_back()
        is_off = was_back or self.case.vm_state is VmState.STOPPED
        assert self.guests(number) == {HERE: PowerState.SHUTDOWN if is_off else RUNNING}
        self.break_down()

    def assert_nothing_left(self, number: int = 1) -> None:
        """It was to be deleted: that is no fault, and once the first host is back nobody has anything of it."""
        self.delete_at_host(number)
        self.come_back()
        self.hosts[HERE].lifecycle.delete(uuid_of(number))  # the API has left it word
        instance = self.instance(number)
        assert (instance.vm_state, instance.task_state) == (VmState.DELETED, None)
        assert self.guests(number) == {}
        assert self.disks(number) == []
        assert self.tables.claims.of(instance.uuid) == {}
        assert instance.addresses == ()
        assert self.migration(number).has_ended
        self.break_down()
