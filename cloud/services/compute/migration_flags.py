"""The flags of libvirt by which nova.conf says how instances that run go to another host."""

from collections.abc import Sequence

from oslo_config import cfg, types

from cloud.services.compute.live_migrations import TransferModes

LIVE = "VIR_MIGRATE_LIVE"
"""The instance runs meanwhile; without it, it is paused, for as long as the transfer takes."""
FLAGS = (
    LIVE,
    "VIR_MIGRATE_PEER2PEER",
    "VIR_MIGRATE_TUNNELLED",
    "VIR_MIGRATE_PERSIST_DEST",
    "VIR_MIGRATE_UNDEFINE_SOURCE",
    "VIR_MIGRATE_PAUSED",
    "VIR_MIGRATE_NON_SHARED_DISK",
    "VIR_MIGRATE_NON_SHARED_INC",
    "VIR_MIGRATE_CHANGE_PROTECTION",
    "VIR_MIGRATE_UNSAFE",
    "VIR_MIGRATE_OFFLINE",
    "VIR_MIGRATE_COMPRESSED",
    "VIR_MIGRATE_ABORT_ON_ERROR",
    "VIR_MIGRATE_AUTO_CONVERGE",
    "VIR_MIGRATE_RDMA_PIN_ALL",
)


def _flags(name: str, default: Sequence[str], what: str) -> cfg.Opt:
    return cfg.ListOpt(
        name,
        item_type=types.String(choices=FLAGS),
        default=list(default),
        deprecated_opts=[cfg.DeprecatedOpt(name, group="libvirt")],
        help=f"How instances {what} go to another host: with {LIVE} they run meanwhile, else they are paused.",
    )


MIGRATION_FLAG_OPTIONS: Sequence[cfg.Opt] = (
    _flags(
        "live_migration_flag",
        ("VIR_MIGRATE_UNDEFINE_SOURCE", "VIR_MIGRATE_PEER2PEER"),
        "whose disks are on shared storage",
    ),
    _flags(
        "block_migration_flag",
        ("VIR_MIGRATE_UNDEFINE_SOURCE", "VIR_MIGRATE_PEER2PEER", "VIR_MIGRATE_NON_SHARED_INC"),
        "together with their disks",
    ),
)


def configured_modes(conf: cfg.ConfigOpts) -> TransferModes:
    """As `conf` says, which has MIGRATION_FLAG_OPTIONS."""
    return TransferModes(is_live=LIVE in conf.live_migration_flag, is_block_live=LIVE in conf.block_migration_flag)
