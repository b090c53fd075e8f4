"""What every driver keeps to: nova-compute relies on this and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import PowerState
from cloud.virt.driver import Driver, InstanceExistsError, InstanceMissingError, VirtError
from tests.virt.hypervisors import MakeDriver
from tests.virt.instances import OTHER, TINY, UUID, instance

FIXED_IP = FixedIp("10.0.0.2", "fa:16:3e:00:00:02", "private")
IMAGE = b"boot sector" + bytes(501)


def spawn(driver: Driver, uuid: str = UUID, image: Path | None = None) -> None:
    driver.spawn(instance(uuid), image, [FIXED_IP], lambda _percent: None)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "image"
    file.write_bytes(IMAGE)
    return file


def test_a_host_has_resources_and_a_name_for_its_kind(driver: Driver) -> None:
    has = driver.resources()
    assert has.total.vcpus >= 1
    assert has.total.memory_mb >= 1
    assert has.total.disk_gb >= has.free_disk_gb >= 0
    assert has.type
    assert has.version >= 1
    assert {"arch", "vendor", "model", "topology", "features"} <= has.cpu_info.keys()


def test_a_new_host_has_no_instances(driver: Driver) -> None:
    assert driver.instances() == {}


def test_a_spawned_instance_runs_beside_others(driver: Driver, image: Path) -> None:
    spawn(driver, UUID, image)
    spawn(driver, OTHER)
    assert driver.instances() == {UUID: PowerState.RUNNING, OTHER: PowerState.RUNNING}
    assert driver.power_state(UUID) is PowerState.RUNNING


def test_progress_of_a_spawn_rises_to_the_whole(driver: Driver) -> None:
    told: list[int] = []
    driver.spawn(instance(), None, [FIXED_IP], told.append)
    assert told == sorted(told)
    assert told[-1] == 100


def test_an_instance_that_is_there_cannot_be_spawned_again_and_is_left_alone(driver: Driver) -> None:
    spawn(driver)
    driver.power_off(UUID)
    with pytest.raises(InstanceExistsError, match=f"^cannot spawn instance {UUID}: "):
        spawn(driver)
    assert driver.instances() == {UUID: PowerState.SHUTDOWN}


def test_after_a_failed_spawn_nothing_is_left_and_it_can_be_tried_again(
    driver: Driver, make_driver: MakeDriver, tmp_path: Path
) -> None:
    with pytest.raises(VirtError, match=f"^cannot spawn instance {UUID}: "):
        spawn(driver, image=tmp_path / "none")
    assert driver.instances() == make_driver().instances() == {}
    spawn(driver)
    assert driver.instances() == {UUID: PowerState.RUNNING}


def test_an_image_larger_than_the_flavors_disk_is_refused(driver: Driver, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate((TINY.root_gb << 30) + 1)
    with pytest.raises(VirtError, match="cannot spawn instance"):
        spawn(driver, image=large)
    assert driver.instances() == {}


def test_destroy_ends_one_and_no_other_and_may_be_repeated(driver: Driver, make_driver: MakeDriver) -> None:
    spawn(driver, UUID)
    spawn(driver, OTHER)
    driver.destroy(UUID)
    driver.destroy(UUID)
    assert driver.instances() == make_driver().instances() == {OTHER: PowerState.RUNNING}


def test_a_destroyed_instance_can_be_spawned_anew(driver: Driver) -> None:
    spawn(driver)
    driver.destroy(UUID)
    spawn(driver)
    assert driver.instances() == {UUID: PowerState.RUNNING}


def test_power_goes_off_and_on_and_what_is_so_already_is_no_error(driver: Driver) -> None:
    spawn(driver)
    driver.power_on(UUID)
    assert driver.power_state(UUID) is PowerState.RUNNING
    driver.power_off(UUID)
    driver.power_off(UUID)
    assert driver.power_state(UUID) is PowerState.SHUTDOWN
    driver.power_on(UUID)
    assert driver.power_state(UUID) is PowerState.RUNNING


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("runs", [False, True])
def test_after_a_reboot_it_runs_whether_it_did_before_or_not(driver: Driver, *, hard: bool, runs: bool) -> None:
    spawn(driver)
    if not runs:
        driver.power_off(UUID)
    driver.reboot(UUID, hard=hard)
    assert driver.power_state(UUID) is PowerState.RUNNING


def test_instances_outlive_the_process_that_made_them(driver: Driver, make_driver: MakeDriver, image: Path) -> None:
    spawn(driver, UUID, image)
    spawn(driver, OTHER)
    driver.power_off(OTHER)
    again = make_driver()
    assert again.instances() == {UUID: PowerState.RUNNING, OTHER: PowerState.SHUTDOWN}
    again.power_off(UUID)
    again.destroy(OTHER)
    assert make_driver().instances() == {UUID: PowerState.SHUTDOWN}


def test_the_console_shows_its_end(driver: Driver) -> None:
    spawn(driver)
    whole = driver.console_output(UUID, 1 << 16)
    assert isinstance(whole, bytes)
    assert len(driver.console_output(UUID, 3)) <= 3
    assert driver.console_output(UUID, 0) == b""


def test_a_snapshot_begins_as_the_image_did_and_can_be_spawned_from(
    driver: Driver, image: Path, tmp_path: Path
) -> None:
    spawn(driver, UUID, image)
    path = tmp_path / "snapshot"
    driver.snapshot(UUID, path)
    with path.open("rb") as file:
        assert file.read(len(IMAGE)) == IMAGE
    assert driver.power_state(UUID) is PowerState.RUNNING
    spawn(driver, OTHER, path)
    assert driver.power_state(OTHER) is PowerState.RUNNING


def test_a_snapshot_does_not_replace_a_file(driver: Driver, tmp_path: Path) -> None:
    spawn(driver)
    path = tmp_path / "there"
    path.write_text("mine")
    with pytest.raises(VirtError, match=r"^cannot snapshot instance"):
        driver.snapshot(UUID, path)
    assert path.read_text() == "mine"


def test_what_is_not_there_cannot_be_worked_on(driver: Driver, tmp_path: Path) -> None:
    calls: list[Callable[[], object]] = [
        lambda: driver.power_state(UUID),
        lambda: driver.reboot(UUID, hard=True),
        lambda: driver.power_off(UUID),
        lambda: driver.power_on(UUID),
        lambda: driver.console_output(UUID, 10),
        lambda: driver.snapshot(UUID, tmp_path / "snapshot"),
    ]
    for call in calls:
        with pytest.raises(InstanceMissingError, match=UUID):
            call()
    assert not (tmp_path / "snapshot").exists()
