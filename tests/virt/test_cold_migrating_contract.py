"""What every driver keeps to whose instances, when they are off, go to another host or another flavor."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cloud.domain.instance import PowerState
from cloud.virt.driver import InstanceMissingError, VirtError
from tests.virt.hypervisors import MovingDriver
from tests.virt.instances import OTHER, SMALL, TINY, UUID, instance
from tests.virt.pair import FIXED_IP, Pair

RUNNING, SHUTDOWN = PowerState.RUNNING, PowerState.SHUTDOWN
NANO = replace(TINY, root_gb=0, memory_mb=64)


@pytest.fixture
def sent(pair: Pair) -> Pair:
    """The instance is off and set aside at the source, its disk at the destination."""
    pair.spawn(is_running=False)
    pair.send()
    return pair


@pytest.mark.parametrize(("is_running", "state"), [(True, RUNNING), (False, SHUTDOWN)])
def test_a_disk_that_came_becomes_an_instance_of_its_flavor(sent: Pair, *, is_running: bool, state: PowerState) -> None:
    small = instance(flavor=SMALL)
    for _ in range(2):
        assert sent.destination.adopt(small, [FIXED_IP], is_running=is_running) is state
    assert sent.states() == (None, state)
    made = sent.destination.definition(UUID)
    assert (made["memory_mb"], made["vcpus"], made["disk_gb"]) == (2048, 2, 20)
    assert Path(made["disk"]).stat().st_size == 20 << 30
    for _ in range(2):
        sent.source.drop_aside(UUID, keeps_disk=sent.has_shared_disks)
    sent.restart()
    assert sent.states() == (None, state)
    sent.destination.reboot(UUID, hard=False)


def test_a_revert_gives_the_source_what_it_had(sent: Pair) -> None:
    sent.destination.adopt(instance(flavor=SMALL), [FIXED_IP], is_running=True)
    sent.destination.power_off(UUID)
    sent.destination.clear_departed(UUID, keeps_disk=sent.has_shared_disks)
    for _ in range(2):
        sent.source.take_back(UUID)
    assert sent.states() == (SHUTDOWN, None)
    sent.source.power_on(UUID)
    had = sent.source.definition(UUID)
    assert (had["memory_mb"], had["vcpus"], had["disk_gb"]) == (512, 1, 1)
    assert Path(had["disk"]).stat().st_size == 1 << 30


def test_a_revert_may_begin_at_the_source(sent: Pair) -> None:
    sent.destination.adopt(instance(), [FIXED_IP], is_running=False)
    sent.source.take_back(UUID)
    sent.destination.clear_departed(UUID, keeps_disk=sent.has_shared_disks)
    sent.source.power_on(UUID)
    assert sent.states() == (RUNNING, None)


def test_what_is_set_aside_is_not_there_for_anybody_until_it_is_taken_back(pair: Pair) -> None:
    pair.spawn(is_running=False)
    assert not pair.source.is_set_aside(UUID)
    for _ in range(2):
        pair.source.set_aside(UUID)
    assert pair.source.is_set_aside(UUID)
    calls: list[Callable[[], object]] = [
        lambda: pair.source.power_on(UUID),
        lambda: pair.source.reboot(UUID, hard=True),
        lambda: pair.source.power_state(UUID),
        lambda: pair.source.spawn(instance(), None, [FIXED_IP], lambda _percent: None),
    ]
    for source in (pair.source, pair.make_source()):
        assert source.instances() == {}
        for call in calls:
            with pytest.raises(VirtError, match=UUID):
                call()
    pair.restart()
    pair.source.destroy(UUID)
    pair.source.take_back(UUID)
    pair.source.power_on(UUID)
    assert pair.states() == (RUNNING, None)


def test_the_whole_disk_is_sent_and_its_progress_rises(pair: Pair, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"boot sector" * 100)
    pair.source.spawn(instance(), image, [FIXED_IP], lambda _percent: None)
    pair.source.power_off(UUID)
    prepared = pair.destination.prepare_disk(instance())
    assert pair.destination.prepare_disk(instance()) == prepared
    told: list[int] = []
    for _ in range(2):
        pair.source.send_disk(UUID, prepared, told.append)
        assert told == sorted(told)
        assert told[-1] == 100
        told.clear()
    pair.source.set_aside(UUID)
    pair.source.send_disk(UUID, prepared, told.append)
    pair.destination.adopt(instance(), [FIXED_IP], is_running=True)
    pair.source.drop_aside(UUID, keeps_disk=pair.has_shared_disks)
    pair.destination.snapshot(UUID, tmp_path / "snapshot")
    assert (tmp_path / "snapshot").read_bytes().startswith(b"boot sector" * 100)


def test_an_instance_that_runs_is_neither_sent_nor_set_aside_nor_resized(pair: Pair) -> None:
    pair.spawn()
    prepared = pair.destination.prepare_disk(instance())
    calls: list[Callable[[], object]] = [
        lambda: pair.source.send_disk(UUID, prepared, lambda _percent: None),
        lambda: pair.source.set_aside(UUID),
        lambda: pair.source.resize(instance(flavor=SMALL)),
    ]
    for call in calls:
        with pytest.raises(VirtError, match="runs"):
            call()
    assert pair.states() == (RUNNING, None)


def test_what_is_not_there_cannot_be_moved(pair: Pair) -> None:
    calls: list[Callable[[], object]] = [
        lambda: pair.source.send_disk(UUID, {}, lambda _percent: None),
        lambda: pair.source.set_aside(UUID),
        lambda: pair.source.take_back(UUID),
        lambda: pair.source.resize(instance()),
    ]
    for call in calls:
        with pytest.raises(InstanceMissingError, match=UUID):
            call()
    pair.source.drop_aside(UUID, keeps_disk=False)


def test_nothing_is_adopted_without_a_disk(pair: Pair) -> None:
    for _ in range(2):
        with pytest.raises(VirtError, match=f"^cannot adopt instance {UUID}: "):
            pair.destination.adopt(instance(), [FIXED_IP], is_running=True)
    assert pair.states() == (None, None)


def test_a_disk_that_was_not_asked_for_is_not_sent(pair: Pair) -> None:
    pair.spawn(is_running=False)
    prepared = pair.destination.prepare_disk(instance())
    pair.destination.cancel_arrival(UUID)
    pair.destination.cancel_arrival(UUID)
    if pair.has_shared_disks:
        return
    with pytest.raises(VirtError, match=f"^cannot send disk of instance {UUID}: "):
        pair.source.send_disk(UUID, prepared, lambda _percent: None)


def test_a_cancelled_disk_is_gone_and_the_source_has_its_own(sent: Pair) -> None:
    if not sent.has_shared_disks:
        sent.destination.cancel_arrival(UUID)
        with pytest.raises(VirtError, match="cannot adopt"):
            sent.destination.adopt(instance(), [FIXED_IP], is_running=True)
    sent.source.take_back(UUID)
    sent.source.power_on(UUID)
    assert sent.states() == (RUNNING, None)


def test_an_adopted_instance_is_not_cancelled_away(sent: Pair) -> None:
    sent.destination.adopt(instance(), [FIXED_IP], is_running=False)
    with pytest.raises(VirtError, match=f"^cannot cancel arrival of instance {UUID}: "):
        sent.destination.cancel_arrival(UUID)
    assert sent.states() == (None, SHUTDOWN)


def test_a_resize_makes_it_larger_and_smaller_again_where_it_is(driver: MovingDriver) -> None:
    driver.spawn(instance(), None, [FIXED_IP], lambda _percent: None)
    driver.spawn(instance(OTHER), None, [FIXED_IP], lambda _percent: None)
    driver.power_off(UUID)
    for flavor, size in ((SMALL, 20 << 30), (TINY, 1 << 30), (NANO, 1 << 30)):
        for _ in range(2):
            driver.resize(instance(flavor=flavor))
        made = driver.definition(UUID)
        assert (made["memory_mb"], made["vcpus"]) == (flavor.memory_mb, flavor.vcpus)
        assert Path(made["disk"]).stat().st_size == size
    driver.power_on(UUID)
    assert driver.definition(OTHER)["memory_mb"] == 512


def test_a_disk_is_not_cut_where_it_holds_something(pair: Pair, tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate((1 << 30) + 1)
    pair.source.spawn(instance(flavor=SMALL), image, [FIXED_IP], lambda _percent: None)
    pair.source.power_off(UUID)
    with pytest.raises(VirtError, match=f"^cannot resize instance {UUID}: "):
        pair.source.resize(instance())
    assert Path(pair.source.definition(UUID)["disk"]).stat().st_size == 20 << 30
    pair.send()
    with pytest.raises(VirtError, match=f"^cannot adopt instance {UUID}: "):
        pair.destination.adopt(instance(), [FIXED_IP], is_running=True)
    assert pair.states() == (None, None)
    pair.source.take_back(UUID)
    assert Path(pair.source.definition(UUID)["disk"]).stat().st_size == 20 << 30
