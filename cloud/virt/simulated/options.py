"""The group `[simulated]` of nova.conf."""

from collections.abc import Sequence
from typing import Any

from oslo_config import cfg, types

from cloud.virt.simulated.host import DEFAULT_MB_PER_S
from cloud.virt.simulated.knob import DelayKnob, FailKnob
from cloud.virt.simulated.knobs import MAX_MB_PER_S


class _Fail(types.String):
    """A text that is a FailKnob."""

    def __call__(self, value: Any) -> Any:
        FailKnob.parse(value)
        return value


class _Delay(types.String):
    """A text that is a DelayKnob."""

    def __call__(self, value: Any) -> Any:
        DelayKnob.parse(value)
        return value


SIMULATED_OPTIONS: Sequence[cfg.Opt] = (
    cfg.IntOpt("vcpus", min=1, max=100_000, help="Processors of the host; those of the machine by default."),
    cfg.IntOpt(
        "memory_mb", min=1, max=(1 << 31) - 1, help="Memory of the host in MiB; that of the machine by default."
    ),
    cfg.IntOpt("disk_gb", min=1, max=1 << 30, help="Disk of the host in GiB; that of the machine by default."),
    cfg.StrOpt("cpu_model", help="CPU of the host, by name; that of the machine by default."),
    cfg.StrOpt(
        "shared_disks_path",
        help="A directory that several hosts share, for their instances' disks; by default each host keeps its own.",
    ),
    cfg.FloatOpt(
        "transfer_mb_per_s",
        default=DEFAULT_MB_PER_S,
        min=0.001,
        max=MAX_MB_PER_S,
        help="How many MiB of memory and disks go to another host in a second.",
    ),
    cfg.HostAddressOpt("dhcp_server", help="The DHCP server that instances of this host have; my_ip by default."),
    cfg.HostAddressOpt("vnc_address", help="Where this host serves its instances' screens; my_ip by default."),
    cfg.ListOpt("fail", item_type=_Fail(), default=[], help="Steps that fail: STEP[@UUID][:TIMES or :PERCENT%], ..."),
    cfg.ListOpt("delay", item_type=_Delay(), default=[], help="Steps that take longer: STEP[@UUID]:SECONDS, ..."),
)
