"""What every driver keeps to whose instances move while they run: nova-conductor relies on this and nothing else."""

from pathlib import Path

import pytest

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import PowerState
from cloud.virt.driver import InstanceMissingError, VirtError
from cloud.virt.moving import ColdMigrating, LiveMigrating, Regenerating, Transfer, TransferPhase
from tests.virt.hypervisors import Lab, MovingDriver
from tests.virt.instances import UUID, instance
from tests.virt.pair import FIXED_IP, Pair, end_of_transfer
from tests.waiting import wait_until

RUNNING, PAUSED, SHUTDOWN = PowerState.RUNNING, PowerState.PAUSED, PowerState.SHUTDOWN


@pytest.fixture
def held(pair: Pair) -> Pair:
    """Its transfer takes longer than the test."""
    pair.lab.hold_transfers(UUID)
    pair.spawn()
    return pair


@pytest.fixture
def dirty(pair: Pair) -> Pair:
    """Its transfer ends when the instance is paused."""
    pair.lab.dirty_memory(UUID)
    pair.spawn()
    return pair


def test_a_driver_says_what_it_can_do(driver: MovingDriver) -> None:
    for protocol in (LiveMigrating, ColdMigrating, Regenerating):
        assert isinstance(driver, protocol)


def test_hosts_that_share_their_storage_say_so_and_others_do_not(lab: Lab) -> None:
    make = lab.host("compute-01", has_shared_disks=True)
    first, second = make(), lab.host("compute-02", has_shared_disks=True)()
    third, fourth = lab.host("compute-03")(), lab.host("compute-04")()
    assert first.storage_id() == second.storage_id() == make().storage_id()
    assert len({first.storage_id(), third.storage_id(), fourth.storage_id()}) == 3


def test_an_instance_that_runs_goes_on_at_the_destination_and_nowhere_else(pair: Pair) -> None:
    pair.spawn()
    said = pair.source.check_can_leave(UUID, block=pair.block)
    pair.destination.check_can_come(instance(), block=pair.block, disk_over_commit=False, source=said)
    pair.prepare_and_start()
    end = pair.end_of_transfer()
    assert (end.phase, end.progress, end.error) == (TransferPhase.COMPLETED, 100, None)
    assert end.downtime_ms is not None
    assert pair.destination.complete_arrival(instance(), [FIXED_IP]) is RUNNING
    assert pair.states() == (None, RUNNING)
    pair.source.clear_departed(UUID, keeps_disk=pair.has_shared_disks)
    assert pair.states() == (None, RUNNING)
    pair.restart()
    assert pair.states() == (None, RUNNING)


def test_it_can_be_worked_with_there_and_comes_back(pair: Pair) -> None:
    pair.spawn()
    pair.migrate_live()
    there = Pair(pair.lab, has_shared_disks=pair.has_shared_disks)
    there.source, there.destination = pair.destination, pair.source
    there.source.power_off(UUID)
    there.source.power_on(UUID)
    there.migrate_live()
    assert pair.states() == (RUNNING, None)
    pair.source.reboot(UUID, hard=False)
    pair.source.destroy(UUID)
    assert pair.states() == (None, None)


def test_one_that_came_back_before_its_source_was_cleared_can_go_again(pair: Pair) -> None:
    pair.spawn()
    pair.prepare_and_start()
    assert pair.end_of_transfer().phase is TransferPhase.COMPLETED
    with pytest.raises(VirtError, match="cannot prepare arrival of"):
        pair.source.prepare_arrival(instance(), [FIXED_IP], block=pair.block)  # nobody has looked there yet
    assert pair.destination.complete_arrival(instance(), [FIXED_IP]) is RUNNING
    prepared = pair.source.prepare_arrival(instance(), [FIXED_IP], block=pair.block)
    pair.destination.start_transfer(UUID, prepared, block=pair.block, is_live=True)
    assert end_of_transfer(pair.destination).phase is TransferPhase.COMPLETED
    assert pair.states() == (RUNNING, None)
    assert pair.source.transfer(UUID).phase is TransferPhase.NONE
    pair.migrate_live()
    assert pair.states() == (None, RUNNING)


def test_its_disk_goes_with_it(pair: Pair, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"boot sector" * 100)
    pair.source.spawn(instance(), image, [FIXED_IP], lambda _percent: None)
    pair.migrate_live()
    pair.destination.snapshot(UUID, tmp_path / "snapshot")
    assert (tmp_path / "snapshot").read_bytes().startswith(b"boot sector" * 100)


def test_a_disk_that_goes_is_counted_and_one_that_stays_is_not(pair: Pair) -> None:
    pair.spawn()
    pair.prepare_and_start()
    end = pair.end_of_transfer()
    assert (end.disk_total_bytes > 0) is pair.block
    assert end.disk_remaining_bytes == 0
    assert end.memory_total_bytes == 512 << 20
    assert end.memory_remaining_bytes == 0


def test_what_is_asked_a_second_time_is_no_change(pair: Pair) -> None:
    pair.spawn()
    first = pair.destination.prepare_arrival(instance(), [FIXED_IP], block=pair.block)
    assert pair.destination.prepare_arrival(instance(), [FIXED_IP], block=pair.block) == first
    for _ in range(3):
        pair.source.start_transfer(UUID, first, block=pair.block, is_live=True)
    assert pair.end_of_transfer().phase is TransferPhase.COMPLETED
    pair.source.start_transfer(UUID, first, block=pair.block, is_live=True)
    pair.source.abort_transfer(UUID)
    for _ in range(2):
        assert pair.destination.complete_arrival(instance(), [FIXED_IP]) is RUNNING
    for _ in range(2):
        pair.source.clear_departed(UUID, keeps_disk=pair.has_shared_disks)
    assert pair.states() == (None, RUNNING)


def test_addresses_are_those_of_the_arrival_s_end(pair: Pair) -> None:
    pair.spawn()
    pair.migrate_live()
    other = FixedIp("10.0.0.9", "fa:16:3e:00:00:09", "private")
    pair.destination.complete_arrival(instance(), [other])
    assert pair.destination.definition(UUID)["interfaces"] == [other.as_dict()]


def test_an_aborted_transfer_leaves_it_running_at_the_source(held: Pair) -> None:
    held.prepare_and_start()
    assert held.source.transfer(UUID).phase is TransferPhase.RUNNING
    held.source.abort_transfer(UUID)
    end = held.end_of_transfer()
    assert end.phase is TransferPhase.CANCELLED
    assert end.error
    held.destination.cancel_arrival(UUID)
    assert held.states() == (RUNNING, None)
    held.restart()
    assert held.states() == (RUNNING, None)


def test_after_an_abort_it_can_be_tried_again(dirty: Pair) -> None:
    dirty.prepare_and_start()
    dirty.source.abort_transfer(UUID)
    assert dirty.end_of_transfer().phase is TransferPhase.CANCELLED
    dirty.prepare_and_start()
    dirty.source.force_transfer(UUID)
    assert dirty.end_of_transfer().phase is TransferPhase.COMPLETED
    assert dirty.states() == (None, RUNNING)


def test_one_that_dirties_its_memory_too_fast_ends_when_it_is_paused(dirty: Pair) -> None:
    dirty.prepare_and_start()
    assert dirty.source.power_state(UUID) is RUNNING
    assert dirty.source.transfer(UUID).phase is TransferPhase.RUNNING
    dirty.source.force_transfer(UUID)
    end = dirty.end_of_transfer()
    assert end.phase is TransferPhase.COMPLETED
    assert end.downtime_ms is not None
    assert end.downtime_ms > 0
    assert dirty.destination.complete_arrival(instance(), [FIXED_IP]) is RUNNING


def test_one_that_is_not_live_is_paused_meanwhile(held: Pair) -> None:
    held.prepare_and_start(is_live=False)
    wait_until(lambda: held.source.power_state(UUID) is PAUSED)
    now = held.source.transfer(UUID)
    assert (now.phase, now.is_paused) == (TransferPhase.RUNNING, True)
    held.source.abort_transfer(UUID)
    assert held.end_of_transfer().is_paused is False
    assert held.states() == (RUNNING, None)


def test_a_source_that_starts_anew_knows_nothing_of_a_transfer_that_had_not_ended(held: Pair) -> None:
    held.prepare_and_start()
    again = held.make_source()
    held.source.abort_transfer(UUID)
    assert held.end_of_transfer().phase is TransferPhase.CANCELLED
    assert again.transfer(UUID) == Transfer(TransferPhase.NONE)
    assert again.power_state(UUID) is RUNNING
    again.abort_transfer(UUID)


def test_a_source_that_starts_anew_knows_of_one_that_has_completed(pair: Pair) -> None:
    pair.spawn()
    pair.prepare_and_start()
    assert pair.end_of_transfer().phase is TransferPhase.COMPLETED
    pair.restart()
    assert pair.source.transfer(UUID).phase is TransferPhase.COMPLETED
    assert pair.states() == (None, RUNNING)


def test_a_transfer_that_runs_is_not_begun_anew(held: Pair) -> None:
    held.prepare_and_start()
    wait_until(lambda: held.source.transfer(UUID).memory_processed_bytes > 0)
    before = held.source.transfer(UUID)
    held.prepare_and_start()
    assert held.source.transfer(UUID).memory_processed_bytes >= before.memory_processed_bytes
    held.source.abort_transfer(UUID)
    assert held.end_of_transfer().phase is TransferPhase.CANCELLED


def test_an_instance_that_has_come_is_never_cancelled_away(pair: Pair) -> None:
    pair.spawn()
    pair.prepare_and_start()
    pair.end_of_transfer()
    for _ in range(2):
        with pytest.raises(VirtError, match=f"^cannot cancel arrival of instance {UUID}: "):
            pair.destination.cancel_arrival(UUID)
    assert pair.states() == (None, RUNNING)
    with pytest.raises(VirtError, match="cannot cancel arrival of"):
        pair.make_destination().cancel_arrival(UUID)


def test_an_instance_that_runs_is_never_cleared_away_and_one_that_is_off_is(pair: Pair) -> None:
    pair.spawn()
    with pytest.raises(VirtError, match=f"^cannot clear away instance {UUID}: "):
        pair.source.clear_departed(UUID, keeps_disk=False)
    assert pair.states() == (RUNNING, None)
    pair.source.power_off(UUID)
    pair.source.clear_departed(UUID, keeps_disk=pair.has_shared_disks)
    pair.source.clear_departed(UUID, keeps_disk=pair.has_shared_disks)
    assert pair.states() == (None, None)


def test_what_has_not_come_cannot_be_completed(pair: Pair) -> None:
    pair.spawn()
    pair.destination.prepare_arrival(instance(), [FIXED_IP], block=pair.block)
    with pytest.raises(InstanceMissingError, match=UUID):
        pair.destination.complete_arrival(instance(), [FIXED_IP])


def test_a_cancelled_arrival_leaves_nothing_and_the_transfer_fails(dirty: Pair) -> None:
    dirty.prepare_and_start()
    dirty.destination.cancel_arrival(UUID)
    dirty.destination.cancel_arrival(UUID)
    dirty.source.force_transfer(UUID)
    end = dirty.end_of_transfer()
    assert end.phase is TransferPhase.FAILED
    assert end.error
    assert dirty.states() == (RUNNING, None)


def test_an_arrival_that_was_cancelled_and_prepared_anew_does_not_get_what_was_on_its_way_before(dirty: Pair) -> None:
    dirty.prepare_and_start()
    dirty.destination.cancel_arrival(UUID)
    dirty.destination.prepare_arrival(instance(), [FIXED_IP], block=dirty.block)
    dirty.source.force_transfer(UUID)
    assert dirty.end_of_transfer().phase is TransferPhase.FAILED
    assert dirty.states() == (RUNNING, None)
    dirty.prepare_and_start()
    dirty.source.force_transfer(UUID)
    assert dirty.end_of_transfer().phase is TransferPhase.COMPLETED
    assert dirty.states() == (None, RUNNING)


def test_a_disk_on_shared_storage_is_the_destinations_and_the_source_cannot_spoil_it(shared_pair: Pair) -> None:
    shared_pair.spawn()
    shared_pair.migrate_live()
    shared_pair.source.destroy(UUID)
    shared_pair.source.clear_departed(UUID, keeps_disk=False)
    shared_pair.destination.reboot(UUID, hard=True)
    assert shared_pair.states() == (None, RUNNING)
