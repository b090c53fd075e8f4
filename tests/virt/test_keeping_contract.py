"""What every driver keeps to that keeps copies of instances that are another host's by now, or nobody's."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud.domain.instance import PowerState
from cloud.virt.driver import InstanceMissingError, VirtError
from cloud.virt.keeping import KeptCopy
from tests.virt.instances import OTHER, UUID, instance
from tests.virt.pair import FIXED_IP, Pair

RUNNING, SHUTDOWN = PowerState.RUNNING, PowerState.SHUTDOWN
SECRET = b"what only this disk has"


@pytest.fixture
def kept(pair: Pair) -> Pair:
    """The source keeps a copy of an instance with a disk that somebody has written to."""
    pair.spawn(is_running=False)
    write(Path(pair.source.definition(UUID)["disk"]))
    assert pair.source.keep(UUID) is not None
    return pair


def write(disk: Path) -> None:
    with disk.open("r+b") as file:
        file.write(SECRET)


def disks_with_secret(directory: Path) -> list[Path]:
    found = []
    for disk in directory.rglob("disk"):
        with disk.open("rb") as file:
            if file.read(len(SECRET)) == SECRET:
                found.append(disk)
    return found


def only(pair: Pair) -> KeptCopy:
    (copy,) = pair.source.kept_copies()
    return copy


def test_what_is_kept_is_no_instance_and_its_disk_is_whole(kept: Pair, tmp_path: Path) -> None:
    for _ in range(2):
        assert kept.states() == (None, None)
        assert not kept.source.has_disk(UUID)
        assert not kept.destination.has_disk(UUID)
        assert kept.destination.kept_copies() == []
        copy = only(kept)
        assert (copy.uuid, copy.disk_bytes, copy.is_for_revert) == (UUID, 1 << 30, False)
        assert KeptCopy.from_dict(copy.as_dict()) == copy
        (disk,) = disks_with_secret(tmp_path)
        assert copy.name in disk.parent.name
        kept.restart()


def test_nothing_is_kept_of_what_is_not_there(kept: Pair) -> None:
    assert kept.source.keep(UUID) is None
    assert kept.source.keep(OTHER) is None
    assert len(kept.source.kept_copies()) == 1


def test_one_that_runs_is_not_kept(pair: Pair) -> None:
    pair.spawn()
    with pytest.raises(VirtError, match=f"^cannot keep instance {UUID}: it runs"):
        pair.source.keep(UUID)
    assert pair.states() == (RUNNING, None)


def test_both_hosts_have_room_for_the_instance_again(kept: Pair, tmp_path: Path) -> None:
    """A copy is in nobody's way: the instance may be made anew anywhere, also where the copy is."""
    for driver in (kept.source, kept.destination):
        driver.spawn(instance(), None, [FIXED_IP], lambda _percent: None)
        driver.destroy(UUID)
        driver.prepare_disk(instance())
        driver.cancel_arrival(UUID)
    assert len(disks_with_secret(tmp_path)) == 1


def test_a_copy_goes_when_it_is_removed_and_no_other(kept: Pair, tmp_path: Path) -> None:
    copy = only(kept)
    kept.source.spawn(instance(OTHER), None, [FIXED_IP], lambda _percent: None)
    kept.source.power_off(OTHER)
    other = kept.source.keep(OTHER)
    for _ in range(2):
        kept.source.remove_kept(UUID, copy.name, keeps_disk=False)
        assert [each.name for each in kept.source.kept_copies()] == [other]
        assert disks_with_secret(tmp_path) == []
    kept.restart()
    assert [each.name for each in kept.source.kept_copies()] == [other]


@pytest.mark.parametrize("name", ["..", f"{UUID}.x", f"{OTHER}.20141016T120000000000Z", f"{UUID}/../{UUID}", ""])
def test_only_names_of_copies_of_that_instance_are_removed(kept: Pair, name: str, tmp_path: Path) -> None:
    with pytest.raises(VirtError, match=f"^cannot remove what is kept of instance {UUID}: "):
        kept.source.remove_kept(UUID, name, keeps_disk=False)
    assert len(disks_with_secret(tmp_path)) == 1


def test_what_a_resize_has_set_aside_is_a_copy_for_its_revert(pair: Pair) -> None:
    pair.spawn(is_running=False)
    before = datetime.now(UTC)
    pair.send()
    copy = only(pair)
    assert (copy.uuid, copy.disk_bytes, copy.is_for_revert) == (UUID, 1 << 30, True)
    assert abs((copy.since - before).total_seconds()) < 60
    pair.source.take_back(UUID)
    assert pair.source.kept_copies() == []


def test_a_copy_for_a_revert_goes_and_the_other_host_keeps_the_disk_that_it_uses(pair: Pair) -> None:
    pair.spawn(is_running=False)
    pair.send()
    pair.destination.adopt(instance(), [FIXED_IP], is_running=True)
    for _ in range(2):
        pair.source.remove_kept(UUID, only(pair).name if pair.source.kept_copies() else UUID, keeps_disk=True)
        assert pair.source.kept_copies() == []
    pair.restart()
    pair.destination.reboot(UUID, hard=True)
    assert pair.states() == (None, RUNNING)


def test_a_disk_that_another_host_has_taken_over_is_not_kept(shared_pair: Pair) -> None:
    shared_pair.spawn(is_running=False)
    shared_pair.destination.define_again(instance(), [FIXED_IP], {})
    assert shared_pair.source.keep(UUID) is None
    assert shared_pair.source.kept_copies() == []
    shared_pair.destination.power_on(UUID)
    assert shared_pair.states() == (None, RUNNING)


def test_host_knows_whether_others_see_the_disk(pair: Pair) -> None:
    pair.spawn()
    assert pair.source.has_own_disk(UUID) is not pair.has_shared_disks
    with pytest.raises(InstanceMissingError):
        pair.source.has_own_disk(OTHER)
