"""A transport_url -> the broker it means."""

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from cloud.logs.loopback import is_loopback
from cloud.rpc.brokers.broker import Broker, BusUrlError
from cloud.rpc.brokers.rabbitmq import RabbitMq
from cloud.rpc.brokers.redis import Redis

_AMQP, _REDIS = ("amqp", "amqps"), ("redis", "rediss", "redis+socket")
_ENCRYPTED = ("amqps", "rediss")


def broker_for(url: str, *, ca_file: Path | None = None, allows_plaintext: bool = False) -> Broker:
    """The broker at `url`; BusUrlError for a scheme that is unknown, or plain text beyond this machine.

    TLS always checks the broker's certificate and name, against `ca_file` or else what the system trusts.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:  # its text may have the password
        raise BusUrlError("cannot use transport_url: it is not a URL") from None
    if any(character in url for character in "?#;"):  # kombu would take options and further hosts from there
        raise BusUrlError("cannot use transport_url: it has a ?, # or ;, which in a password are written %3F, %23, %3B")
    shown = _without_password(parts)
    if parts.scheme not in (*_AMQP, *_REDIS):
        expected = ", ".join(f"{scheme}://" for scheme in (*_AMQP, *_REDIS))
        raise BusUrlError(f"cannot use transport_url {shown}: expected one of {expected}")
    if parts.scheme == "redis+socket":
        if not parts.path or parts.netloc:
            raise BusUrlError(f"cannot use transport_url {shown}: expected redis+socket:///PATH")
    elif not parts.hostname:
        raise BusUrlError(f"cannot use transport_url {shown}: it names no host")
    elif parts.scheme not in _ENCRYPTED and not is_loopback(parts.hostname) and not allows_plaintext:
        raise BusUrlError(
            f"cannot use transport_url {shown}: passwords and requests would cross the network as plain text; "
            f"use {'amqps' if parts.scheme in _AMQP else 'rediss'}://, or set transport_allow_plaintext = True"
        )
    kind = RabbitMq if parts.scheme in _AMQP else Redis
    return kind(url, shown, _tls(parts, ca_file) if parts.scheme in _ENCRYPTED else None)


def _without_password(parts: SplitResult) -> str:
    user, at, place = parts.netloc.rpartition("@")
    if at:
        name, colon, _ = user.partition(":")
        place = f"{name}{':***' if colon else ''}@{place}"
    # Where a URL is written wrongly, the password may be in what then is its path.
    path = "***" if "@" in parts.path and parts.scheme != "redis+socket" else parts.path
    return f"{parts.scheme}://{place}{path}"


def _tls(parts: SplitResult, ca_file: Path | None) -> dict[str, Any]:
    cafile = str(ca_file) if ca_file else None
    if parts.scheme == "rediss":
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True, "ssl_ca_certs": cafile}
    return {"context": {"cafile": cafile, "check_hostname": True}, "server_hostname": parts.hostname}
