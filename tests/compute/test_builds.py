"""What a build has this host do, and when it refuses."""

from typing import Any

import pytest

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.errors import (
    ComputeError,
    IdentityUnavailableError,
    ImageNotFoundError,
    ImageUnavailableError,
    InstanceNotFoundError,
    InstanceStateError,
    UnauthorizedError,
)
from tests.compute.image_store import IMAGE
from tests.compute.site import ADDRESS, HOST, OTHER, UUID, Site
from tests.services.said import Line


def test_an_instance_is_spawned_from_its_image_with_its_addresses(site: Site, lines: list[Line]) -> None:
    site.enter()
    site.builds.prepare_image(IMAGE)
    assert site.builds.spawn(UUID, [ADDRESS]) is PowerState.RUNNING
    assert site.driver.instances() == {UUID: PowerState.RUNNING}
    site.clock.advance(10)
    assert b"fa:16:3e:00:00:02, link up, address 10.0.0.2" in site.driver.console_output(UUID, 10_000)
    assert site.networks.asked == []
    assert site.images.downloads == [IMAGE]
    assert [said for _, said, _ in lines] == ["image fetched", "instance spawned"]


def test_it_does_not_change_the_instances_state(site: Site) -> None:
    site.enter()
    site.builds.spawn(UUID, [])
    assert site.state() == (VmState.BUILDING, TaskState.SPAWNING, PowerState.NOSTATE)


def test_nova_network_is_asked_for_addresses_that_are_not_given(site: Site) -> None:
    site.enter()
    site.enter(OTHER)
    site.records.fixed_ips.allocate(UUID, "private", "10.0.0.0/24")
    site.builds.spawn(UUID, None)
    site.builds.spawn(OTHER, None)  # has none
    assert site.networks.asked == [(HOST, UUID)]


def test_an_instance_needs_no_image(site: Site) -> None:
    site.enter(image_id=None)
    assert site.builds.spawn(UUID, []) is PowerState.RUNNING
    assert site.images.downloads == []


def test_a_second_spawn_changes_nothing(site: Site) -> None:
    site.enter()
    site.builds.spawn(UUID, [])
    site.driver.power_off(UUID)
    assert site.builds.spawn(UUID, [FixedIp("10.0.0.9", "fa:16:3e:00:00:09", "private")]) is PowerState.SHUTDOWN


@pytest.mark.parametrize("step", ["spawn", "spawn.disk", "spawn.network", "spawn.boot"])
def test_a_spawn_that_fails_names_the_step_and_leaves_nothing(site: Site, step: str) -> None:
    site.enter()
    site.turn(fail=[f"{step}@{UUID}:1"])
    with pytest.raises(ComputeError, match=rf"^cannot spawn instance {UUID}: step {step} fails by knob "):
        site.builds.spawn(UUID, [])
    assert site.driver.instances() == {}
    assert site.builds.spawn(UUID, []) is PowerState.RUNNING


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "compute-02"},
        {"host": None},
        {"task_state": TaskState.DELETING},
        {"task_state": None},
        {"task_state": TaskState.SCHEDULING},
        {"task_state": TaskState.NETWORKING},
        {"vm_state": VmState.ERROR, "task_state": None},
        {"vm_state": VmState.ACTIVE, "task_state": None},
    ],
)
def test_what_is_not_to_be_built_here_is_not_spawned(site: Site, changes: dict[str, Any]) -> None:
    site.enter(**changes)
    with pytest.raises(InstanceStateError, match=f"^cannot spawn instance {UUID} on compute-01: its vm_state is "):
        site.builds.spawn(UUID, [])
    assert site.driver.instances() == {}


def test_a_deleted_instance_is_not_spawned(site: Site) -> None:
    site.enter()
    site.records.instances.delete(UUID)
    with pytest.raises(InstanceNotFoundError):
        site.builds.spawn(UUID, [])
    assert site.driver.instances() == {}


@pytest.mark.parametrize("away", [ImageUnavailableError("x"), IdentityUnavailableError("x"), UnauthorizedError("x")])
def test_another_host_may_reach_the_image_service(site: Site, away: Exception) -> None:
    site.images.away = away
    with pytest.raises(ComputeError, match=f"^cannot fetch image {IMAGE}: x$"):
        site.builds.prepare_image(IMAGE)


def test_an_image_that_is_not_there_is_there_for_nobody(site: Site) -> None:
    site.images.delete(IMAGE)
    with pytest.raises(ImageNotFoundError):
        site.builds.prepare_image(IMAGE)


def test_what_came_of_a_build_is_destroyed_and_a_second_time_changes_nothing(site: Site) -> None:
    site.enter()
    site.builds.spawn(UUID, [])
    site.builds.destroy(UUID)
    site.builds.destroy(UUID)
    assert site.driver.instances() == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"vm_state": VmState.BUILDING},
        {"vm_state": VmState.ERROR},
        {"host": "compute-02"},
        {"task_state": TaskState.DELETING},
    ],
)
def test_what_nobody_uses_here_is_destroyed(site: Site, changes: dict[str, Any]) -> None:
    site.run(**changes)
    site.builds.destroy(UUID)
    assert site.driver.instances() == {}


def test_what_is_left_of_a_deleted_instance_is_destroyed(site: Site) -> None:
    site.run()
    site.records.instances.delete(UUID)
    site.builds.destroy(UUID)
    assert site.driver.instances() == {}


def test_a_late_undo_does_not_destroy_an_instance_that_is_in_use(site: Site) -> None:
    site.run()
    with pytest.raises(InstanceStateError, match=f"^cannot destroy instance {UUID}: its vm_state is active$"):
        site.builds.destroy(UUID)
    assert site.driver.instances() == {UUID: PowerState.RUNNING}


def test_a_destroy_that_fails_can_be_asked_for_again(site: Site) -> None:
    site.run(vm_state=VmState.BUILDING)
    site.turn(fail=["destroy.disk:1"])
    with pytest.raises(ComputeError, match=f"^cannot destroy instance {UUID}: step destroy.disk "):
        site.builds.destroy(UUID)
    site.builds.destroy(UUID)
    assert site.driver.instances() == {}
