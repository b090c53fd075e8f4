"""A cloud around a conductor: real tables, and hosts and a scheduler that do as they are told."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any

from cloud.db.engine import Database
from cloud.domain.expected import Expected
from cloud.domain.fixed_ip import FixedIp
from cloud.domain.flavor import Resources
from cloud.domain.host import BuildRequest, Candidate
from cloud.domain.instance import Instance, InstanceFault, PowerState, TaskState, VmState
from cloud.errors import InstanceNotFoundError, InstanceStateError, NoValidHostError
from cloud.logs.emit import request_context
from cloud.services.conductor.addresses import AddressMethods
from cloud.services.conductor.build import BuildSteps, Services
from cloud.services.conductor.builder import Builder, BuildLimits
from cloud.services.conductor.tables import Tables
from cloud.services.network import options as configured
from tests.db.conftest import Clock
from tests.db.making import NO_QUOTA, SMALL, compute_node, new_instance, uuid_of

HOSTS = ("compute-01", "compute-02", "compute-03")
IMAGE = "70a599e0-31e7-49b7-b260-868f441e862b"
ROOM = Resources(4 * SMALL.memory_mb, 100, 1000)
"""Of one host: four small instances."""
CIDR = "10.0.0.0/24"
REQUEST_ID = "req-c8a7f0cd-6fb0-4a4a-8a3a-1d4f9e8f3c7b"

Point = tuple[int, str, str]
"""The number of a call, its name, and `before` or `after`."""


class Killed(BaseException):
    """The process is gone: nothing catches it, and nothing is tidied up."""


class Calls:
    """Counts what a conductor asks of tables and services, and lets a test step in between."""

    def __init__(self) -> None:
        self.reached: list[Point] = []
        self._begun = 0
        self.steps_in: list[Callable[[Point], None]] = []

    def begin(self, *steps_in: Callable[[Point], None]) -> None:
        """Count from 0, and step in so from now on."""
        self.reached.clear()
        self._begun = 0
        self.steps_in = list(steps_in)

    def watch(self, name: str, target: Any) -> Any:
        """`target`, whose calls go by here."""
        return _Watched(self, name, target)

    def call(self, name: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        number = self._begun
        self._begun += 1
        self._pass((number, name, "before"))
        result = method(*args, **kwargs)
        self._pass((number, name, "after"))
        return result

    def made(self, name: str | None = None) -> int:
        """How many calls, of that name if given."""
        return sum(when == "before" and name in (None, called) for _, called, when in self.reached)

    def _pass(self, point: Point) -> None:
        self.reached.append(point)
        for step_in in self.steps_in:
            step_in(point)


class _Watched:
    def __init__(self, calls: Calls, name: str, target: object) -> None:
        self._calls = calls
        self._name = name
        self._target = target

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        return lambda *args, **kwargs: self._calls.call(f"{self._name}.{name}", method, *args, **kwargs)


class Scheduler:
    """Every host that has memory left and is not to be left out, the emptiest first."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.asked: list[BuildRequest] = []
        self.forgets = False
        """Which hosts are to be left out."""

    def select_hosts(self, request: BuildRequest) -> Sequence[Candidate]:
        self.asked.append(request)
        ignored = () if self.forgets else request.ignored_hosts
        nodes = [state.node for state in self._tables.compute_nodes.states()]
        asked = request.forced_host or request.requested_host
        nodes = [node for node in nodes if asked in (None, node.host)]
        left = {node.host: node.total.memory_mb - node.used.memory_mb for node in nodes}
        fitting = [node for node in nodes if left[node.host] >= request.flavor.memory_mb and node.host not in ignored]
        if not fitting:
            raise NoValidHostError(f"no valid host: {len(nodes)} hosts; RamFilter {len(nodes)} -> 0")
        fitting.sort(key=lambda node: -left[node.host])
        return [Candidate(node.host, node.node, node.total, float(left[node.host])) for node in fitting]


class Addresses(AddressMethods):
    """What a nova-network asks of a conductor."""

    def __init__(self, tables: Tables, network: configured.Network | None = None) -> None:
        self._tables = tables
        self._network = network or configured.Network("private", CIDR)


class Network:
    """A nova-network on each host."""

    def __init__(self, tables: Tables) -> None:
        self._addresses = Addresses(tables)

    def allocate_for_instance(self, host: str, uuid: str) -> FixedIp:
        return FixedIp.from_dict(self._addresses.allocate_fixed_ip(uuid, host, "private", CIDR))

    def deallocate_for_instance(self, host: str, uuid: str) -> None:
        self._addresses.release_fixed_ip(uuid, host)


class Compute:
    """A nova-compute on each host, which looks up what it is to build, as the real one does."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._lock = threading.Lock()
        self.guests: set[tuple[str, str]] = set()
        self.images: set[tuple[str, str]] = set()
        self.addresses: dict[str, Sequence[FixedIp]] = {}

    def prepare_image(self, host: str, image_id: str) -> None:
        self.images.add((host, image_id))

    def spawn(self, host: str, instance: Instance, fixed_ips: Sequence[FixedIp]) -> PowerState:
        with self._lock:
            found = self._tables.instances.get(instance.uuid)
            if (
                found.vm_state is not VmState.BUILDING
                or found.host != host
                or found.task_state is not TaskState.SPAWNING
            ):
                raise InstanceStateError(f"cannot spawn instance {instance.uuid} on {host}: it is not wanted there")
            self.guests.add((host, instance.uuid))
            self.addresses[instance.uuid] = fixed_ips
        return PowerState.RUNNING

    def destroy(self, host: str, uuid: str) -> None:
        with self._lock:
            found = self._tables.instances.get(uuid, deleted=True)
            is_in_use = found.host == host and found.vm_state is VmState.ACTIVE
            if is_in_use and found.task_state is not TaskState.DELETING:
                raise InstanceStateError(f"cannot destroy instance {uuid}: its vm_state is {found.vm_state}")
            self.guests.discard((host, uuid))

    def delete(self, host: str, uuid: str) -> None:
        """What comes of the API's cast."""
        self.destroy(host, uuid)
        try:
            self._tables.instances.delete(uuid, expected=Expected(task_states=(TaskState.DELETING,)))
        except (InstanceNotFoundError, InstanceStateError):
            return


class Site:
    """Hosts with room, and conductors for them."""

    def __init__(self, database: Database, clock: Clock, hosts: Sequence[str] = HOSTS, room: Resources = ROOM) -> None:
        self.clock = clock
        self.tables = Tables.of(database, clock, down_after_s=60)
        for host in hosts:
            self.tables.compute_nodes.report(compute_node(host, room))
        self.scheduler = Scheduler(self.tables)
        self.network = Network(self.tables)
        self.compute = Compute(self.tables)
        self.calls = Calls()
        self.waited_s: list[float] = []

    def builder(self, calls: Calls | None = None, **limits: Any) -> Builder:
        """A conductor's; what it asks of others goes by `calls`, if given."""
        tables, services = self.tables, Services(self.scheduler, self.network, self.compute)
        if calls is not None:
            watch = calls.watch
            tables = Tables(**{each.name: watch(each.name, getattr(tables, each.name)) for each in fields(Tables)})
            services = Services(
                watch("scheduler", self.scheduler), watch("network", self.network), watch("compute", self.compute)
            )
        steps = BuildSteps(tables, services, self.clock)
        return Builder(tables, steps, BuildLimits(**limits), self.clock, wait=self.waited_s.append)

    def enter(self, number: int = 1) -> BuildRequest:
        """What the API does for a new instance: the request that it casts."""
        (instance,) = self.tables.instances.create([new_instance(number, image_id=IMAGE)], NO_QUOTA)
        with request_context(request_id=REQUEST_ID):
            self.tables.actions.start(instance.uuid, "create")
        return BuildRequest(instance.uuid, instance.project_id, instance.flavor, instance.image_id)

    def build(self, request: BuildRequest, builder: Builder | None = None) -> None:
        """As it comes off the bus."""
        with request_context(request_id=REQUEST_ID):
            (builder or self.builder(self.calls)).build(request)

    def delete(self, uuid: str, *, hears: bool) -> None:
        """What the API does when a user deletes it; without `hears` the cast gets lost."""
        instance = self.tables.instances.get(uuid)
        seen = Expected((instance.vm_state,), (instance.task_state,), instance.host)
        if instance.host is None:
            self.tables.instances.delete(uuid, expected=seen)
            return
        self.tables.instances.update(uuid, {"task_state": TaskState.DELETING}, expected=seen)
        if hears:
            self.compute.delete(instance.host, uuid)

    def instance(self, number: int = 1) -> Instance:
        """Also one that is deleted."""
        return self.tables.instances.get(uuid_of(number), deleted=True)

    def fault(self, number: int = 1) -> InstanceFault | None:
        return self.tables.instances.faults([uuid_of(number)]).get(uuid_of(number))

    def left(self, number: int = 1) -> tuple[list[str], list[str], int]:
        """Hosts where there is a guest, hosts where something is claimed, and how many addresses there are."""
        uuid = uuid_of(number)
        guests = sorted(host for host, guest in self.compute.guests if guest == uuid)
        return guests, sorted(self.tables.claims.of(uuid)), len(self.tables.fixed_ips.of([uuid]).get(uuid, ()))

    def assert_active(self, number: int = 1) -> None:
        """With all that belongs to it, once."""
        instance = self.instance(number)
        assert (instance.vm_state, instance.task_state) == (VmState.ACTIVE, None)
        assert instance.power_state is PowerState.RUNNING
        assert instance.host is not None
        assert self.left(number) == ([instance.host], [instance.host], 1)
        assert len(instance.addresses) == 1

    def assert_in_error(self, number: int = 1) -> InstanceFault:
        """With nothing left of it; its fault."""
        instance = self.instance(number)
        assert (instance.vm_state, instance.task_state) == (VmState.ERROR, None)
        assert (instance.host, instance.node, instance.power_state) == (None, None, PowerState.NOSTATE)
        assert self.left(number) == ([], [], 0)
        fault = self.fault(number)
        assert fault is not None
        assert fault.code == 500
        return fault

    def assert_deleted(self, number: int = 1) -> None:
        """With nothing left of it, and no fault: it was wanted so."""
        instance = self.instance(number)
        assert (instance.vm_state, instance.task_state) == (VmState.DELETED, None)
        assert self.left(number) == ([], [], 0)
        assert self.fault(number) is None

    def clear_away(self, number: int) -> None:
        """An instance with all that it has."""
        uuid = uuid_of(number)
        with suppress(InstanceNotFoundError):
            self.tables.instances.delete(uuid)
        self.compute.guests = {guest for guest in self.compute.guests if guest[1] != uuid}


def at(point: Point, act: Callable[[], None]) -> Callable[[Point], None]:
    """Let `act` happen there, once."""
    done: list[Point] = []

    def step_in(here: Point) -> None:
        if here == point and not done:
            done.append(here)
            act()

    return step_in


def first_time(name: str, when: str, act: Callable[[], None]) -> Callable[[Point], None]:
    """Let `act` happen at the first such call."""
    done: list[Point] = []

    def step_in(here: Point) -> None:
        if here[1:] == (name, when) and not done:
            done.append(here)
            act()

    return step_in


def raising(exc: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise exc

    return act
