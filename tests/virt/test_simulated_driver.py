"""What the simulated hypervisor has beyond the contract: its size, its files, and its knobs at each step."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.flavor import Flavor, Resources
from cloud.domain.instance import PowerState
from cloud.services.compute.options import COMPUTE_OPTIONS
from cloud.services.configuration import read_configuration
from cloud.virt.driver import Driver, VirtError
from cloud.virt.drivers import DRIVER_OPTIONS, configured_driver
from cloud.virt.machine import HostResources, ResourceError
from cloud.virt.moving import Regenerating
from cloud.virt.simulated.guest import Guest
from cloud.virt.simulated.host import HostSize
from cloud.virt.simulated.steps import STEPS
from tests.virt.hypervisors import open_driver
from tests.virt.instances import OTHER, UUID, instance

FIXED_IP = FixedIp("10.0.0.2", "fa:16:3e:00:00:02", "private")
BIG = Flavor(id=5, flavorid="5", name="m1.xlarge", memory_mb=16384, vcpus=8, root_gb=160, ephemeral_gb=40)


def spawn(driver: Driver, uuid: str = UUID, flavor: Flavor | None = None, image: Path | None = None) -> None:
    wanted = instance(uuid) if flavor is None else instance(uuid, flavor=flavor)
    driver.spawn(wanted, image, [FIXED_IP], lambda _percent: None)


def paths(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.name != "knobs.toml")


def test_its_size_is_the_machines_where_nobody_says_otherwise(tmp_path: Path) -> None:
    has = open_driver(tmp_path).resources()
    assert (has.type, has.version, has.total, has.free_disk_gb) == ("simulated", 1, Resources(16000, 4, 100), 40)


def test_its_size_is_what_is_said_of_it_and_disks_are_taken_from_that(tmp_path: Path) -> None:
    driver = open_driver(tmp_path, size=HostSize(vcpus=64, memory_mb=262144, disk_gb=1000))
    spawn(driver, flavor=BIG)
    has = driver.resources()
    assert (has.total, has.free_disk_gb) == (Resources(262144, 64, 1000), 800)
    assert has.cpu_info["topology"] == {"sockets": 1, "cores": 64, "threads": 1}


def test_resources_that_cannot_be_read_are_an_error_of_the_driver(tmp_path: Path) -> None:
    def read() -> HostResources:
        raise ResourceError("gone")

    with pytest.raises(VirtError, match=r"^cannot read resources of simulated: gone$"):
        open_driver(tmp_path, read_machine=read).resources()


def test_a_disk_is_as_large_as_its_flavor_says_and_mostly_hole(tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.write(b"x" * (3 << 20))
    spawn(open_driver(tmp_path), flavor=BIG, image=image)
    status = (tmp_path / "instances" / UUID / "disk").stat()
    assert status.st_size == 160 << 30
    assert status.st_blocks * 512 <= (1 << 20) + 65536


def test_flavor_without_a_disk_takes_the_images_size(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"x" * 5000)
    spawn(open_driver(tmp_path), flavor=Flavor(1, "1", "nano", 64, 1, 0), image=image)
    assert (tmp_path / "instances" / UUID / "disk").stat().st_size == 5000


@pytest.mark.parametrize("step", ["spawn", *(f"spawn.{step}" for step in STEPS["spawn"])])
def test_after_each_failed_step_of_a_spawn_no_file_is_left(tmp_path: Path, step: str) -> None:
    driver = open_driver(tmp_path)
    (tmp_path / "knobs.toml").write_text(f'fail = ["{step}@{UUID}"]')
    with pytest.raises(VirtError) as raised:
        spawn(driver)
    assert str(raised.value) == (
        f"cannot spawn instance {UUID}: step {step} fails by knob '{step}@{UUID}' of {tmp_path}/knobs.toml"
    )
    assert paths(tmp_path) in ([], ["instances"])
    assert driver.instances() == {}
    spawn(driver, OTHER)


@pytest.mark.parametrize("step", ["destroy", *(f"destroy.{step}" for step in STEPS["destroy"])])
def test_after_each_failed_step_of_a_destroy_it_can_be_destroyed_again(tmp_path: Path, step: str) -> None:
    driver = open_driver(tmp_path)
    spawn(driver)
    (tmp_path / "knobs.toml").write_text(f'fail = ["{step}:1"]')
    with pytest.raises(VirtError, match=f"^cannot destroy instance {UUID}: step {step} "):
        driver.destroy(UUID)
    assert list(driver.instances()) == [UUID]
    driver.destroy(UUID)
    assert paths(tmp_path) == ["instances"]


@pytest.mark.parametrize(
    ("step", "state"),
    [
        ("reboot", PowerState.RUNNING),
        ("reboot.stop", PowerState.RUNNING),
        ("reboot.start", PowerState.SHUTDOWN),
    ],
)
def test_after_a_failed_reboot_it_runs_unless_it_had_stopped(tmp_path: Path, step: str, state: PowerState) -> None:
    driver = open_driver(tmp_path)
    spawn(driver)
    (tmp_path / "knobs.toml").write_text(f'fail = ["{step}"]')
    with pytest.raises(VirtError, match=f"^cannot reboot instance {UUID}: step {step} "):
        driver.reboot(UUID, hard=True)
    assert driver.power_state(UUID) is state


def test_after_a_failed_change_of_power_it_is_as_it_was(tmp_path: Path) -> None:
    driver = open_driver(tmp_path)
    spawn(driver)
    (tmp_path / "knobs.toml").write_text('fail = ["power_off", "power_on"]')
    with pytest.raises(VirtError, match=r"^cannot power off instance"):
        driver.power_off(UUID)
    assert driver.power_state(UUID) is PowerState.RUNNING
    with pytest.raises(VirtError, match=r"^cannot power on instance"):
        driver.power_on(UUID)


@pytest.mark.parametrize("step", ["snapshot", "snapshot.copy"])
def test_after_a_failed_snapshot_there_is_no_file(tmp_path: Path, step: str) -> None:
    driver = open_driver(tmp_path)
    spawn(driver)
    (tmp_path / "knobs.toml").write_text(f'fail = ["{step}"]')
    with pytest.raises(VirtError, match=r"^cannot snapshot instance"):
        driver.snapshot(UUID, tmp_path / "snapshot")
    assert not (tmp_path / "snapshot").exists()


@pytest.mark.parametrize("step", ["resources", "instances", "console_output"])
def test_what_only_looks_can_fail_too(tmp_path: Path, step: str) -> None:
    driver = open_driver(tmp_path)
    spawn(driver)
    (tmp_path / "knobs.toml").write_text(f'fail = ["{step}"]')
    calls: dict[str, Callable[[], object]] = {
        "resources": driver.resources,
        "instances": driver.instances,
        "console_output": lambda: driver.console_output(UUID, 10),
    }
    with pytest.raises(VirtError, match=f"step {step} fails by knob"):
        calls[step]()


def test_a_snapshot_has_the_data_and_not_the_hole(tmp_path: Path) -> None:
    driver = open_driver(tmp_path)
    spawn(driver, flavor=BIG)
    driver.snapshot(UUID, tmp_path / "snapshot")
    assert (tmp_path / "snapshot").read_bytes() == f"disk of {UUID}\n".encode()


def test_a_guest_that_shuts_itself_down_is_found_so_and_boots_no_more(tmp_path: Path) -> None:
    driver = open_driver(tmp_path)
    spawn(driver)
    (tmp_path / "knobs.toml").write_text(f'shut_down = ["{UUID}"]')
    assert driver.instances() == {UUID: PowerState.SHUTDOWN}
    (tmp_path / "knobs.toml").unlink()
    assert driver.power_state(UUID) is PowerState.SHUTDOWN
    assert b"shut down by root" in driver.console_output(UUID, 10_000)


def test_what_a_dead_process_was_making_goes_and_what_cannot_be_read_stays(tmp_path: Path) -> None:
    driver = open_driver(tmp_path)
    spawn(driver)
    half = tmp_path / "instances" / ".half-0"
    half.mkdir()
    (half / "disk").write_text("")
    broken = tmp_path / "instances" / OTHER
    broken.mkdir()
    (broken / "guest.json").write_text("{")
    assert open_driver(tmp_path).instances() == {UUID: PowerState.RUNNING}
    assert not half.exists()
    assert broken.exists()


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"uuid": 1}', '{"turns": []}'])
def test_what_is_no_guest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Guest.from_json(text)


@pytest.mark.parametrize("uuid", ["", "..", "../x", "7B0C9C54-31F7-4A8E-A5A6-8C3A80B4A1D2", UUID + "\n"])
def test_a_uuid_that_is_none_makes_no_directory(tmp_path: Path, uuid: str) -> None:
    with pytest.raises(VirtError, match="its uuid is none"):
        spawn(open_driver(tmp_path), uuid)
    assert paths(tmp_path) == []


def test_a_directory_that_cannot_be_read_is_an_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "instances").write_text("")
    with pytest.raises(VirtError, match=r"cannot read instances below"):
        open_driver(tmp_path)


def test_a_full_disk_is_an_error_that_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    driver = open_driver(tmp_path)
    monkeypatch.setattr(os, "truncate", full)
    with pytest.raises(VirtError, match=f"^cannot spawn instance {UUID}: .*No space left on device"):
        spawn(driver)
    assert paths(tmp_path) == ["instances"]


@pytest.mark.parametrize("line", ["fail = spwan", "delay = spawn", "vcpus = 0", "transfer_mb_per_s = 0"])
def test_an_option_that_is_wrong_is_refused_at_the_start(tmp_path: Path, line: str) -> None:
    file = tmp_path / "nova.conf"
    file.write_text(f"[DEFAULT]\nhost = a\n[simulated]\n{line}\n")
    with pytest.raises(Exception, match=r"cannot use option \[simulated\] "):
        read_configuration([file], groups=DRIVER_OPTIONS)


def test_options_are_read_as_lists(tmp_path: Path) -> None:
    file = tmp_path / "nova.conf"
    file.write_text("[DEFAULT]\nhost = a\n[simulated]\nfail = spawn:2, reboot.start:25%\ndelay = spawn.boot:1.5\n")
    conf = read_configuration([file], groups=DRIVER_OPTIONS)
    assert conf.simulated.fail == ["spawn:2", "reboot.start:25%"]
    assert conf.simulated.delay == ["spawn.boot:1.5"]


def test_a_driver_is_made_as_nova_conf_says(tmp_path: Path) -> None:
    file = tmp_path / "nova.conf"
    file.write_text(
        f"[DEFAULT]\nhost = a\nstate_path = {tmp_path}/state\nmy_ip = 192.0.2.7\n"
        f"[simulated]\nshared_disks_path = {tmp_path}/shared\ncpu_model = Xeon\nvnc_address = 192.0.2.8\n"
    )
    driver = configured_driver(read_configuration([file], groups=COMPUTE_OPTIONS))
    assert isinstance(driver, Regenerating)
    spawn(driver)
    made = driver.definition(UUID)
    assert made["disk"] == f"{tmp_path}/shared/{UUID}/disk"
    assert (made["dhcp_server"], made["vnc_address"]) == ("192.0.2.7", "192.0.2.8")
    assert driver.resources().cpu_info["model"] == "Xeon"
