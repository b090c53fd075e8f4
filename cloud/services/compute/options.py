"""The options of nova-compute in nova.conf: its driver, what it keeps back of its host, and how often it looks."""

from collections.abc import Mapping, Sequence

from oslo_config import cfg

from cloud.services.compute.migration_flags import MIGRATION_FLAG_OPTIONS
from cloud.virt.drivers import DRIVER_OPTIONS, DRIVERS

_COMPUTE_OPTIONS: Sequence[cfg.Opt] = (
    cfg.StrOpt("compute_driver", default="simulated", choices=DRIVERS, help="The hypervisor."),
    cfg.HostAddressOpt("my_ip", help="The address of this host; that which its packets leave from by default."),
    cfg.IntOpt(
        "reserved_host_memory_mb",
        default=512,
        min=0,
        max=(1 << 31) - 1,
        help="Memory in MiB that instances do not get.",
    ),
    cfg.IntOpt("reserved_host_disk_mb", default=0, min=0, max=1 << 50, help="Disk in MiB that instances do not get."),
    cfg.IntOpt(
        "sync_power_state_interval",
        default=600,
        min=1,
        max=86400,
        help="Seconds between two comparisons of what the hypervisor runs with what the database says.",
    ),
    cfg.IntOpt(
        "instance_build_timeout",
        default=1800,
        min=0,
        max=7 * 86400,
        help="Seconds after which an instance that nobody goes on building is in error; 0: never.",
    ),
    cfg.BoolOpt(
        "resume_guests_state_on_host_boot",
        default=False,
        help="Whether instances that ran before this host was off are started again.",
    ),
    cfg.HostAddressOpt(
        "vncserver_proxyclient_address",
        help="Where instances of this host offer their screens to nova-novncproxy; my_ip by default.",
    ),
    cfg.IntOpt(
        "image_cache_bytes", default=100 << 30, min=1, max=1 << 60, help="Bytes of images that are kept on this host."
    ),
)

_IDENTITY_OPTIONS: Sequence[cfg.Opt] = (
    cfg.URIOpt(
        "url",
        default="http://127.0.0.1:5000",
        schemes=["http", "https"],
        help="Where the identity service is, without a version.",
    ),
    cfg.StrOpt("user", help="The user that nova-compute signs in as, for images; its role is service."),
    cfg.StrOpt("password", secret=True, help="That user's password."),
    cfg.StrOpt("project", help="The project that it signs in to."),
)

_IMAGE_OPTIONS: Sequence[cfg.Opt] = (
    cfg.URIOpt(
        "url",
        default="http://127.0.0.1:9292",
        schemes=["http", "https"],
        help="Where the image service is, without a version.",
    ),
)

COMPUTE_OPTIONS: Mapping[str, Sequence[cfg.Opt]] = {
    "DEFAULT": (*_COMPUTE_OPTIONS, *MIGRATION_FLAG_OPTIONS),
    "identity": _IDENTITY_OPTIONS,
    "image": _IMAGE_OPTIONS,
    **DRIVER_OPTIONS,
}
"""By section."""
