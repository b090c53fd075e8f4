"""What a host does for instances that leave it while they run, and for those that come, on two simulated hosts."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from cloud.db.engine import Database
from cloud.domain.instance import Instance, PowerState, TaskState, VmState
from cloud.errors import ComputeError, InstanceNotFoundError, InstanceStateError
from cloud.services.compute.live_migrations import LiveMigrations, TransferModes
from cloud.services.compute.locks import KeyLocks
from cloud.services.compute.work import Host
from cloud.virt.driver import Driver
from cloud.virt.moving import TransferPhase
from cloud.virt.simulated.driver import SimulatedDriver
from cloud.virt.simulated.host import HostSettings, HostSize
from cloud.virt.simulated.knobs import Knobs, KnobSettings
from tests.compute.records import TableRecords
from tests.compute.site import ADDRESS, MACHINE, TINY, UUID
from tests.db.conftest import Clock
from tests.db.making import NO_QUOTA, new_instance
from tests.standing import Standing
from tests.waiting import wait_until

HERE, THERE = "compute-01", "compute-02"
MIGRATING = {"vm_state": VmState.ACTIVE, "task_state": TaskState.MIGRATING}


@dataclass
class Pair:
    """Two hosts, and an instance that runs on the first one."""

    directory: Path
    database: Database
    clock: Clock
    shared: Path | None
    modes: TransferModes

    def __post_init__(self) -> None:
        self.records = {name: TableRecords(self.database, self.clock, name) for name in (HERE, THERE)}
        self.drivers = {name: self._driver(name) for name in (HERE, THERE)}
        self.source, self.destination = (
            LiveMigrations(Host(name, self.drivers[name], self.records[name], KeyLocks(wait_s=10.0)), self.modes)
            for name in (HERE, THERE)
        )
        table = self.records[HERE].instances
        table.create([new_instance(1, uuid=UUID, flavor=TINY)], NO_QUOTA)
        instance = table.update(UUID, {"host": HERE, "node": HERE, **MIGRATING})
        self.drivers[HERE].spawn(instance, None, [ADDRESS], lambda _percent: None)

    def change(self, **changes: Any) -> Instance:
        return self.records[HERE].instances.update(UUID, changes)

    def prepare(self) -> tuple[dict[str, Any], bool]:
        """What comes before a transfer: what the source needs for it."""
        said = self.source.check_source(UUID, block=None)
        block = self.destination.check_destination(UUID, block=None, disk_over_commit=False, source=said)
        return dict(self.destination.prepare_arrival(UUID, [ADDRESS], block=block)), block

    def send(self) -> None:
        reach, block = self.prepare()
        self.source.start_transfer(UUID, reach, block=block)
        wait_until(lambda: self.source.transfer(UUID).phase is TransferPhase.COMPLETED)

    def turn(self, host: str, text: str) -> None:
        (self.directory / host / "knobs.toml").write_text(text)

    def _driver(self, name: str) -> SimulatedDriver:
        place = self.directory / name
        place.mkdir(exist_ok=True)
        return SimulatedDriver(
            place,
            Knobs(KnobSettings(), place / "knobs.toml", wait_s=threading.Event().wait, chance=lambda: 0.5),
            size=HostSize(),
            read_machine=lambda: MACHINE,
            now=self.clock,
            settings=HostSettings(shared_disks=self.shared, transfer_mb_per_s=100_000.0),
        )


@pytest.fixture(params=[True, False], ids=["live", "paused"])
def modes(request: pytest.FixtureRequest) -> TransferModes:
    return TransferModes(is_live=request.param, is_block_live=request.param)


@pytest.fixture
def is_shared() -> bool:
    """Whether both have their disks in one place."""
    return False


@pytest.fixture
def pair(tmp_path: Path, standing_sqlite: Standing, clock: Clock, modes: TransferModes, *, is_shared: bool) -> Pair:
    return Pair(tmp_path, standing_sqlite.restored(), clock, tmp_path / "shared" if is_shared else None, modes)


LIVE_ONLY = pytest.mark.parametrize("modes", [TransferModes(is_live=True, is_block_live=True)], ids=["live"])


@pytest.mark.parametrize("is_shared", [True, False], ids=["shared disks", "disks of their own"])
def test_it_comes_and_the_source_is_cleared(pair: Pair, modes: TransferModes, *, is_shared: bool) -> None:
    reach, block = pair.prepare()
    assert block is not is_shared
    assert pair.source.start_transfer(UUID, reach, block=block) is modes.is_live
    wait_until(lambda: pair.source.transfer(UUID).phase is TransferPhase.COMPLETED)
    assert (pair.source.guest_state(UUID), pair.destination.guest_state(UUID)) == (None, PowerState.RUNNING)
    pair.change(host=THERE, node=THERE)
    for _ in range(2):
        assert pair.destination.complete_arrival(UUID, [ADDRESS]) is PowerState.RUNNING
        pair.source.clear_departed(UUID, keeps_disk=is_shared)
    assert [path for path in (pair.directory / HERE).rglob("*") if UUID in path.name] == []
    pair.drivers[THERE].reboot(UUID, hard=True)  # it has its disk


@LIVE_ONLY
def test_each_may_be_asked_for_again(pair: Pair) -> None:
    reach, block = pair.prepare()
    assert pair.prepare() == (reach, block)
    pair.turn(HERE, 'delay = ["transfer.memory:20"]')
    for _ in range(2):
        pair.source.start_transfer(UUID, reach, block=block)
    assert pair.source.transfer(UUID).phase is TransferPhase.RUNNING
    for _ in range(2):
        pair.source.abort_transfer(UUID)
    wait_until(lambda: pair.source.transfer(UUID).phase is TransferPhase.CANCELLED)
    for _ in range(2):
        pair.destination.cancel_arrival(UUID)
    assert (pair.source.guest_state(UUID), pair.destination.guest_state(UUID)) == (PowerState.RUNNING, None)
    pair.turn(HERE, "")
    pair.send()


@LIVE_ONLY
def test_one_that_would_not_end_is_paused_for_it(pair: Pair) -> None:
    reach, block = pair.prepare()
    pair.turn(HERE, f'transfer_mb_per_s = 500\ndirty_mb_per_s = {{"{UUID}" = 900}}')
    pair.source.start_transfer(UUID, reach, block=block)
    assert not pair.source.transfer(UUID).is_paused
    pair.source.force_transfer(UUID)
    wait_until(lambda: pair.source.transfer(UUID).phase is TransferPhase.COMPLETED)


@LIVE_ONLY
@pytest.mark.parametrize(
    ("is_shared", "block", "cause"),
    [
        (True, True, "block migration is not for storage that both hosts share"),
        (False, False, "without block migration, both hosts have to share their storage"),
    ],
)
def test_what_does_not_fit_the_storage_is_refused(pair: Pair, *, block: bool, cause: str) -> None:
    said = pair.source.check_source(UUID, block=None)
    with pytest.raises(ComputeError, match=f"^cannot migrate instance {UUID} to host {THERE}: {cause}$"):
        pair.destination.check_destination(UUID, block=block, disk_over_commit=False, source=said)


AT_SOURCE: dict[str, Callable[[Pair], object]] = {
    "check_source": lambda pair: pair.source.check_source(UUID, block=None),
    "start_transfer": lambda pair: pair.source.start_transfer(UUID, {}, block=True),
}
AT_DESTINATION: dict[str, Callable[[Pair], object]] = {
    "check_destination": lambda pair: pair.destination.check_destination(
        UUID, block=None, disk_over_commit=False, source={"storage_id": "a", "hypervisor": {}}
    ),
    "prepare_arrival": lambda pair: pair.destination.prepare_arrival(UUID, [ADDRESS], block=True),
}
WHEN_IT_IS_THERE: dict[str, Callable[[Pair], object]] = {
    "cancel_arrival": lambda pair: pair.destination.cancel_arrival(UUID),
    "clear_departed": lambda pair: pair.destination.clear_departed(UUID, keeps_disk=False),
}


@LIVE_ONLY
@pytest.mark.parametrize("ask", [*AT_SOURCE.values(), *AT_DESTINATION.values()], ids=[*AT_SOURCE, *AT_DESTINATION])
@pytest.mark.parametrize("changes", [{"task_state": None}, {"task_state": TaskState.DELETING}], ids=str)
def test_nothing_is_begun_with_one_that_is_not_to_be_moved(
    pair: Pair, ask: Callable[[Pair], object], changes: dict[str, Any]
) -> None:
    pair.change(**changes)
    with pytest.raises(
        InstanceStateError, match=rf"instance {UUID} on host compute-0\d: it is on host {HERE}, its task_st"
    ):
        ask(pair)


@LIVE_ONLY
@pytest.mark.parametrize("ask", AT_SOURCE.values(), ids=AT_SOURCE)
def test_a_host_lets_go_only_of_its_own(pair: Pair, ask: Callable[[Pair], object]) -> None:
    pair.change(host=THERE)
    with pytest.raises(InstanceStateError, match=f"it is on host {THERE}"):
        ask(pair)


@LIVE_ONLY
@pytest.mark.parametrize(
    "ask", [*AT_DESTINATION.values(), *WHEN_IT_IS_THERE.values()], ids=[*AT_DESTINATION, *WHEN_IT_IS_THERE]
)
def test_a_host_neither_receives_nor_removes_its_own(pair: Pair, ask: Callable[[Pair], object]) -> None:
    pair.change(host=THERE)
    with pytest.raises(InstanceStateError, match=f"it is on host {THERE}"):
        ask(pair)


@LIVE_ONLY
def test_an_arrival_is_completed_only_by_the_host_that_has_the_instance(pair: Pair) -> None:
    pair.send()
    with pytest.raises(InstanceStateError, match=f"cannot complete the arrival of instance {UUID} on host {THERE}"):
        pair.destination.complete_arrival(UUID, [ADDRESS])


@LIVE_ONLY
def test_a_guest_that_runs_is_never_removed(pair: Pair) -> None:
    """Whatever the database says."""
    pair.change(host=THERE)
    with pytest.raises(ComputeError, match="it runs here"):
        pair.source.clear_departed(UUID, keeps_disk=False)
    with pytest.raises(ComputeError, match="it is here"):
        pair.source.cancel_arrival(UUID)
    assert pair.source.guest_state(UUID) is PowerState.RUNNING


@LIVE_ONLY
def test_of_one_that_is_deleted_both_are_cleared(pair: Pair) -> None:
    pair.send()
    pair.change(task_state=TaskState.DELETING)
    pair.drivers[THERE].destroy(UUID)
    pair.source.clear_departed(UUID, keeps_disk=False)
    pair.records[HERE].instances.delete(UUID)
    pair.destination.cancel_arrival(UUID)
    pair.source.clear_departed(UUID, keeps_disk=False)
    with pytest.raises(InstanceNotFoundError):
        pair.source.check_source(UUID, block=None)
    assert [path for path in pair.directory.rglob("*") if UUID in path.name] == []


@LIVE_ONLY
def test_what_nobody_knows_is_no_transfer(pair: Pair) -> None:
    assert pair.source.transfer(UUID).phase is TransferPhase.NONE
    with pytest.raises(InstanceStateError, match=f"cannot look at transfer of instance {UUID}: it is not there"):
        pair.destination.transfer(UUID)


@LIVE_ONLY
@pytest.mark.parametrize("knob", ["check_can_leave", "check_can_come", "prepare_arrival", "start_transfer"])
def test_what_the_hypervisor_cannot_do_is_told_in_its_own_words(pair: Pair, knob: str) -> None:
    for host in (HERE, THERE):
        pair.turn(host, f'fail = ["{knob}"]')
    with pytest.raises(ComputeError, match=f"^cannot .* instance {UUID}: step {knob} fails by knob"):
        pair.send()


@LIVE_ONLY
@pytest.mark.parametrize("knob", ["transfer", "abort_transfer", "cancel_arrival", "clear_departed", "complete_arrival"])
def test_what_it_cannot_do_afterwards_neither(pair: Pair, knob: str) -> None:
    pair.send()
    for host in (HERE, THERE):
        pair.turn(host, f'fail = ["{knob}"]')
    pair.change(host=THERE)
    asked: dict[str, Callable[[], object]] = {
        "transfer": lambda: pair.source.transfer(UUID),
        "abort_transfer": lambda: pair.source.abort_transfer(UUID),
        "cancel_arrival": lambda: pair.source.cancel_arrival(UUID),
        "clear_departed": lambda: pair.source.clear_departed(UUID, keeps_disk=False),
        "complete_arrival": lambda: pair.destination.complete_arrival(UUID, [ADDRESS]),
    }
    with pytest.raises(ComputeError, match=f"step {knob} fails by knob"):
        asked[knob]()


class OnlyOff:
    """A hypervisor that moves no instance that runs."""

    def power_state(self, uuid: str) -> PowerState:
        return PowerState.RUNNING


@LIVE_ONLY
def test_a_hypervisor_that_cannot_do_it_says_so(pair: Pair) -> None:
    host = Host(HERE, cast("Driver", OnlyOff()), pair.records[HERE], KeyLocks(wait_s=1.0))
    live = LiveMigrations(host, TransferModes())
    with pytest.raises(
        ComputeError, match=f"^cannot migrate on host {HERE}: its hypervisor moves no instance that run"
    ):
        live.check_source(UUID, block=None)
    assert live.guest_state(UUID) is PowerState.RUNNING
