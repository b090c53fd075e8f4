"""The database of a cloud, and in the place of its services what they would do to it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from cloud.db.engine import Database
from cloud.db.migration_records import NewMigration
from cloud.doctor.bounds import Bounds
from cloud.doctor.doctor import Diagnosis, Doctor
from cloud.doctor.finding import Finding, Kind
from cloud.doctor.remedy import Means
from cloud.doctor.surveyor import Surveyor
from cloud.domain.expected import ANY
from cloud.domain.flavor import Resources
from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.domain.service import ServiceReport
from cloud.errors import CloudError, ComputeError, InstanceStateError
from cloud.rpc.errors import NoSuchMethodError
from cloud.services.conductor.tables import Tables
from cloud.virt.keeping import KeptCopy
from tests.db.conftest import Clock
from tests.db.making import NO_QUOTA, SMALL, compute_node, new_instance, uuid_of

LIMITS = Resources(99999, 99999, 99999)
NETWORK = ("private", "10.0.0.0/24")
HOSTS = ("a", "b", "c")


class FakeCompute:
    """nova-compute of all hosts: what they have, and what they were asked for."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.guests: dict[str, dict[str, PowerState]] = {host: {} for host in HOSTS}
        self.copies: dict[str, list[KeptCopy]] = {host: [] for host in HOSTS}
        self.keep_no_copies: set[str] = set()
        """Hosts of an earlier version."""
        self.failures: dict[str, Exception] = {}
        """By host, of whatever is asked of it."""
        self.asked: list[tuple[str, ...]] = []
        self.after_listing: Callable[[str], None] = lambda _host: None

    def list_guests(self, host: str, *, timeout_s: float) -> Mapping[str, PowerState]:
        assert timeout_s == 10.0
        self._fail(host)
        listed = dict(self.guests[host])
        self.after_listing(host)
        return listed

    def list_kept_copies(self, host: str, *, timeout_s: float) -> Sequence[KeptCopy]:
        assert timeout_s == 10.0
        self._fail(host)
        if host in self.keep_no_copies:
            raise NoSuchMethodError(f"nova-compute on {host} has no method list_kept_copies")
        return list(self.copies[host])

    def guest_state(self, host: str, uuid: str) -> PowerState | None:
        self._fail(host)
        return self.guests[host].get(uuid)

    def give_up_guest(self, host: str, uuid: str) -> None:
        self._ask("give_up_guest", host, uuid)
        if self._tables.instances.get(uuid).host == host:
            raise InstanceStateError(f"cannot give up instance {uuid} on {host}")
        self.guests[host][uuid] = PowerState.SHUTDOWN

    def clear_departed(self, host: str, uuid: str, *, keeps_disk: bool) -> None:
        self._ask("clear_departed", host, uuid, f"{keeps_disk=}")
        if self.guests[host].get(uuid) is PowerState.RUNNING:
            raise ComputeError("it runs here")
        self.guests[host].pop(uuid, None)

    def destroy(self, host: str, uuid: str) -> None:
        self._ask("destroy", host, uuid)
        self.guests[host].pop(uuid, None)

    def keep_guest(self, host: str, uuid: str) -> None:
        self._ask("keep_guest", host, uuid)
        del self.guests[host][uuid]

    def remove_kept_copy(self, host: str, uuid: str, name: str, *, keeps_disk: bool) -> None:
        self._ask("remove_kept_copy", host, uuid, name, f"{keeps_disk=}")
        self.copies[host] = [copy for copy in self.copies[host] if copy.name != name]

    def reboot_instance(self, host: str, uuid: str, reboot_type: str) -> None:
        self._ask("reboot_instance", host, uuid, reboot_type)
        self._settle(host, uuid, PowerState.RUNNING, VmState.ACTIVE)

    def stop_instance(self, host: str, uuid: str) -> None:
        self._ask("stop_instance", host, uuid)
        self._settle(host, uuid, PowerState.SHUTDOWN, VmState.STOPPED)

    def start_instance(self, host: str, uuid: str) -> None:
        self._ask("start_instance", host, uuid)
        self._settle(host, uuid, PowerState.RUNNING, VmState.ACTIVE)

    def delete_instance(self, host: str, uuid: str) -> None:
        self._ask("delete_instance", host, uuid)
        self.guests[host].pop(uuid, None)
        self._tables.instances.delete(uuid)

    def _settle(self, host: str, uuid: str, state: PowerState, vm_state: VmState) -> None:
        self.guests[host][uuid] = state
        self._tables.instances.update(uuid, {"vm_state": vm_state, "task_state": None})

    def _ask(self, *asked: str) -> None:
        self.asked.append(asked)
        self._fail(asked[1])

    def _fail(self, host: str) -> None:
        if host in self.failures:
            raise self.failures[host]


class FakeConductor:
    """nova-conductor, which ends what it is told of."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.asked: list[tuple[object, ...]] = []

    def end_overdue_build(self, uuid: str) -> None:
        self.asked.append(("end_overdue_build", uuid))
        self._tables.instances.update(uuid, {"vm_state": VmState.ERROR, "task_state": None, "host": None})

    def move_instance(self, migration_id: int) -> None:
        self.asked.append(("move_instance", migration_id))
        self._tables.migrations.end(
            migration_id, MigrationStatus.COMPLETED, instance_changes={"task_state": None}, expected=ANY
        )


@dataclass
class Told:
    """What a test looks at of a finding."""

    kind: Kind
    number: int
    host: str | None
    is_mendable: bool = True


class Site:
    """A cloud in which all is in its place, until a test changes something."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.clock = clock
        self.tables = Tables.of(database, clock, down_after_s=60)
        self.compute = FakeCompute(self.tables)
        self.conductor = FakeConductor(self.tables)
        self.waited: list[float] = []
        self.between_looks: Callable[[], None] = lambda: None
        self.bounds = Bounds()
        for host in HOSTS:
            self.tables.compute_nodes.report(compute_node(host))
        self.report()

    def report(self, *hosts: str) -> None:
        for host in hosts or HOSTS:
            self.tables.services.report(ServiceReport(host, "nova-compute", "compute", "nova"))

    def run(self, number: int, host: str = "a", **changes: Any) -> Instance:
        """An instance that runs there, with all that belongs to it."""
        self.tables.instances.create([new_instance(number)], NO_QUOTA)
        values = {
            "host": host,
            "node": f"{host}.example.org",
            "vm_state": VmState.ACTIVE,
            "task_state": None,
            "power_state": PowerState.RUNNING,
            "launched_at": self.clock.now,
        }
        instance = self.tables.instances.update(uuid_of(number), values | changes)
        self.tables.claims.claim(instance.uuid, host, SMALL.resources, LIMITS)
        self.tables.fixed_ips.allocate(instance.uuid, *NETWORK)
        self.compute.guests[host][instance.uuid] = PowerState.RUNNING
        return instance

    def begin(self, number: int, **changes: Any) -> Migration:
        """A live migration of it from a to b."""
        values: dict[str, Any] = {
            "instance_uuid": uuid_of(number),
            "type": MigrationType.LIVE,
            "request_id": None,
            "source_compute": "a",
            "source_node": "a.example.org",
            "dest_compute": "b",
            "old_flavor": SMALL,
            "new_flavor": SMALL,
            "old_vm_state": VmState.ACTIVE,
        }
        new = NewMigration(**values | changes)
        return self.tables.migrations.begin(new, {"task_state": TaskState.MIGRATING}, ANY)[0]

    def set(self, number: int, **changes: Any) -> Instance:
        return self.tables.instances.update(uuid_of(number), changes)

    def keep(self, number: int, host: str, *, is_for_revert: bool = False) -> KeptCopy:
        """A copy of it that the host has since now."""
        name = uuid_of(number) if is_for_revert else f"{uuid_of(number)}.20141016T120000000000Z"
        copy = KeptCopy(uuid_of(number), name, 20 << 30, self.clock.now, is_for_revert)
        self.compute.copies[host].append(copy)
        return copy

    def store(self, **storages: str) -> None:
        """Have hosts say which storage they have."""
        for host, storage_id in storages.items():
            self.tables.compute_nodes.report(replace(compute_node(host), storage_id=storage_id))

    def age(self, **span: float) -> None:
        """Let so much time pass, in which hosts report."""
        self.clock.now += timedelta(**span)
        self.report()

    def doctor(self) -> Doctor:
        tables = self.tables
        means = Means(
            tables.instances,
            tables.claims,
            tables.fixed_ips,
            tables.migrations,
            tables.actions,
            self.compute,
            self.conductor,
        )
        return Doctor(Surveyor(tables, self.compute, self.clock), means, self.bounds, wait=self._wait)

    def look(self) -> Diagnosis:
        return self.doctor().look()

    def found(self) -> list[Told]:
        return [_told(finding) for finding in self.look().findings]

    def only(self) -> Finding:
        (finding,) = self.look().findings
        return finding

    def mend(self) -> list[CloudError]:
        """All that is found; what failed."""
        failures = []
        doctor = self.doctor()
        for finding in doctor.look().findings:
            try:
                doctor.mend(finding)
            except CloudError as exc:
                failures.append(exc)
        return failures

    def _wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.between_looks()


def _told(finding: Finding) -> Told:
    return Told(finding.kind, int(finding.instance.replace("-", ""), 16), finding.host, finding.remedy is not None)


LARGE = replace(SMALL, id=4, flavorid="4", name="m1.large", memory_mb=8192, vcpus=4, root_gb=80)
