"""nova-compute's reports, and what comes to it over the bus."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloud.db.migration_records import NewMigration
from cloud.domain.expected import ANY
from cloud.domain.instance import PowerState, TaskState, VmState
from cloud.domain.migration import MigrationStatus, MigrationType
from cloud.errors import BadRequestError, ComputeError, InstanceStateError
from cloud.rpc.client import RpcClient
from cloud.rpc.errors import BadMessageError
from cloud.rpc.options import configured_publisher
from cloud.services.compute.cold_migrations import ColdMigrations
from cloud.services.compute.copies import Copies
from cloud.services.compute.duties import Duties
from cloud.services.compute.live_migrations import LiveMigrations, TransferModes
from cloud.services.compute.manager import ComputeManager, make_manager
from cloud.services.compute.options import COMPUTE_OPTIONS
from cloud.services.compute.tracker import Reserved, ResourceTracker
from cloud.services.configuration import read_configuration
from cloud.services.manager import ManagerError, Parts
from cloud.services.reporting import Reports
from cloud.virt.machine import HostResources, ResourceError, read_resources
from tests.compute.conftest import clock, site, standing_sqlite
from tests.compute.image_store import IMAGE, SNAPSHOT
from tests.compute.site import ADDRESS, OTHER, UUID, Site
from tests.services.said import Line
from tests.waiting import wait_until

__all__ = ["clock", "site", "standing_sqlite"]

HAVE = HostResources(vcpus=4, memory_mb=16000, free_memory_mb=8000, disk_gb=100, free_disk_gb=40)


def make(
    site: Site,
    read: Callable[[], HostResources] = lambda: HAVE,
    *,
    interval_s: float = 60,
    clock_s: Callable[[], float] = lambda: 100.0,
    upkeep: tuple[Reports, ...] = (),
) -> ComputeManager:
    tracker = ResourceTracker(site.host, "192.0.2.7", Reserved(), site.clock)
    duties = Duties(
        host=site.host,
        builds=site.builds,
        cold_migrations=ColdMigrations(site.host),
        copies=Copies(site.host),
        evacuations=site.evacuations,
        fence=site.fence,
        lifecycle=site.lifecycle,
        live_migrations=LiveMigrations(site.host, TransferModes()),
        snapshots=site.snapshots,
        tracker=tracker,
        upkeep=upkeep,
    )
    return ComputeManager(read, duties, interval_s=interval_s, clock_s=clock_s)


def parts(directory: Path, text: str = "") -> Parts:
    file = directory / "nova.conf"
    url = f"redis+socket://{directory}/no-redis.sock"
    file.write_text(f"[DEFAULT]\nhost = a\nstate_path = {directory}\ntransport_url = {url}\n{text}")
    conf = read_configuration([file], groups=COMPUTE_OPTIONS)
    return Parts(conf, RpcClient(configured_publisher(conf), "test"), database=None)


def test_report_is_an_audit_of_what_the_host_has_left(site: Site, lines: list[Line]) -> None:
    clock = iter([100.0, 200.0, 260.4])
    manager = make(site, clock_s=lambda: next(clock))
    manager.start()
    manager.report()
    manager.stop()
    assert lines == [
        (
            "AUDIT",
            "resources audited",
            {
                "uptime_s": 60,
                "vcpus": 4,
                "memory_mb": 16000,
                "free_memory_mb": 8000,
                "disk_gb": 100,
                "free_disk_gb": 40,
            },
        )
    ]


def test_resources_that_cannot_be_read_are_a_warning_and_the_next_report_tries_again(
    site: Site, lines: list[Line]
) -> None:
    outcomes: list[HostResources | None] = [None, HAVE]

    def read() -> HostResources:
        found = outcomes.pop(0)
        if found is None:
            raise ResourceError("cannot read resources of /srv: gone")
        return found

    manager = make(site, read, interval_s=0)
    manager.start()
    manager.report()
    manager.report()
    assert lines[0] == ("WARNING", "cannot audit resources", {"error": "cannot read resources of /srv: gone"})
    assert lines[1][:2] == ("AUDIT", "resources audited")


def test_audits_have_an_interval_of_their_own(site: Site, lines: list[Line]) -> None:
    now_s = [100.0]
    manager = make(site, clock_s=lambda: now_s[0])
    manager.start()
    for now_s[0] in (100.0, 130.0, 159.9, 160.0, 165.0):
        manager.report()
    assert [fields["uptime_s"] for _, _, fields in lines] == [0, 60]


def test_manager_audits_the_disk_of_state_path(tmp_path: Path, lines: list[Line]) -> None:
    manager = make_manager(parts(tmp_path))
    manager.report()
    manager.stop()
    assert lines[0][2]["disk_gb"] == read_resources(tmp_path).disk_gb


def test_manager_offers_the_host_of_nova_conf(tmp_path: Path) -> None:
    text = "my_ip = 192.0.2.7\nreserved_host_memory_mb = 1024\nreserved_host_disk_mb = 2048\n"
    text += "[simulated]\nvcpus = 64\nmemory_mb = 262144\ndisk_gb = 1000\n"
    manager = make_manager(parts(tmp_path, text))
    info = manager.host_info()
    manager.stop()
    assert (info["host"], info["vcpus"], info["memory_mb"], info["disk_gb"]) == ("a", 64, 261120, 998)
    assert (info["host_ip"], info["free_disk_gb"], info["running_vms"]) == ("192.0.2.7", 1000, 0)


def test_hypervisor_that_cannot_begin_is_a_reason_not_to_start(tmp_path: Path) -> None:
    (tmp_path / "simulated").mkdir()
    (tmp_path / "simulated" / "instances").write_text("")
    with pytest.raises(ManagerError, match=r"^cannot open hypervisor simulated: cannot read instances below "):
        make_manager(parts(tmp_path))


def test_host_says_that_it_is_up_only_when_guests_of_others_are_off(site: Site) -> None:
    instance = site.run()
    new = NewMigration(
        instance_uuid=UUID,
        type=MigrationType.EVACUATION,
        request_id=None,
        source_compute=site.name,
        source_node=None,
        old_flavor=instance.flavor,
        new_flavor=instance.flavor,
        old_vm_state=VmState.ACTIVE,
    )
    migrations = site.records.tables.migrations
    begun, _ = migrations.begin(new, {"task_state": TaskState.REBUILDING}, ANY)
    migrations.update(begun.id, {"status": MigrationStatus.RUNNING})
    site.turn(fail=["power_off:1"])
    manager = make(site)
    seen: list[PowerState] = []
    with pytest.raises(ComputeError, match="step power_off fails"):
        manager.say_alive(lambda: seen.append(site.driver.power_state(UUID)))
    assert seen == []
    manager.say_alive(lambda: seen.append(site.driver.power_state(UUID)))
    assert seen == [PowerState.SHUTDOWN]


def test_an_evacuation_comes_over_the_bus(site: Site) -> None:
    manager = make(site)
    site.run()
    assert manager.running_instances([UUID, OTHER]) == [UUID]
    assert manager.sees_disk(OTHER) is False
    with pytest.raises(InstanceStateError, match="nobody evacuates it"):
        manager.give_up_guest(UUID)
    site.enter(OTHER, vm_state=VmState.ACTIVE, task_state=TaskState.REBUILDING)
    given = [ADDRESS.as_dict()]
    assert manager.evacuate_here(OTHER, given, shares_disk=False, is_running=True) == PowerState.RUNNING
    assert manager.running_instances([OTHER]) == [OTHER]
    site.turn(fail=["instances"])
    with pytest.raises(ComputeError, match="step instances fails"):
        manager.running_instances([UUID])


@pytest.mark.parametrize(
    "arguments",
    [
        {"uuid": "../x"},
        {"fixed_ips": [{"address": "10.0.0.2"}]},
        {"shares_disk": 1},
        {"is_running": None},
    ],
    ids=str,
)
def test_what_is_no_evacuation_is_a_bad_message(site: Site, arguments: dict[str, Any]) -> None:
    wanted: dict[str, Any] = {"uuid": UUID, "fixed_ips": [], "shares_disk": False, "is_running": True}
    with pytest.raises(BadMessageError):
        make(site).evacuate_here(**wanted | arguments)


def test_upkeep_begins_with_the_start_and_ends_with_the_stop(site: Site) -> None:
    made: list[str] = []
    reports = Reports(3600, [lambda: made.append("first"), lambda: made.append("second")])
    manager = make(site, upkeep=(reports,))
    assert made == []
    manager.start()
    wait_until(lambda: sorted(made) == ["first", "second"])
    manager.stop()


def test_a_build_and_what_users_ask_come_over_the_bus(site: Site) -> None:
    manager = make(site)
    site.enter()
    manager.prepare_image(IMAGE)
    assert manager.spawn(UUID, [ADDRESS.as_dict()]) == 1
    site.records.instances.update(UUID, {"vm_state": VmState.ACTIVE, "task_state": TaskState.POWERING_OFF})
    manager.stop_instance(UUID)
    site.records.instances.update(UUID, {"task_state": TaskState.POWERING_ON})
    manager.start_instance(UUID)
    for reboot_type, task_state in (("SOFT", TaskState.REBOOTING), ("HARD", TaskState.REBOOTING_HARD)):
        site.records.instances.update(UUID, {"task_state": task_state})
        manager.reboot_instance(UUID, reboot_type)
    site.images.put(SNAPSHOT, None)
    site.records.instances.update(UUID, {"task_state": TaskState.IMAGE_SNAPSHOT})
    manager.snapshot_instance(UUID, SNAPSHOT)
    assert site.images.data[SNAPSHOT] == b"boot sector"
    site.records.instances.update(UUID, {"task_state": TaskState.REBUILDING})
    manager.rebuild_instance(UUID, IMAGE)
    assert site.state() == (VmState.ACTIVE, None, PowerState.RUNNING)
    site.records.instances.update(UUID, {"task_state": TaskState.DELETING})
    manager.delete_instance(UUID)
    manager.destroy(UUID)
    assert site.state()[0] is VmState.DELETED
    assert manager.host_info()["running_vms"] == 0
    assert "load average: " in manager.host_uptime()


@pytest.mark.parametrize("uuid", ["", "../x", UUID.upper(), 7, None])
def test_what_is_no_uuid_is_a_bad_message(site: Site, uuid: Any) -> None:
    manager = make(site)
    for ask in (
        manager.prepare_image,
        manager.spawn,
        manager.destroy,
        manager.stop_instance,
        manager.start_instance,
        manager.delete_instance,
        manager.get_console_output,
        lambda uuid: manager.reboot_instance(uuid, "SOFT"),
        lambda uuid: manager.rebuild_instance(uuid, None),
        lambda uuid: manager.snapshot_instance(uuid, IMAGE),
        lambda uuid: manager.snapshot_instance(UUID, uuid),
    ):
        with pytest.raises(BadMessageError, match=r" is no uuid$"):
            ask(uuid)


def test_what_is_no_reboot_and_no_address_is_a_bad_message(site: Site) -> None:
    with pytest.raises(BadMessageError, match=r"^cannot reboot instance: 'soft' is neither SOFT nor HARD$"):
        make(site).reboot_instance(UUID, "soft")
    with pytest.raises(BadMessageError, match="bad fixed_ips"):
        make(site).spawn(UUID, [{"address": "10.0.0.2"}])


@pytest.mark.parametrize(("length", "lines_left"), [(None, 3), (0, 0), (1, 1), (2, 2), (100, 3)])
def test_console_shows_its_last_lines(site: Site, length: int | None, lines_left: int) -> None:
    site.run()
    shown = make(site).get_console_output(UUID, length)
    site.clock.advance(0.1)
    assert shown.count("\n") == min(lines_left, 1)
    shown = make(site).get_console_output(UUID, length)
    assert len(shown.splitlines()) == lines_left
    assert lines_left == 0 or "console: ttyS0" in shown.splitlines()[-1]


def test_console_that_is_not_there_is_a_conflict_and_one_that_cannot_be_read_an_error(site: Site) -> None:
    with pytest.raises(InstanceStateError, match=f"^cannot read console of instance {UUID}: it is not there$"):
        make(site).get_console_output(UUID)
    site.run()
    with pytest.raises(BadRequestError, match="-1 is no number of lines"):
        make(site).get_console_output(UUID, -1)
    site.turn(fail=["console_output"])
    with pytest.raises(ComputeError, match=r"^cannot read console of instance"):
        make(site).get_console_output(UUID)
