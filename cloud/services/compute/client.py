"""Asks nova-compute of one host, under the names of its manager's methods."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from oslo_config import cfg

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import Instance, PowerState
from cloud.errors import ComputeError
from cloud.rpc.client import RpcClient
from cloud.rpc.errors import NoSuchTargetError, RemoteError, RpcTimeoutError
from cloud.rpc.topology import Target
from cloud.services.compute.cold_migration_calls import ColdMigrationCalls
from cloud.services.compute.copy_calls import CopyCalls
from cloud.services.compute.live_migration_calls import ASK_S, LiveMigrationCalls

GUESTS_PAGE = 5000
"""Guests in one answer: about 250 kB, where a message has 1 MiB at the most."""
GIVE_UP_S = 30.0
"""For a guest to be powered off that another host is about to start."""


@dataclass(frozen=True, slots=True)
class ComputeTimeouts:
    """How long the calls of a build may take."""

    compute_image_timeout: float = 1800.0
    compute_spawn_timeout: float = 600.0
    compute_destroy_timeout: float = 120.0


DEFAULT_TIMEOUTS = ComputeTimeouts()

COMPUTE_CLIENT_OPTIONS: Sequence[cfg.Opt] = (
    cfg.FloatOpt(
        "compute_image_timeout",
        default=DEFAULT_TIMEOUTS.compute_image_timeout,
        min=1,
        max=86400,
        help="Seconds that a compute host has to fetch an image.",
    ),
    cfg.FloatOpt(
        "compute_spawn_timeout",
        default=DEFAULT_TIMEOUTS.compute_spawn_timeout,
        min=1,
        max=86400,
        help="Seconds that a compute host has to spawn an instance.",
    ),
    cfg.FloatOpt(
        "compute_destroy_timeout",
        default=DEFAULT_TIMEOUTS.compute_destroy_timeout,
        min=1,
        max=86400,
        help="Seconds that a compute host has to destroy what came of a failed build.",
    ),
)
"""Of nova.conf, for whoever builds."""


def configured_timeouts(conf: cfg.ConfigOpts) -> ComputeTimeouts:
    """As `conf` says, which has COMPUTE_CLIENT_OPTIONS."""
    return ComputeTimeouts(**{field.name: conf[field.name] for field in fields(ComputeTimeouts)})


class ComputeClient(LiveMigrationCalls, ColdMigrationCalls, CopyCalls):
    """Any compute host. Raises what the manager's methods raise, and the bus's errors."""

    def __init__(self, client: RpcClient, timeouts: ComputeTimeouts = DEFAULT_TIMEOUTS) -> None:
        self._client = client
        self._timeouts = timeouts

    # Calls of a build. ComputeError also when the host does not answer, or with a defect: another one may do better.
    # What it was asked for it may do all the same; `destroy` undoes that.

    def prepare_image(self, host: str, image_id: str) -> None:
        """Wait until the host has the image."""
        self._build(host, "prepare_image", {"image_id": image_id}, self._timeouts.compute_image_timeout)

    def spawn(self, host: str, instance: Instance, fixed_ips: Sequence[FixedIp] | None = None) -> PowerState:
        """Wait until it runs, with `fixed_ips`, or those that nova-network says it has.

        It is built as the database has it. InstanceStateError and InstanceNotFoundError when it is not to be built
        there any more.
        """
        arguments = {
            "uuid": instance.uuid,
            "fixed_ips": None if fixed_ips is None else [fixed_ip.as_dict() for fixed_ip in fixed_ips],
        }
        return PowerState(self._build(host, "spawn", arguments, self._timeouts.compute_spawn_timeout))

    def destroy(self, host: str, uuid: str) -> None:
        """Wait until nothing is left of what was built there; InstanceStateError for an instance that is in use."""
        self._build(host, "destroy", {"uuid": uuid}, self._timeouts.compute_destroy_timeout)

    # Calls of an evacuation, to its destination; errors as of those of a build.

    def sees_disk(self, host: str, uuid: str) -> bool:
        """Whether its storage has the instance's disk; ComputeError also when there is a guest of it there already."""
        return bool(self._build(host, "sees_disk", {"uuid": uuid}, ASK_S))

    def evacuate_here(
        self, host: str, uuid: str, fixed_ips: Sequence[FixedIp], *, shares_disk: bool, is_running: bool
    ) -> PowerState:
        """Wait until it is there, of the disk that is there or of its image, and runs or is off. May be repeated.

        InstanceStateError and InstanceNotFoundError when it is not to be there.
        """
        arguments = {
            "uuid": uuid,
            "fixed_ips": [fixed_ip.as_dict() for fixed_ip in fixed_ips],
            "shares_disk": shares_disk,
            "is_running": is_running,
        }
        return PowerState(self._build(host, "evacuate_here", arguments, self._timeouts.compute_spawn_timeout))

    def give_up_guest(self, host: str, uuid: str) -> None:
        """Wait until an instance does not run there that another host is about to start; nothing there is no error.

        InstanceStateError for one that is that host's own.
        """
        self._client.call(_at(host), "give_up_guest", {"uuid": uuid}, timeout_s=GIVE_UP_S)

    # Casts: the host changes the instance's state when it is done. The caller has set its task_state.

    def reboot_instance(self, host: str, uuid: str, reboot_type: str) -> None:
        """`reboot_type` is SOFT or HARD; task_state rebooting or rebooting_hard."""
        self._cast(host, "reboot_instance", uuid=uuid, reboot_type=reboot_type)

    def stop_instance(self, host: str, uuid: str) -> None:
        """task_state powering-off."""
        self._cast(host, "stop_instance", uuid=uuid)

    def start_instance(self, host: str, uuid: str) -> None:
        """task_state powering-on."""
        self._cast(host, "start_instance", uuid=uuid)

    def delete_instance(self, host: str, uuid: str) -> None:
        """task_state deleting; vm_state any."""
        self._cast(host, "delete_instance", uuid=uuid)

    def rebuild_instance(self, host: str, uuid: str, image_id: str | None) -> None:
        """task_state rebuilding; a stopped instance is stopped afterwards."""
        self._cast(host, "rebuild_instance", uuid=uuid, image_id=image_id)

    def snapshot_instance(self, host: str, uuid: str, image_id: str) -> None:
        """task_state image_snapshot; the image is queued, and its data comes from the instance's disk."""
        self._cast(host, "snapshot_instance", uuid=uuid, image_id=image_id)

    # Questions.

    def get_console_output(self, host: str, uuid: str, length: int | None = None) -> str:
        """The last `length` lines, or all that is kept; ConflictError while there is no console."""
        arguments = {"uuid": uuid, "length": length}
        return str(self._client.call(_at(host), "get_console_output", arguments, timeout_s=ASK_S))

    def host_info(self, host: str) -> Mapping[str, Any]:
        """What the hypervisor has: type, version, cpu_info, memory_mb, vcpus, disk_gb, free_disk_gb, running_vms."""
        info: Mapping[str, Any] = self._client.call(_at(host), "host_info", timeout_s=ASK_S)
        return info

    def list_guests(self, host: str, *, timeout_s: float = ASK_S) -> Mapping[str, PowerState]:
        """All that its hypervisor has, by uuid, also what no nova-compute has made; within `timeout_s` in all."""
        found: dict[str, PowerState] = {}
        after: str | None = None
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = max(deadline_s - time.monotonic(), 0.001)
            page = self._client.call(_at(host), "list_guests", {"after": after}, timeout_s=left_s)
            found |= {uuid: PowerState(state) for uuid, state in page.items()}
            # Each page has to begin behind the last one, so that this ends, whatever comes or goes meanwhile.
            if len(page) < GUESTS_PAGE or max(page) == after:
                return found
            after = max(page)

    def host_uptime(self, host: str) -> str:
        """In one line, as uptime(1) says it."""
        return str(self._client.call(_at(host), "host_uptime", timeout_s=ASK_S))

    def running_instances(self, host: str, uuids: Collection[str]) -> Sequence[str]:
        """Those of the given that run there."""
        arguments = {"uuids": list(uuids)}
        return tuple(self._client.call(_at(host), "running_instances", arguments, timeout_s=ASK_S))

    def _build(self, host: str, method: str, arguments: Mapping[str, Any], timeout_s: float) -> Any:
        try:
            return self._client.call(_at(host), method, arguments, timeout_s=timeout_s)
        except (RpcTimeoutError, NoSuchTargetError, RemoteError) as exc:
            raise ComputeError(str(exc)) from exc

    def _cast(self, host: str, method: str, **arguments: object) -> None:
        self._client.cast(_at(host), method, arguments, timeout_s=ASK_S)


def _at(host: str) -> Target:
    return Target("compute", host)
