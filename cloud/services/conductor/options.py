"""The options of nova-conductor in nova.conf: how much it tries for builds and moves, and for how long."""

from collections.abc import Sequence

from oslo_config import cfg

from cloud.services.compute.client import COMPUTE_CLIENT_OPTIONS
from cloud.services.conductor.builder import BuildLimits
from cloud.services.conductor.moves.patience import Patience
from cloud.services.network.options import NETWORK_OPTIONS

_DEFAULTS = BuildLimits()
_PATIENCE = Patience()

CONDUCTOR_OPTIONS: Sequence[cfg.Opt] = (
    cfg.IntOpt(
        "scheduler_max_attempts",
        default=_DEFAULTS.max_attempts,
        min=1,
        max=100,
        help="Hosts on which an instance is tried to be built, in all.",
    ),
    cfg.IntOpt(
        "instance_build_timeout",
        default=round(_DEFAULTS.timeout_s),
        min=0,
        max=7 * 86400,
        help="Seconds after which a build that does not move on is given up; 0: never.",
    ),
    cfg.IntOpt(
        "max_concurrent_builds",
        default=16,
        min=1,
        max=256,
        help="Builds that a nova-conductor has under way at a time.",
    ),
    cfg.IntOpt(
        "live_migration_timeout",
        default=round(_PATIENCE.transfer_s),
        min=0,
        max=7 * 86400,
        help="Seconds after which the transfer of an instance that runs is given up; 0: never.",
    ),
    cfg.IntOpt(
        "resize_transfer_timeout",
        default=round(_PATIENCE.disk_transfer_s),
        min=0,
        max=7 * 86400,
        help="Seconds after which the transfer of the disk of a resize or a cold migration is given up; 0: never.",
    ),
    cfg.IntOpt(
        "resize_confirm_window",
        default=0,
        min=0,
        max=30 * 86400,
        help="Seconds after which a resize or a cold migration that nobody has confirmed or reverted is confirmed "
        "by itself; 0: never.",
    ),
    cfg.IntOpt(
        "max_concurrent_migrations",
        default=16,
        min=1,
        max=256,
        help="Migrations that a nova-conductor has under way at a time.",
    ),
    *COMPUTE_CLIENT_OPTIONS,
    *NETWORK_OPTIONS,
)


def configured_limits(conf: cfg.ConfigOpts) -> BuildLimits:
    """As `conf` says, which has CONDUCTOR_OPTIONS."""
    return BuildLimits(max_attempts=conf.scheduler_max_attempts, timeout_s=conf.instance_build_timeout)


def configured_patience(conf: cfg.ConfigOpts) -> Patience:
    """The same; a source may be silent for as long as a service that is not called down yet."""
    return Patience(
        transfer_s=conf.live_migration_timeout,
        disk_transfer_s=conf.resize_transfer_timeout,
        silence_s=conf.service_down_time,
    )
