"""The group `[identity]` of identity.conf."""

import re
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg, types

from cloud.services.identity.catalog import Endpoint

_URL = re.compile(r"https?://[^\s/?#@%]+(/([^\s%]|%\((tenant|project)_id\)s)*)?")


class _UrlTemplate(types.String):
    """An http or https URL, in which %(tenant_id)s stands for the project's id; nothing, for a service that is not."""

    def __call__(self, value: Any) -> Any:
        if value and _URL.fullmatch(value) is None:
            raise ValueError("it reads http://HOST:PORT/PATH, with %(tenant_id)s for the project's id")
        return value


IDENTITY_OPTIONS: Sequence[cfg.Opt] = (
    cfg.HostAddressOpt("listen", default="127.0.0.1", help="The address to serve on; beyond loopback with TLS only."),
    cfg.PortOpt("port", default=5000, help="The port to serve on."),
    cfg.StrOpt("certificate", help="The file with the certificate, and those up to its root's; none: no TLS."),
    cfg.StrOpt("key", help="The file with the certificate's private key."),
    cfg.Opt(
        "public_url",
        type=_UrlTemplate(),
        help="Where clients find this service, without a version; by default where it listens.",
    ),
    cfg.IntOpt("token_expiration_s", default=3600, min=60, max=7 * 86400, help="Seconds that a token is good for."),
    cfg.StrOpt(
        "token_key_file",
        default="$state_path/identity-token.key",
        help="The key that signs tokens; made at the first start. All identity services of a cloud have the same.",
    ),
    cfg.IntOpt(
        "max_password_checks",
        default=2,
        min=1,
        max=64,
        help="Passwords that are checked at the same time: 64 MiB of memory each.",
    ),
    cfg.StrOpt("region", default="RegionOne", regex=r"^[\w.-]{1,64}$", help="The region that the catalog names."),
    cfg.Opt(
        "compute_url",
        type=_UrlTemplate(),
        default="http://127.0.0.1:8774/v2.1/%(tenant_id)s",
        help="Where the catalog says nova-api is; nothing: not in the catalog. So for the other URLs.",
    ),
    cfg.Opt("volume_url", type=_UrlTemplate(), default="http://127.0.0.1:8776/v1/%(tenant_id)s", help="Volumes."),
    cfg.Opt("image_url", type=_UrlTemplate(), default="http://127.0.0.1:9292", help="Images."),
    cfg.Opt("ec2_url", type=_UrlTemplate(), default="http://127.0.0.1:8773/services/Cloud", help="nova-api's EC2."),
)


def configured_endpoints(conf: cfg.ConfigOpts) -> tuple[Endpoint, ...]:
    """The services that the catalog names, apart from identity."""
    group = conf.identity
    return (
        Endpoint("compute", "nova", group.compute_url or ""),
        Endpoint("volume", "cinder", group.volume_url or ""),
        Endpoint("image", "glance", group.image_url or ""),
        Endpoint("ec2", "ec2", group.ec2_url or ""),
    )


def configured_public_url(conf: cfg.ConfigOpts) -> str | None:
    """Where clients find the identity service; None where no port was chosen beforehand."""
    group = conf.identity
    if group.public_url:
        return str(group.public_url)
    if not group.port:
        return None
    scheme = "https" if group.certificate else "http"
    host = f"[{group.listen}]" if ":" in group.listen else group.listen
    return f"{scheme}://{host}:{group.port}"
