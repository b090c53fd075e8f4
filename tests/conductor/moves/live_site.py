"""A cloud around a mover: real tables, simulated hypervisors, and the nova-compute of each host without a bus."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from cloud.db.engine import Database
from cloud.db.migration_records import NewMigration
from cloud.domain.action import EventResult
from cloud.domain.expected import Expected
from cloud.domain.fixed_ip import FixedIp
from cloud.domain.flavor import Resources
from cloud.domain.instance import Instance, InstanceFault, PowerState, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.domain.service import ServiceReport
from cloud.errors import ComputeError, InstanceNotFoundError, InstanceStateError
from cloud.logs.emit import request_context
from cloud.services.compute.builds import Builds
from cloud.services.compute.live_migrations import LiveMigrations, TransferModes
from cloud.services.compute.locks import KeyLocks
from cloud.services.compute.work import Host
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.live import LiveCompute, LiveSteps
from cloud.services.conductor.moves.mover import Mover
from cloud.services.conductor.moves.patience import Patience
from cloud.services.conductor.moves.transfer import Transferring
from cloud.services.conductor.tables import Tables
from cloud.virt.driver import VirtError
from cloud.virt.machine import HostResources
from cloud.virt.moving import Transfer, TransferPhase
from cloud.virt.simulated.driver import SimulatedDriver
from cloud.virt.simulated.host import HostSettings, HostSize
from cloud.virt.simulated.knobs import Knobs, KnobSettings
from tests.compute.records import TableRecords
from tests.conductor.moves.saved import Saved
from tests.conductor.site import HOSTS, ROOM, Calls, Network, Scheduler
from tests.db.conftest import Clock
from tests.db.making import NO_QUOTA, compute_node, new_instance, uuid_of

SOURCE = HOSTS[0]
REQUEST_ID = "req-5d0f3a52-0d5c-4f1e-9a3b-6a0a6c7e1f10"
ACTION = "live-migration"
EVENT = "conductor_live_migrate_instance"
PATIENCE = Patience(transfer_s=600.0, silence_s=60.0)
FAST_MB_PER_S = 1_000_000.0
WAIT_S = 20.0

_MACHINE = HostResources(vcpus=16, memory_mb=64000, free_memory_mb=64000, disk_gb=1000, free_disk_gb=1000)


class Gate(Knobs):
    """The knobs of one host, at which every transfer of memory stands until it is let go, or aborted."""

    def __init__(self, file: Path) -> None:
        super().__init__(KnobSettings(), file, wait_s=lambda _seconds: None, chance=lambda: 0.5)
        self._gates: dict[str, threading.Event] = {}

    def turn(self, step: str, uuid: str | None = None, *, until: threading.Event | None = None) -> None:
        if step == "transfer.memory" and uuid is not None:
            gate = self._gate(uuid)
            while not gate.wait(0.002) and not (until is not None and until.is_set()):
                pass
            gate.clear()
        super().turn(step, uuid, until=until)

    def let_go(self, uuid: str) -> None:
        self._gate(uuid).set()

    def _gate(self, uuid: str) -> threading.Event:
        return self._gates.setdefault(uuid, threading.Event())


@dataclass
class Hypervisor:
    """Of one host, and what nova-compute there does with it."""

    name: str
    directory: Path
    knobs: Gate
    driver: SimulatedDriver
    host: Host
    live: LiveMigrations
    builds: Builds

    def states(self, uuid: str) -> PowerState | None:
        return self.driver.instances().get(uuid)

    def left_of(self, uuid: str) -> list[str]:
        """Whatever lies around of an instance, beside what its guest has."""
        found = [path for path in self.directory.rglob("*") if uuid in path.name]
        names = sorted(str(path.relative_to(self.directory)) for path in found)
        return [name for name in names if name != f"instances/{uuid}"]


@dataclass
class Compute:
    """The nova-compute of each host; `silent` has those that do not answer."""

    hosts: Mapping[str, Hypervisor]
    silent: set[str] = field(default_factory=set)
    deaf: set[str] = field(default_factory=set)
    """Those that abort nothing."""

    def check_live_source(self, host: str, uuid: str, *, block: bool | None) -> Mapping[str, Any]:
        return self._at(host).live.check_source(uuid, block=block)

    def check_live_destination(
        self, host: str, uuid: str, *, block: bool | None, disk_over_commit: bool, source: Mapping[str, Any]
    ) -> bool:
        live = self._at(host).live
        return live.check_destination(uuid, block=block, disk_over_commit=disk_over_commit, source=source)

    def prepare_live_arrival(
        self, host: str, uuid: str, fixed_ips: Sequence[FixedIp], *, block: bool
    ) -> Mapping[str, Any]:
        return self._at(host).live.prepare_arrival(uuid, fixed_ips, block=block)

    def start_live_transfer(self, host: str, uuid: str, destination: Mapping[str, Any], *, block: bool) -> bool:
        return self._at(host).live.start_transfer(uuid, destination, block=block)

    def live_transfer(self, host: str, uuid: str) -> Transfer:
        return Transfer.from_dict(self._at(host).live.transfer(uuid).as_dict())

    def abort_live_transfer(self, host: str, uuid: str) -> None:
        if host not in self.deaf:
            self._at(host).live.abort_transfer(uuid)

    def force_live_transfer(self, host: str, uuid: str) -> None:
        self._at(host).live.force_transfer(uuid)

    def complete_live_arrival(self, host: str, uuid: str, fixed_ips: Sequence[FixedIp]) -> PowerState:
        return self._at(host).live.complete_arrival(uuid, fixed_ips)

    def cancel_live_arrival(self, host: str, uuid: str) -> None:
        self._at(host).live.cancel_arrival(uuid)

    def clear_departed(self, host: str, uuid: str, *, keeps_disk: bool) -> None:
        self._at(host).live.clear_departed(uuid, keeps_disk=keeps_disk)

    def guest_state(self, host: str, uuid: str) -> PowerState | None:
        return self._at(host).live.guest_state(uuid)

    def destroy(self, host: str, uuid: str) -> None:
        self._at(host).builds.destroy(uuid)

    def _at(self, host: str) -> Hypervisor:
        if host in self.silent:
            raise ComputeError(f"cannot call nova-compute on {host}: no reply in 10 s")
        return self.hosts[host]


class LiveSite:
    """Three hosts with room, instances that run on the first of them, and movers."""

    def __init__(self, directory: Path, database: Database, clock: Clock, *, is_shared: bool = False) -> None:
        self.directory = directory
        self.clock = clock
        self.database = database
        self.tables = Tables.of(database, clock, down_after_s=60)
        self.is_shared = is_shared
        self.hosts = {name: self._hypervisor(directory, name) for name in HOSTS}
        for host in HOSTS:
            self.report(host, ROOM)
        self.scheduler = Scheduler(self.tables)
        self.network = Network(self.tables)
        self.compute = Compute(self.hosts)
        self.calls = Calls()
        self.waited_s: list[float] = []
        self.on_wait: Callable[[], None] = self.let_all_go

    def with_shared_disks(self) -> "LiveSite":
        """The same hosts, but that their disks are in one place."""
        return LiveSite(self.directory / "sharing", self.database, self.clock, is_shared=True)

    def report(self, host: str, room: Resources = ROOM) -> None:
        """Its nova-compute and nova-network are up, and it has so much room."""
        self.tables.compute_nodes.report(compute_node(host, room))
        for role in ("compute", "network"):
            self.tables.services.report(ServiceReport(host, f"nova-{role}", role, "nova"))

    def save(self) -> Callable[[], None]:
        """What it gives makes all as it is now, each time, and starts each nova-compute again.

        Of instance 1 there may be transfers by then, of others not.
        """
        saved, now = Saved(self.database, self.directory), self.clock.now

        def go_back() -> None:
            self.end_transfers()
            saved.restore()
            self.clock.now = now
            self.waited_s.clear()
            for name in HOSTS:
                self.hosts[name] = self._hypervisor(self.directory, name)

        return go_back

    def mover(self, calls: Calls | None = None, *, patience: Patience = PATIENCE) -> Mover:
        """A conductor's; what it asks of others goes by `calls`, if given."""
        tables, compute, scheduler = self.tables, self.compute, self.scheduler
        if calls is not None:
            watch = calls.watch
            tables = Tables(**{each.name: watch(each.name, getattr(tables, each.name)) for each in fields(Tables)})
            compute, scheduler = watch("compute", compute), watch("scheduler", scheduler)
        journal = Journal(tables, wait=self.wait)
        asked = cast("LiveCompute", compute)
        transferring = Transferring(asked, journal, patience, self.clock, wait=self.wait, clock_s=self.clock_s)
        kind = LiveSteps(tables, scheduler, asked, journal, transferring).kind
        return Mover(tables, journal, [kind], self.clock, wait=self.wait)

    def clock_s(self) -> float:
        """Seconds that movers have waited, as they were told."""
        return sum(self.waited_s)

    def wait(self, seconds: float) -> None:
        self.waited_s.append(seconds)
        self.on_wait()

    def let_all_go(self) -> None:
        """Transfers that stand at the gate come to their ends."""
        for hypervisor in self.hosts.values():
            for uuid in hypervisor.driver.instances():
                with suppress(VirtError):
                    if hypervisor.driver.transfer(uuid).phase is TransferPhase.RUNNING:
                        hypervisor.knobs.let_go(uuid)
                        self.until_over(hypervisor.name, uuid)

    def until_over(self, host: str, uuid: str) -> None:
        """Wait for a transfer to end."""
        pause = threading.Event()
        for _ in range(round(WAIT_S / 0.001)):
            if self.hosts[host].driver.transfer(uuid).phase is not TransferPhase.RUNNING:
                return
            pause.wait(0.001)
        raise AssertionError(f"the transfer of {uuid} does not end")

    def gate(self, host: str) -> Gate:
        return self.hosts[host].knobs

    def pause(self, seconds: float) -> None:
        """Let hypervisors work, whose time is not ours."""
        threading.Event().wait(seconds)

    def set_modes(self, *, is_live: bool) -> None:
        """What nova.conf of every host says from now on."""
        for name, hypervisor in self.hosts.items():
            modes = TransferModes(is_live=is_live, is_block_live=is_live)
            self.hosts[name] = replace(hypervisor, live=LiveMigrations(hypervisor.host, modes))

    def turn(self, host: str, *, dirty_mb_per_s: float | None = None, **knobs: Any) -> None:
        """Turn the knobs of a host; without any, turn all back. Every instance there dirties its memory so fast."""
        knobs = {"transfer_mb_per_s": FAST_MB_PER_S, **knobs}
        lines = [f"{name} = {value!r}" for name, value in knobs.items()]
        if dirty_mb_per_s is not None:
            lines += [
                "[dirty_mb_per_s]",
                *(f'"{uuid}" = {dirty_mb_per_s}' for uuid in self.hosts[host].driver.instances()),
            ]
        file = self.hosts[host].directory / "knobs.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")

    def start_again(self, host: str) -> None:
        """Its nova-compute is killed, and a new one finds what there is."""
        old = self.hosts[host]
        self.hosts[host] = self._hypervisor(old.directory.parents[1], host)

    def run(self, number: int = 1, *, host: str = SOURCE, **changes: Any) -> Instance:
        """An instance that was built there and runs, with a claim and an address."""
        (instance,) = self.tables.instances.create([new_instance(number)], NO_QUOTA)
        self.tables.instances.update(instance.uuid, {"host": host, "node": f"{host}.example.org"})
        self.tables.claims.claim(instance.uuid, host, instance.flavor.resources, ROOM)
        address = self.network.allocate_for_instance(host, instance.uuid)
        self.hosts[host].driver.spawn(instance, None, [address], lambda _percent: None)
        active = {"vm_state": VmState.ACTIVE, "task_state": None, "power_state": PowerState.RUNNING}
        return self.tables.instances.update(instance.uuid, {**active, "launched_at": self.clock(), **changes})

    def enter(self, number: int = 1, **options: Any) -> Migration:
        """What the API does for a live migration of a new instance."""
        return self.ask(self.run(number), **options)

    def ask(self, instance: Instance, **options: Any) -> Migration:
        """The same for one that runs."""
        assert instance.host is not None
        with request_context(request_id=REQUEST_ID):
            self.tables.actions.start(instance.uuid, ACTION)
        migration, _ = self.tables.migrations.begin(
            NewMigration(
                instance_uuid=instance.uuid,
                type=MigrationType.LIVE,
                request_id=REQUEST_ID,
                source_compute=instance.host,
                source_node=instance.node,
                old_flavor=instance.flavor,
                new_flavor=instance.flavor,
                old_vm_state=instance.vm_state,
                options=options,
                dest_compute=options.get("host"),
            ),
            {"task_state": TaskState.MIGRATING},
            Expected((VmState.ACTIVE, VmState.PAUSED), (None,), instance.host),
        )
        return migration

    def move(self, migration: Migration, mover: Mover | None = None) -> None:
        """As it comes off the bus."""
        with request_context(request_id=REQUEST_ID):
            (mover or self.mover(self.calls)).move(migration.id)

    def abort(self, migration: Migration) -> None:
        """What the API does when an admin gives it up; MigrationStateError when it is too late."""
        self.tables.migrations.want_abort(migration.id)

    def delete(self, uuid: str, *, hears: bool) -> None:
        """What the API does when a user deletes it; without `hears` the cast gets lost."""
        instance = self.tables.instances.get(uuid)
        seen = Expected((instance.vm_state,), (instance.task_state,), instance.host)
        self.tables.instances.update(uuid, {"task_state": TaskState.DELETING}, expected=seen)
        if hears:
            self.finish_deletion(uuid)

    def finish_deletion(self, uuid: str) -> None:
        """What comes of that at the host that has it."""
        instance = self.tables.instances.get(uuid)
        assert instance.host is not None
        self.hosts[instance.host].driver.destroy(uuid)
        with suppress(InstanceNotFoundError, InstanceStateError):
            expected = Expected(task_states=(TaskState.DELETING,), host=instance.host)
            self.tables.instances.delete(uuid, expected=expected)

    def instance(self, number: int = 1) -> Instance:
        """Also one that is deleted."""
        return self.tables.instances.get(uuid_of(number), deleted=True)

    def migration(self, number: int = 1) -> Migration:
        """The last one of the instance."""
        found = self.tables.migrations.newest(uuid_of(number))
        assert found is not None
        return found

    def fault(self, number: int = 1) -> InstanceFault | None:
        return self.tables.instances.faults([uuid_of(number)]).get(uuid_of(number))

    def guests(self, number: int = 1) -> dict[str, PowerState]:
        """What each hypervisor that has it says of the instance."""
        uuid = uuid_of(number)
        states = {host: hypervisor.states(uuid) for host, hypervisor in self.hosts.items()}
        return {host: state for host, state in states.items() if state is not None}

    def claims(self, number: int = 1) -> list[str]:
        return sorted(self.tables.claims.of(uuid_of(number)))

    def leftovers(self, number: int = 1) -> dict[str, list[str]]:
        """By host, what lies around of the instance beside its guest."""
        left = {host: hypervisor.left_of(uuid_of(number)) for host, hypervisor in self.hosts.items()}
        return {host: names for host, names in left.items() if names}

    def result(self, number: int = 1) -> tuple[EventResult | None, str | None]:
        """Of the action's event, which each mover has begun, and the message of the action, which is over."""
        action = self.tables.actions.get(uuid_of(number), REQUEST_ID)
        assert action.finished_at is not None
        (result,) = {each.result for each in action.events if each.event == EVENT}
        return result, action.message

    def assert_at(self, host: str, number: int = 1, *, power_state: PowerState = PowerState.RUNNING) -> None:
        """There and nowhere else, with all that belongs to it, and nothing lies around."""
        instance = self.instance(number)
        assert self.guests(number) == {host: power_state}
        assert (instance.host, instance.node) == (host, f"{host}.example.org")
        assert (instance.task_state, instance.power_state) == (None, power_state)
        assert self.claims(number) == [host]
        assert len(instance.addresses) == 1
        assert self.leftovers(number) == {}

    def assert_moved(self, number: int = 1, *, vm_state: VmState = VmState.ACTIVE) -> None:
        """To its destination, and all say so."""
        migration = self.migration(number)
        assert migration.dest_compute is not None
        assert migration.dest_compute != migration.source_compute
        assert (migration.status, migration.error) == (MigrationStatus.COMPLETED, None)
        assert migration.is_handed_over
        assert (migration.progress, migration.memory_remaining_bytes) == (100, 0)
        assert self.instance(number).vm_state is vm_state
        paused = vm_state is VmState.PAUSED
        power_state = PowerState.PAUSED if paused else PowerState.RUNNING
        self.assert_at(migration.dest_compute, number, power_state=power_state)
        assert self.result(number) == (EventResult.SUCCESS, None)
        assert self.fault(number) is None

    def assert_stayed(self, number: int = 1, *, status: MigrationStatus = MigrationStatus.FAILED) -> Migration:
        """At its source as if nothing had been, and its records say why; the migration."""
        migration = self.migration(number)
        self.assert_at(SOURCE, number)
        assert self.instance(number).vm_state is VmState.ACTIVE
        assert migration.status is status
        assert not migration.is_handed_over
        assert migration.error is not None
        assert self.result(number) == (EventResult.ERROR, "Error")
        assert (self.fault(number) is None) == (status is MigrationStatus.CANCELLED)
        return migration

    def assert_deleted(self, number: int = 1) -> None:
        """Nothing of it is left anywhere, and the migration has ended."""
        instance = self.instance(number)
        assert (instance.vm_state, instance.task_state) == (VmState.DELETED, None)
        assert (self.guests(number), self.claims(number), self.leftovers(number)) == ({}, [], {})
        assert self.migration(number).has_ended

    def end_transfers(self, number: int = 1) -> None:
        """Of the instance, on every host."""
        for hypervisor in self.hosts.values():
            hypervisor.driver.abort_transfer(uuid_of(number))
            with suppress(VirtError):
                self.until_over(hypervisor.name, uuid_of(number))

    def clear_away(self, number: int) -> None:
        """An instance with all that it has."""
        uuid = uuid_of(number)
        self.end_transfers(number)
        for hypervisor in self.hosts.values():
            hypervisor.driver.destroy(uuid)
        with suppress(InstanceNotFoundError):
            self.tables.instances.delete(uuid)

    def _hypervisor(self, directory: Path, name: str) -> Hypervisor:
        place = directory / name / "simulated"
        knobs = Gate(place / "knobs.toml")
        shared = directory / "shared" if self.is_shared else None
        driver = SimulatedDriver(
            place,
            knobs,
            size=HostSize(disk_gb=1000),
            read_machine=lambda: _MACHINE,
            now=cast("Callable[[], datetime]", self.clock),
            settings=HostSettings(shared_disks=shared, transfer_mb_per_s=FAST_MB_PER_S),
        )
        records = TableRecords(self.database, self.clock, name)
        host = Host(name, driver, records, KeyLocks(wait_s=10.0))
        modes = TransferModes(is_live=True, is_block_live=True)
        builds = Builds(host, cast("Any", None), cast("Any", None))
        return Hypervisor(name, place, knobs, driver, host, LiveMigrations(host, modes), builds)
