"""The group `[simulated]` of nova.conf."""

from collections.abc import Sequence
from typing import Any

from oslo_config import cfg, types

from cloud.virt.simulated.knobs import DelayKnob, FailKnob


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
    cfg.ListOpt("fail", item_type=_Fail(), default=[], help="Steps that fail: STEP[@UUID][:TIMES or :PERCENT%], ..."),
    cfg.ListOpt("delay", item_type=_Delay(), default=[], help="Steps that take longer: STEP[@UUID]:SECONDS, ..."),
)
