"""Simulated hosts that have instances in common: what they have room for, what they lose, and what they can read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from cloud.domain.flavor import Flavor
from cloud.domain.instance import PowerState
from cloud.virt.driver import VirtError
from cloud.virt.moving import TransferPhase
from cloud.virt.simulated.host import POWER_LOST, HostSettings, HostSize
from tests.virt.hypervisors import AT_ONCE, SimulatedLab, open_driver
from tests.virt.instances import OTHER, TINY, UUID, instance
from tests.virt.pair import FIXED_IP, Pair, end_of_transfer

RUNNING, SHUTDOWN = PowerState.RUNNING, PowerState.SHUTDOWN
SOURCE, DESTINATION = "compute-01", "compute-02"
BIG = Flavor(id=5, flavorid="5", name="m1.xlarge", memory_mb=16384, vcpus=4, root_gb=30, ephemeral_gb=10)


@pytest.fixture
def warnings() -> Iterator[list[dict[str, Any]]]:
    said: list[dict[str, Any]] = []
    logger.remove()
    sink = logger.add(lambda message: said.append(message.record["extra"]), level="WARNING", catch=False)
    yield said
    logger.remove(sink)


def test_a_destination_on_another_machine_cannot_be_reached(tmp_path: Path, simulated_pair: Pair) -> None:
    prepared = dict(simulated_pair.destination.prepare_arrival(instance(), [FIXED_IP], block=True))
    elsewhere = prepared | {"arrival": str(tmp_path / "elsewhere"), "incoming": str(tmp_path / "elsewhere")}
    with pytest.raises(VirtError, match="is not on this machine"):
        simulated_pair.source.start_transfer(UUID, elsewhere, block=True, is_live=True)
    with pytest.raises(VirtError, match="none of this hypervisor's"):
        simulated_pair.source.start_transfer(UUID, {"uri": "qemu+tcp://compute-02/system"}, block=True, is_live=True)
    simulated_pair.destination.cancel_arrival(UUID)
    simulated_pair.destination.prepare_arrival(instance(), [FIXED_IP], block=True)
    with pytest.raises(VirtError, match="was prepared anew since"):
        simulated_pair.source.start_transfer(UUID, prepared, block=True, is_live=True)
    assert simulated_pair.states() == (RUNNING, None)


@pytest.mark.parametrize(
    ("size", "flavor", "over_commit", "cause"),
    [
        (HostSize(cpu_model="Opteron"), TINY, False, "its CPU is a Xeon, that of this host a Opteron"),
        (HostSize(vcpus=3, cpu_model="Xeon"), BIG, False, "it has 4 processors, this host 3"),
        (HostSize(disk_gb=39, cpu_model="Xeon"), BIG, False, "its disk takes 42949672960 bytes, there are 41875931136"),
        (HostSize(disk_gb=39, cpu_model="Xeon"), BIG, True, None),
        (HostSize(disk_gb=40, cpu_model="Xeon"), BIG, False, None),
    ],
)
def test_a_host_says_what_it_has_no_room_for(
    tmp_path: Path, size: HostSize, flavor: Flavor, over_commit: bool, cause: str | None
) -> None:
    source = open_driver(tmp_path / "source", size=HostSize(cpu_model="Xeon"))
    source.spawn(instance(flavor=flavor), None, [FIXED_IP], lambda _percent: None)
    said = source.check_can_leave(UUID, block=True)
    destination = open_driver(tmp_path / "destination", size=size)

    def check() -> None:
        destination.check_can_come(instance(flavor=flavor), block=True, disk_over_commit=over_commit, source=said)

    if cause is None:
        check()
    else:
        with pytest.raises(VirtError, match=f"^cannot receive instance {UUID}: {cause}$"):
            check()


def test_without_its_disk_on_shared_storage_none_can_come(simulated: SimulatedLab) -> None:
    pair = Pair(simulated, has_shared_disks=True)
    with pytest.raises(VirtError, match="shared storage has no disk of it"):
        pair.destination.check_can_come(instance(), block=False, disk_over_commit=False)


def test_guests_outlive_nova_compute_but_not_a_loss_of_power(simulated: SimulatedLab, simulated_pair: Pair) -> None:
    simulated_pair.source.spawn(instance(OTHER), None, [FIXED_IP], lambda _percent: None)
    simulated_pair.source.power_off(OTHER)
    simulated_pair.restart()
    assert simulated_pair.source.instances() == {UUID: RUNNING, OTHER: SHUTDOWN}
    marker = simulated.directory(SOURCE) / POWER_LOST
    marker.touch()
    simulated_pair.restart()
    assert simulated_pair.source.instances() == {UUID: SHUTDOWN, OTHER: SHUTDOWN}
    assert not marker.exists()
    simulated_pair.source.power_on(UUID)
    simulated_pair.restart()
    assert simulated_pair.source.instances() == {UUID: RUNNING, OTHER: SHUTDOWN}
    assert b"shut down" not in simulated_pair.source.console_output(UUID, 10_000)


def test_a_host_that_loses_power_loses_what_is_on_its_way_to_it(simulated: SimulatedLab, simulated_pair: Pair) -> None:
    simulated.dirty_memory(UUID)
    simulated_pair.prepare_and_start()
    (simulated.directory(DESTINATION) / POWER_LOST).touch()
    simulated_pair.destination = simulated_pair.make_destination()
    simulated_pair.source.force_transfer(UUID)
    end = simulated_pair.end_of_transfer()
    assert end.phase is TransferPhase.FAILED
    assert end.error is not None
    assert end.error.startswith("its destination does not expect it any more")
    assert simulated_pair.states() == (RUNNING, None)


def test_a_host_that_loses_power_with_a_guest_that_has_just_come_has_it_and_it_is_off(
    simulated: SimulatedLab, simulated_pair: Pair
) -> None:
    simulated_pair.prepare_and_start()
    simulated_pair.end_of_transfer()
    (simulated.directory(DESTINATION) / POWER_LOST).touch()
    simulated_pair.restart()
    assert simulated_pair.states() == (None, SHUTDOWN)


def test_guests_that_go_both_ways_at_once_arrive(simulated_pair: Pair) -> None:
    simulated_pair.destination.spawn(instance(OTHER), None, [FIXED_IP], lambda _percent: None)
    back = simulated_pair.source.prepare_arrival(instance(OTHER), [FIXED_IP], block=True)
    there = simulated_pair.destination.prepare_arrival(instance(), [FIXED_IP], block=True)
    simulated_pair.source.start_transfer(UUID, there, block=True, is_live=True)
    simulated_pair.destination.start_transfer(OTHER, back, block=True, is_live=True)
    assert simulated_pair.end_of_transfer().phase is TransferPhase.COMPLETED
    assert end_of_transfer(simulated_pair.destination, OTHER).phase is TransferPhase.COMPLETED
    assert (simulated_pair.source.instances(), simulated_pair.destination.instances()) == (
        {OTHER: RUNNING},
        {UUID: RUNNING},
    )


def test_a_guest_of_an_earlier_version_can_be_read_and_moved(simulated: SimulatedLab, simulated_pair: Pair) -> None:
    place = simulated.directory(SOURCE) / "instances" / UUID
    values = json.loads((place / "guest.json").read_text())
    for new in ("data_bytes", "disk_bytes", "dhcp_server", "vnc_address"):
        del values[new]
    (place / "guest.json").write_text(json.dumps(values))
    (place / "disk.json").unlink()
    simulated_pair.restart()
    simulated_pair.migrate_live()
    assert simulated_pair.destination.definition(UUID)["vnc_address"] == "vnc-compute-02"
    assert Path(simulated_pair.destination.definition(UUID)["disk"]).stat().st_size == 1 << 30


@pytest.mark.parametrize("name", ["arrival.json", "departure.json", "guest.json"])
@pytest.mark.parametrize("text", ["", "[]", "{}", '{"token": 1}'])
def test_what_came_and_cannot_be_read_is_said_once_and_holds_up_no_other(
    simulated: SimulatedLab, simulated_pair: Pair, warnings: list[dict[str, Any]], name: str, text: str
) -> None:
    simulated_pair.destination.spawn(instance(OTHER), None, [FIXED_IP], lambda _percent: None)
    simulated_pair.prepare_and_start()
    assert simulated_pair.end_of_transfer().phase is TransferPhase.COMPLETED
    (simulated.directory(DESTINATION) / "arrivals" / UUID / name).write_text(text)
    for _ in range(2):
        assert simulated_pair.destination.instances() == {OTHER: RUNNING}
    assert [line["instance"] for line in warnings] == [UUID]
    with pytest.raises(VirtError, match="cannot read"):
        simulated_pair.destination.complete_arrival(instance(), [FIXED_IP])


def test_what_an_image_would_hold_goes_over_though_it_is_not_kept(tmp_path: Path, simulated_pair: Pair) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(600 << 20)
    simulated_pair.source.spawn(instance(OTHER), image, [FIXED_IP], lambda _percent: None)
    prepared = simulated_pair.destination.prepare_arrival(instance(OTHER), [FIXED_IP], block=True)
    simulated_pair.source.start_transfer(OTHER, prepared, block=True, is_live=True)
    assert end_of_transfer(simulated_pair.source, OTHER).disk_total_bytes == 600 << 20


def test_a_disk_goes_from_storage_of_a_hosts_own_to_shared_storage_and_back(tmp_path: Path) -> None:
    def host(name: str, shared: Path | None) -> Any:
        return open_driver(tmp_path / name, settings=HostSettings(shared, AT_ONCE))

    image = tmp_path / "image"
    image.write_bytes(b"boot sector")
    own, sharing = host("own", None), host("sharing", tmp_path / "shared")
    own.spawn(instance(), image, [FIXED_IP], lambda _percent: None)
    prepared = sharing.prepare_arrival(instance(), [FIXED_IP], block=True)
    for left in (".part-of-who-died", ".disk.json.of-who-died.new"):
        (Path(prepared["incoming"]) / left).write_text("")
    own.start_transfer(UUID, prepared, block=True, is_live=True)
    assert end_of_transfer(own).phase is TransferPhase.COMPLETED
    assert sharing.complete_arrival(instance(), [FIXED_IP]) is RUNNING
    own.clear_departed(UUID, keeps_disk=False)
    assert Path(sharing.definition(UUID)["disk"]) == tmp_path / "shared" / UUID / "disk"
    assert sorted(path.name for path in (tmp_path / "shared" / UUID).iterdir()) == ["disk", "disk.json"]
    sharing.power_off(UUID)
    sharing.send_disk(UUID, own.prepare_disk(instance()), lambda _percent: None)
    sharing.set_aside(UUID)
    assert own.adopt(instance(), [FIXED_IP], is_running=True) is RUNNING
    sharing.drop_aside(UUID, keeps_disk=False)
    own.snapshot(UUID, tmp_path / "snapshot")
    assert (tmp_path / "snapshot").read_bytes() == b"boot sector"
    assert [path.name for path in (tmp_path / "shared").iterdir()] == [".id"]


def test_a_host_that_starts_sweeps_what_it_left_on_shared_storage_and_not_what_is_on_its_way(
    simulated: SimulatedLab,
) -> None:
    pair = Pair(simulated, has_shared_disks=True)
    coming = Path(pair.destination.prepare_disk(instance())["incoming"])
    left, of_another = (
        coming.with_name(coming.name.replace(UUID, "dead")),
        simulated.shared_disks / ".half-another-dead",
    )
    for directory in (left, of_another):
        directory.mkdir()
    pair.restart()
    assert [path.exists() for path in (coming, left, of_another)] == [True, False, True]
