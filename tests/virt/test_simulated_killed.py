"""Two simulated hosts, each a process: whichever is killed at whatever step, one of them has the instance in the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.domain.instance import PowerState
from cloud.virt.driver import VirtError
from cloud.virt.moving import TransferPhase
from cloud.virt.simulated.steps import STEPS
from tests.virt.host_process import HostProcesses, host_processes
from tests.virt.instances import SMALL, UUID, instance
from tests.virt.killed_site import DESTINATION, SOURCE, KilledSite
from tests.virt.pair import FIXED_IP
from tests.waiting import wait_until

RUNNING, SHUTDOWN = PowerState.RUNNING, PowerState.SHUTDOWN
BEFORE = [
    (has_shared_disks, step)
    for has_shared_disks in (False, True)
    for step in STEPS["transfer"]
    if step != "depart" and not (has_shared_disks and step == "disk")
]


@pytest.fixture(scope="module")
def processes() -> Iterator[HostProcesses]:
    with host_processes() as processes:
        yield processes


@pytest.fixture(params=[False, True], ids=["own-disks", "shared-disks"])
def site(request: pytest.FixtureRequest, processes: HostProcesses, tmp_path: Path) -> Iterator[KilledSite]:
    site = KilledSite(processes, tmp_path, has_shared_disks=request.param)
    yield site
    site.stop()


@pytest.fixture
def shared_site(processes: HostProcesses, tmp_path: Path) -> Iterator[KilledSite]:
    site = KilledSite(processes, tmp_path, has_shared_disks=True)
    yield site
    site.stop()


@pytest.mark.parametrize("killed", [(SOURCE,), (SOURCE, DESTINATION)], ids=["source", "both"])
@pytest.mark.parametrize(("site", "step"), BEFORE, indirect=["site"])
def test_a_source_killed_before_the_hand_over_has_the_instance_and_it_can_go_again(
    site: KilledSite, step: str, killed: tuple[str, ...]
) -> None:
    site.spawn()
    site.wait_at(f"transfer.{step}", SOURCE)
    site.start_transfer()
    site.process(SOURCE).wait_for_step(f"transfer.{step}")
    site.kill(*killed)
    site.let_go(SOURCE)
    assert site.states() == (RUNNING, None)
    assert site.call(SOURCE, "transfer", UUID).phase is TransferPhase.NONE
    with pytest.raises(VirtError, match="cannot complete arrival"):
        site.call(DESTINATION, "complete_arrival", instance(), [FIXED_IP])
    site.call(DESTINATION, "cancel_arrival", UUID)
    site.assert_only_at(SOURCE)
    site.migrate()
    site.assert_only_at(DESTINATION)


@pytest.mark.parametrize("killed", [(SOURCE,), (SOURCE, DESTINATION), (DESTINATION,)], ids=["source", "both", "dest"])
def test_a_host_killed_after_the_hand_over_does_not_change_who_has_the_instance(
    site: KilledSite, killed: tuple[str, ...]
) -> None:
    site.spawn()
    site.wait_at("transfer.depart", SOURCE)
    site.start_transfer()
    site.process(SOURCE).wait_for_step("transfer.depart")
    site.kill(*killed)
    site.let_go(SOURCE)
    with pytest.raises(VirtError, match="cannot clear away"):
        site.call(SOURCE, "clear_departed", UUID, keeps_disk=site.has_shared_disks)
    assert site.states() == (None, RUNNING)
    with pytest.raises(VirtError, match="it is here"):
        site.call(DESTINATION, "cancel_arrival", UUID)
    site.finish()
    site.assert_only_at(DESTINATION)


@pytest.mark.parametrize(("site", "step"), BEFORE, indirect=["site"])
def test_a_destination_killed_in_the_middle_receives_it_all_the_same(site: KilledSite, step: str) -> None:
    site.spawn()
    site.wait_at(f"transfer.{step}", SOURCE)
    site.start_transfer()
    site.process(SOURCE).wait_for_step(f"transfer.{step}")
    site.kill(DESTINATION)
    assert site.states()[1] is None
    site.call(SOURCE, "abort_transfer", UUID)
    wait_until(lambda: site.call(SOURCE, "transfer", UUID).phase is TransferPhase.CANCELLED)
    site.let_go(SOURCE)
    site.migrate()
    site.assert_only_at(DESTINATION)


@pytest.mark.parametrize("step", ["take_in", "take_in.define"])
def test_a_destination_killed_while_it_takes_an_instance_in_has_it(site: KilledSite, step: str) -> None:
    site.spawn()
    site.start_transfer()
    wait_until(lambda: site.call(SOURCE, "transfer", UUID).phase is TransferPhase.COMPLETED)
    site.kill_in(DESTINATION, step, "instances")
    assert site.states() == (None, RUNNING)
    site.finish()
    site.assert_only_at(DESTINATION)


def test_a_source_killed_while_it_clears_away_can_do_so_again(site: KilledSite) -> None:
    site.spawn()
    site.start_transfer()
    wait_until(lambda: site.call(SOURCE, "transfer", UUID).phase is TransferPhase.COMPLETED)
    site.call(DESTINATION, "complete_arrival", instance(), [FIXED_IP])
    site.kill_in(SOURCE, "clear_departed.disk", "clear_departed", UUID, keeps_disk=site.has_shared_disks)
    site.call(SOURCE, "clear_departed", UUID, keeps_disk=site.has_shared_disks)
    site.assert_only_at(DESTINATION)


@pytest.mark.parametrize(
    ("site", "step"),
    [
        (False, "send_disk.copy"),
        *((shared, step) for shared in (False, True) for step in ("prepare_disk.ready", "adopt.disk", "adopt.define")),
    ],
    indirect=["site"],
)
def test_a_move_of_an_instance_that_is_off_goes_on_where_it_was_killed(site: KilledSite, step: str) -> None:
    site.spawn(is_running=False)
    small = instance(flavor=SMALL)
    if step == "prepare_disk.ready":
        site.kill_in(DESTINATION, step, "prepare_disk", small)
    prepared = site.call(DESTINATION, "prepare_disk", small)
    if step == "send_disk.copy":
        site.kill_in(SOURCE, step, "send_disk", UUID, prepared)
    site.call(SOURCE, "send_disk", UUID, prepared)
    site.call(SOURCE, "set_aside", UUID)
    if step.startswith("adopt"):
        site.kill_in(DESTINATION, step, "adopt", small, [FIXED_IP], is_running=True)
        assert site.states() == (None, None)
    assert site.call(DESTINATION, "adopt", small, [FIXED_IP], is_running=True) is RUNNING
    site.call(SOURCE, "drop_aside", UUID, keeps_disk=site.has_shared_disks)
    site.assert_only_at(DESTINATION)


@pytest.mark.parametrize("step", ["adopt.disk", "adopt.define"])
def test_a_move_that_was_killed_can_be_taken_back(site: KilledSite, step: str) -> None:
    site.spawn(is_running=False)
    small = instance(flavor=SMALL)
    site.call(SOURCE, "send_disk", UUID, site.call(DESTINATION, "prepare_disk", small))
    site.call(SOURCE, "set_aside", UUID)
    site.kill_in(DESTINATION, step, "adopt", small, [FIXED_IP], is_running=True)
    site.call(DESTINATION, "cancel_arrival", UUID)
    site.call(SOURCE, "take_back", UUID)
    site.call(SOURCE, "power_on", UUID)
    made = site.call(SOURCE, "definition", UUID)
    assert (made["memory_mb"], Path(made["disk"]).stat().st_size) == (512, 1 << 30)
    site.assert_only_at(SOURCE)


def test_what_was_being_dropped_can_be_dropped_again(site: KilledSite) -> None:
    site.spawn(is_running=False)
    site.call(SOURCE, "send_disk", UUID, site.call(DESTINATION, "prepare_disk", instance()))
    site.call(SOURCE, "set_aside", UUID)
    site.call(DESTINATION, "adopt", instance(), [FIXED_IP], is_running=True)
    site.kill_in(SOURCE, "drop_aside.disk", "drop_aside", UUID, keeps_disk=site.has_shared_disks)
    site.call(SOURCE, "drop_aside", UUID, keeps_disk=site.has_shared_disks)
    site.assert_only_at(DESTINATION)


def test_a_resize_that_was_killed_can_be_done_again(site: KilledSite) -> None:
    site.spawn(is_running=False)
    small = instance(flavor=SMALL)
    site.kill_in(SOURCE, "resize.disk", "resize", small)
    assert site.call(SOURCE, "definition", UUID)["memory_mb"] == 512
    site.call(SOURCE, "resize", small)
    made = site.call(SOURCE, "definition", UUID)
    assert (made["memory_mb"], Path(made["disk"]).stat().st_size) == (2048, 20 << 30)


@pytest.mark.parametrize("step", [f"spawn.{step}" for step in STEPS["spawn"]])
def test_a_spawn_that_was_killed_leaves_nothing_that_another_host_minds(site: KilledSite, step: str) -> None:
    site.kill_in(SOURCE, step, "spawn", instance(), None, [FIXED_IP])
    assert site.states() == (None, None)
    site.call(DESTINATION, "spawn", instance(), None, [FIXED_IP])
    site.assert_only_at(DESTINATION)


def test_an_instance_that_was_being_defined_can_be_defined_again(shared_site: KilledSite) -> None:
    shared_site.spawn(is_running=False)
    shared_site.kill_in(DESTINATION, "define_again.disk", "define_again", instance(), [FIXED_IP], {})
    assert shared_site.states() == (SHUTDOWN, None)
    shared_site.call(DESTINATION, "define_again", instance(), [FIXED_IP], {})
    shared_site.call(DESTINATION, "reboot", UUID, hard=True)
    shared_site.call(SOURCE, "clear_departed", UUID, keeps_disk=True)
    shared_site.assert_only_at(DESTINATION)


def test_what_was_being_kept_is_kept_once(shared_site: KilledSite) -> None:
    shared_site.spawn(is_running=False)
    shared_site.kill_in(SOURCE, "keep.guest", "keep", UUID)
    assert shared_site.states() == (SHUTDOWN, None)
    (copy,) = shared_site.call(SOURCE, "kept_copies")
    assert shared_site.call(SOURCE, "keep", UUID) is None
    shared_site.stop()
    assert shared_site.states() == (None, None)
    assert shared_site.call(SOURCE, "kept_copies") == [copy]
    assert [path.parent.name.endswith(copy.name) for path in shared_site.directory.rglob("disk")] == [True]
