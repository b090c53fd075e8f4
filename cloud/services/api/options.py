"""The options of nova-api in nova.conf: where it listens, whom it asks, and how much it answers at a time."""

from collections.abc import Mapping, Sequence

from oslo_config import cfg

from cloud.db.quotas import QUOTA_OPTIONS

_API_OPTIONS: Sequence[cfg.Opt] = (
    cfg.HostAddressOpt("osapi_compute_listen", default="127.0.0.1", help="The address that nova-api listens on."),
    cfg.PortOpt("osapi_compute_listen_port", default=8774, help="The port that it listens on; 0: any that is free."),
    cfg.StrOpt("osapi_compute_certificate", help="Its certificate chain (PEM), which any address but loopback takes."),
    cfg.StrOpt("osapi_compute_key", help="The private key of that certificate (PEM)."),
    cfg.URIOpt(
        "osapi_compute_link_prefix",
        schemes=["http", "https"],
        help="How links in answers begin, where clients reach nova-api by another address than they say.",
    ),
    cfg.BoolOpt(
        "allow_resize_to_same_host",
        default=False,
        help="Whether an instance may get another flavor on the host that it is on; else it goes to another one.",
    ),
    cfg.IntOpt("osapi_max_limit", default=1000, min=1, max=10_000, help="The most things in one answer."),
)

_IDENTITY_OPTIONS: Sequence[cfg.Opt] = (
    cfg.URIOpt(
        "url",
        default="http://127.0.0.1:5000",
        schemes=["http", "https"],
        help="Where the identity service is, without a version.",
    ),
)

_IMAGE_OPTIONS: Sequence[cfg.Opt] = (
    cfg.URIOpt(
        "url",
        default="http://127.0.0.1:9292",
        schemes=["http", "https"],
        help="Where the image service is, without a version.",
    ),
)

API_OPTIONS: Mapping[str, Sequence[cfg.Opt]] = {
    "DEFAULT": (*_API_OPTIONS, *QUOTA_OPTIONS),
    "identity": _IDENTITY_OPTIONS,
    "image": _IMAGE_OPTIONS,
}
"""By section."""
