"""The scheduler's options of nova.conf, under the names of 2014 -> the rules of a choice."""

from collections.abc import Sequence
from typing import Any

from oslo_config import cfg, types

from cloud.services.scheduler.filters.table import DEFAULT_FILTER_NAMES, FILTER_NAMES, filters_by_name
from cloud.services.scheduler.ratios import Ratios
from cloud.services.scheduler.scheduler import Rules
from cloud.services.scheduler.weighers.disk import DiskWeigher
from cloud.services.scheduler.weighers.num_instances import NumInstancesWeigher
from cloud.services.scheduler.weighers.ram import RamWeigher
from cloud.services.scheduler.weighers.table import WEIGHERS


class _Chosen(types.List):
    """Names out of a table, each at most once."""

    def __init__(self, kind: str, known: Sequence[str]) -> None:
        super().__init__(item_type=types.String())
        self._kind = kind
        self._known = known

    def __call__(self, value: Any) -> Any:
        names = super().__call__(value)
        for name in names:
            if name not in self._known:
                raise ValueError(f"unknown {self._kind} {name!r}: expected some of {', '.join(self._known)}")
            if names.count(name) > 1:
                raise ValueError(f"{self._kind} {name} is listed more than once")
        return names


_DEFAULT_RATIOS = Ratios()


def _ratio(name: str, default: float, of_what: str) -> cfg.Opt:
    help_text = f"How much {of_what} of a host may be claimed, as a multiple of what it has."
    return cfg.FloatOpt(name, default=default, min=0.01, max=1000, help=help_text)


def _multiplier(name: str, default: float, weigher: str) -> cfg.Opt:
    help_text = f"What {weigher} counts; a negative number turns its order round, 0 leaves it out."
    return cfg.FloatOpt(name, default=default, min=-1000, max=1000, help=help_text)


SCHEDULER_OPTIONS: Sequence[cfg.Opt] = (
    cfg.Opt(
        "scheduler_default_filters",
        type=_Chosen("filter", FILTER_NAMES),
        default=list(DEFAULT_FILTER_NAMES),
        help="Which filters a host has to pass, in the order in which they are asked.",
    ),
    cfg.Opt(
        "scheduler_weight_classes",
        type=_Chosen("weigher", tuple(WEIGHERS)),
        default=list(WEIGHERS),
        help="What decides between hosts that pass.",
    ),
    cfg.IntOpt(
        "scheduler_host_subset_size",
        default=1,
        min=1,
        max=1000,
        help="Of so many best hosts any may be chosen first.",
    ),
    _ratio("ram_allocation_ratio", _DEFAULT_RATIOS.memory, "memory"),
    _ratio("cpu_allocation_ratio", _DEFAULT_RATIOS.vcpus, "of the vCPUs"),
    _ratio("disk_allocation_ratio", _DEFAULT_RATIOS.disk, "disk"),
    _multiplier("ram_weight_multiplier", 1.0, RamWeigher.name),
    _multiplier("disk_weight_multiplier", 1.0, DiskWeigher.name),
    _multiplier("num_instances_weight_multiplier", 0.0, NumInstancesWeigher.name),
)


def configured_rules(conf: cfg.ConfigOpts) -> Rules:
    """The rules that `conf` chooses."""
    ratios = Ratios(conf.ram_allocation_ratio, conf.cpu_allocation_ratio, conf.disk_allocation_ratio)
    filters = filters_by_name(ratios)
    multipliers = {
        RamWeigher.name: conf.ram_weight_multiplier,
        DiskWeigher.name: conf.disk_weight_multiplier,
        NumInstancesWeigher.name: conf.num_instances_weight_multiplier,
    }
    return Rules(
        filters=tuple(filters[name] for name in conf.scheduler_default_filters),
        weighers=tuple((WEIGHERS[name], multipliers[name]) for name in conf.scheduler_weight_classes),
        ratios=ratios,
        subset_size=conf.scheduler_host_subset_size,
    )
