"""The group `[image]` of nova.conf."""

from collections.abc import Sequence

from oslo_config import cfg

IMAGE_OPTIONS: Sequence[cfg.Opt] = (
    cfg.HostAddressOpt("listen", default="127.0.0.1", help="The address that the image service listens on."),
    cfg.PortOpt("port", default=9292, help="The port that it listens on; 0: any that is free."),
    cfg.StrOpt("certificate", help="Its certificate chain (PEM), which any address but loopback takes."),
    cfg.StrOpt("key", help="The private key of that certificate (PEM)."),
    cfg.StrOpt("directory", default="$state_path/images", help="Where images are kept."),
    cfg.IntOpt("max_image_bytes", default=50 << 30, min=1, max=1 << 50, help="The most bytes that one image may have."),
    cfg.IntOpt("max_images", default=10_000, min=1, max=100_000, help="The most images that are kept."),
    cfg.URIOpt(
        "identity_url",
        default="http://127.0.0.1:5000",
        schemes=["http", "https"],
        help="Where the identity service is, without a version.",
    ),
)
