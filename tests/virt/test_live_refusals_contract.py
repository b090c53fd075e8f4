"""What every driver refuses of live migrations, and leaves as it was; and what becomes of an instance that is ended meanwhile."""

from collections.abc import Callable

import pytest

from cloud.domain.instance import PowerState
from cloud.virt.driver import InstanceMissingError, VirtError
from cloud.virt.moving import TransferPhase
from tests.virt.instances import OTHER, UUID, instance
from tests.virt.pair import FIXED_IP, Pair

RUNNING, PAUSED, SHUTDOWN = PowerState.RUNNING, PowerState.PAUSED, PowerState.SHUTDOWN


@pytest.fixture
def held(pair: Pair) -> Pair:
    """Its transfer takes longer than the test."""
    pair.lab.hold_transfers(UUID)
    pair.spawn()
    return pair


def test_what_stands_in_the_way_is_said_before(pair: Pair) -> None:
    pair.spawn(is_running=False)
    with pytest.raises(VirtError, match=f"^cannot let go instance {UUID}: "):
        pair.source.check_can_leave(UUID, block=pair.block)
    with pytest.raises(InstanceMissingError, match=OTHER):
        pair.source.check_can_leave(OTHER, block=pair.block)
    with pytest.raises(VirtError, match=f"^cannot receive instance {UUID}: "):
        pair.source.check_can_come(instance(), block=pair.block, disk_over_commit=False)
    with pytest.raises(VirtError, match=f"^cannot prepare arrival of instance {UUID}: "):
        pair.source.prepare_arrival(instance(), [FIXED_IP], block=pair.block)


def test_one_cannot_begin_that_does_not_run_or_whose_destination_expects_nothing(pair: Pair) -> None:
    pair.spawn(is_running=False)
    prepared = pair.destination.prepare_arrival(instance(), [FIXED_IP], block=pair.block)

    def start() -> None:
        pair.source.start_transfer(UUID, prepared, block=pair.block, is_live=True)

    with pytest.raises(VirtError, match=f"^cannot start transfer of instance {UUID}: "):
        start()
    pair.source.power_on(UUID)
    pair.destination.cancel_arrival(UUID)
    with pytest.raises(VirtError, match="cannot start transfer of"):
        start()
    assert pair.source.transfer(UUID).phase is TransferPhase.NONE
    assert pair.states() == (RUNNING, None)


def test_a_disk_must_go_with_it_just_where_the_storage_is_not_shared(pair: Pair) -> None:
    pair.spawn()
    prepared = pair.destination.prepare_arrival(instance(), [FIXED_IP], block=pair.block)
    with pytest.raises(VirtError, match="cannot start transfer of"):
        pair.source.start_transfer(UUID, prepared, block=not pair.block, is_live=True)


def test_what_is_not_there_has_no_transfer(pair: Pair) -> None:
    calls: list[Callable[[], object]] = [
        lambda: pair.source.transfer(UUID),
        lambda: pair.source.start_transfer(UUID, {}, block=pair.block, is_live=True),
    ]
    for call in calls:
        with pytest.raises(InstanceMissingError, match=UUID):
            call()
    pair.source.abort_transfer(UUID)
    pair.source.force_transfer(UUID)
    pair.destination.cancel_arrival(UUID)
    pair.source.clear_departed(UUID, keeps_disk=False)


def test_one_that_is_switched_off_meanwhile_stays_where_it_is(held: Pair) -> None:
    held.prepare_and_start()
    held.source.power_off(UUID)
    assert held.end_of_transfer().phase is TransferPhase.FAILED
    assert held.states() == (SHUTDOWN, None)


def test_one_that_is_destroyed_meanwhile_is_gone(held: Pair) -> None:
    held.prepare_and_start()
    held.source.destroy(UUID)
    assert held.end_of_transfer().phase is TransferPhase.FAILED
    held.destination.cancel_arrival(UUID)
    assert held.states() == (None, None)
