"""nova-compute: looks after one host and its instances, as nova-conductor and the API ask, and as it finds them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloud.errors import BadRequestError, ComputeError, InstanceStateError
from cloud.logs.emit import logger
from cloud.rpc.errors import BadMessageError
from cloud.rpc.methods import rpc_method
from cloud.services.compute.builds import Builds
from cloud.services.compute.client import GUESTS_PAGE, ComputeClient
from cloud.services.compute.cold_migration_methods import ColdMigrationMethods
from cloud.services.compute.cold_migrations import ColdMigrations
from cloud.services.compute.copies import Copies
from cloud.services.compute.copy_methods import CopyMethods
from cloud.services.compute.duties import Duties
from cloud.services.compute.evacuation_methods import EvacuationMethods
from cloud.services.compute.evacuations import Evacuations
from cloud.services.compute.fence import Fence
from cloud.services.compute.host_start import HostStart, Resume
from cloud.services.compute.image_service import configured_image_service
from cloud.services.compute.images import ImageCache
from cloud.services.compute.lifecycle import Lifecycle
from cloud.services.compute.live_migration_methods import LiveMigrationMethods
from cloud.services.compute.live_migrations import LiveMigrations
from cloud.services.compute.locks import KeyLocks
from cloud.services.compute.manual_recovery import ManualRecovery
from cloud.services.compute.migration_flags import configured_modes
from cloud.services.compute.power_sync import PowerSync
from cloud.services.compute.reading import read_fixed_ips, read_uuid
from cloud.services.compute.recovery import Recovery
from cloud.services.compute.snapshots import Snapshots
from cloud.services.compute.tracker import Reserved, ResourceTracker
from cloud.services.compute.uptime import uptime_line
from cloud.services.compute.work import Host
from cloud.services.conductor.client import ConductorClient
from cloud.services.manager import Manager, ManagerError, Parts
from cloud.services.network.client import NetworkClient
from cloud.services.reporting import Report, Reports
from cloud.virt.driver import InstanceMissingError, VirtError
from cloud.virt.drivers import configured_driver
from cloud.virt.machine import HostResources, ResourceError, own_address, read_resources

MAX_CONSOLE_BYTES = 100 << 10
"""As nova has it."""
LOCK_WAIT_S = 1800.0
"""For others who work on the same instance: more than a spawn takes."""


class ComputeManager(ColdMigrationMethods, CopyMethods, EvacuationMethods, LiveMigrationMethods, Manager):
    """Its methods have the names that ComputeClient asks for."""

    def __init__(
        self,
        read: Callable[[], HostResources],
        duties: Duties,
        *,
        interval_s: float,
        clock_s: Callable[[], float] = time.monotonic,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        """`read` gives the host's resources, `clock_s` monotonic seconds; `close` is called at the end."""
        self._read = read
        self._duties = duties
        self._interval_s = interval_s
        self._clock_s = clock_s
        self._close = close
        self._started_s = self._next_audit_s = clock_s()

    def start(self) -> None:
        self._started_s = self._next_audit_s = self._clock_s()
        for reports in self._duties.upkeep:
            reports.start()

    def report(self) -> None:
        """Audit the host's resources, once in `interval_s`."""
        now_s = self._clock_s()
        if now_s < self._next_audit_s:
            return
        self._next_audit_s = now_s + self._interval_s
        try:
            resources = self._read()
        except ResourceError as exc:
            logger.bind(error=str(exc)).warning("cannot audit resources")
            return
        logger.bind(uptime_s=round(now_s - self._started_s), **asdict(resources)).log("AUDIT", "resources audited")

    def say_alive(self, report: Callable[[], None]) -> None:
        """Not before guests are off that are another host's by now."""
        self._duties.fence.say_alive(report)

    def stop(self) -> None:
        for reports in self._duties.upkeep:
            reports.stop()  # what waits for nova-conductor is given up with the bus
        self._close()

    # Of a build.

    @rpc_method
    def prepare_image(self, image_id: str) -> None:
        self._duties.builds.prepare_image(read_uuid(image_id))

    @rpc_method
    def spawn(self, uuid: str, fixed_ips: Sequence[Mapping[str, str]] | None = None) -> int:
        """The instance's power state."""
        return int(self._duties.builds.spawn(read_uuid(uuid), None if fixed_ips is None else read_fixed_ips(fixed_ips)))

    @rpc_method
    def destroy(self, uuid: str) -> None:
        self._duties.builds.destroy(read_uuid(uuid))

    # Of what users ask.

    @rpc_method
    def reboot_instance(self, uuid: str, reboot_type: str) -> None:
        if reboot_type not in ("SOFT", "HARD"):
            raise BadMessageError(f"cannot reboot instance: {reboot_type!r} is neither SOFT nor HARD")
        self._duties.lifecycle.reboot(read_uuid(uuid), hard=reboot_type == "HARD")

    @rpc_method
    def stop_instance(self, uuid: str) -> None:
        self._duties.lifecycle.stop(read_uuid(uuid))

    @rpc_method
    def start_instance(self, uuid: str) -> None:
        self._duties.lifecycle.start(read_uuid(uuid))

    @rpc_method
    def delete_instance(self, uuid: str) -> None:
        self._duties.lifecycle.delete(read_uuid(uuid))

    @rpc_method
    def rebuild_instance(self, uuid: str, image_id: str | None) -> None:
        self._duties.lifecycle.rebuild(read_uuid(uuid), None if image_id is None else read_uuid(image_id))

    @rpc_method
    def snapshot_instance(self, uuid: str, image_id: str) -> None:
        self._duties.snapshots.take(read_uuid(uuid), read_uuid(image_id))

    @rpc_method
    def get_console_output(self, uuid: str, length: int | None = None) -> str:
        """Its last `length` lines; InstanceStateError while the hypervisor does not have it."""
        if length is not None and length < 0:
            raise BadRequestError(f"cannot read console: {length} is no number of lines")
        try:
            output = self._duties.host.driver.console_output(read_uuid(uuid), MAX_CONSOLE_BYTES)
        except InstanceMissingError as exc:
            raise InstanceStateError(str(exc)) from exc
        except VirtError as exc:
            raise ComputeError(str(exc)) from exc
        lines = output.decode(errors="replace").splitlines(keepends=True)
        return "".join(lines if length is None else lines[len(lines) - min(length, len(lines)) :])

    # Of the host.

    @rpc_method
    def host_info(self) -> Mapping[str, Any]:
        """What the hypervisor has."""
        return self._duties.tracker.info()

    @rpc_method
    def list_guests(self, after: str | None = None) -> dict[str, int]:
        """Power states by uuid, of at most GUESTS_PAGE guests: those behind `after`."""
        behind = "" if after is None else read_uuid(after)
        try:
            states = self._duties.host.driver.instances()
        except VirtError as exc:
            raise ComputeError(str(exc)) from exc
        page = sorted(uuid for uuid in states if uuid > behind)[:GUESTS_PAGE]
        return {uuid: int(states[uuid]) for uuid in page}

    @rpc_method
    def host_uptime(self) -> str:
        """As uptime(1) says it."""
        try:
            return uptime_line(datetime.now(UTC))
        except (OSError, ValueError) as exc:
            raise ComputeError(f"cannot read uptime: {exc}") from exc


def make_manager(parts: Parts) -> ComputeManager:
    """The manager as `parts.conf` says; ManagerError when the hypervisor cannot be used."""
    conf = parts.conf
    state_path = Path(conf.state_path)
    try:
        driver = configured_driver(conf)
    except VirtError as exc:
        raise ManagerError(str(exc)) from exc
    address = conf.my_ip or own_address()
    host = Host(conf.host, driver, ConductorClient(parts.client, host=conf.host), KeyLocks(wait_s=LOCK_WAIT_S))
    source = configured_image_service(conf)
    cache = ImageCache(source, state_path / "image-cache", max_bytes=conf.image_cache_bytes)
    networks, peers = NetworkClient(parts.client), ComputeClient(parts.client)
    recovered = ManualRecovery(host, networks, peers, vnc_address=conf.vncserver_proxyclient_address or address)
    lifecycle = Lifecycle(host, cache, networks, recovered, _now)
    fence = Fence(host, peers, down_after_s=conf.service_down_time)
    begun = HostStart(fence, Resume(host, lifecycle) if conf.resume_guests_state_on_host_boot else _nothing)
    snapshots = Snapshots(host, source, state_path / "snapshots")
    recovery = Recovery(host, lifecycle, snapshots, _now, give_up_after_s=conf.instance_build_timeout)
    reserved = Reserved(conf.reserved_host_memory_mb, conf.reserved_host_disk_mb)
    tracker = ResourceTracker(host, address, reserved, _now)
    duties = Duties(
        host=host,
        builds=Builds(host, cache, networks),
        cold_migrations=ColdMigrations(host),
        copies=Copies(host),
        evacuations=Evacuations(host, cache),
        fence=fence,
        lifecycle=lifecycle,
        live_migrations=LiveMigrations(host, configured_modes(conf)),
        snapshots=snapshots,
        tracker=tracker,
        upkeep=(
            Reports(conf.update_resources_interval, [tracker.report]),
            Reports(
                conf.sync_power_state_interval,
                [_after(begun.report, recovery.report), _after(begun.ensure, PowerSync(host, lifecycle).report)],
            ),
        ),
    )
    return ComputeManager(
        lambda: read_resources(state_path), duties, interval_s=conf.update_resources_interval, close=source.close
    )


def _after(first: Report, then: Report) -> Report:
    """Both, and the second one not before the first has done without an error."""

    def report() -> None:
        first()
        then()

    return report


def _nothing() -> None:
    """Guests stay as they are found."""


def _now() -> datetime:
    return datetime.now(UTC)
