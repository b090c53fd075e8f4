"""The part of an inventory that says where the collector is, how hosts reach it, and how it runs."""

import ipaddress
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictBool, StrictInt, model_validator

from cloud.logs.collector.redaction_patterns import MAX_PATTERNS, checked_pattern
from cloud.logs.generator.fields import AbsolutePath, Address, Age, Hostname, HttpUrl, Part, PeerName, Port
from cloud.logs.loopback import is_loopback

Protocol = Literal["relp", "tcp"]

MARK_INTERVAL_S = 60
"""How often a host says that it is there: soon enough for a broken session to be noticed, and 1,440 lines a day."""

_STATE = PurePosixPath("/var/lib")
_UNPRIVILEGED_PORTS = 1024


class TlsFiles(Part):
    """A host's own files, where they are not those of `collector.tls`."""

    certificate: AbsolutePath | None = None
    key: AbsolutePath | None = None

    @property
    def given(self) -> dict[str, str]:
        return self.model_dump(exclude_none=True)


class Tls(Part):
    """What a host shows the collector, and what it wants to be shown. The files are the operator's to put there."""

    ca: AbsolutePath
    certificate: AbsolutePath
    key: AbsolutePath
    peer: PeerName
    """The name that the collector's certificate must have, whatever name or address it is reached by."""


class Retention(Part):
    """How long the collector keeps rows; what isn't given does not limit."""

    debug: Age | None = None
    rest: Age | None = None
    max_gb: StrictInt | None = Field(None, ge=1, le=1_000_000)

    @property
    def given(self) -> dict[str, str | int]:
        return self.model_dump(exclude_none=True)


class Redaction(Part):
    """What the collector masks in the lines of senders that do not do it themselves; as `[redaction]` of its file."""

    defaults: StrictBool = False
    patterns: tuple[Annotated[str, AfterValidator(checked_pattern)], ...] = Field((), max_length=MAX_PATTERNS)

    @property
    def is_given(self) -> bool:
        return self.defaults or bool(self.patterns)


class Identity(Part):
    """Where the collector asks whose token it is shown; as `[identity]` of its file."""

    auth_url: HttpUrl
    roles: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")], Literal["reader", "operator", "admin"]] = (
        Field({"admin": "admin"}, max_length=100)
    )


class CollectorServer(Part):
    """How the collector runs, for the one host that it runs on."""

    host: Hostname
    listen: Address | None = None
    """The address to bind; without it, `collector.address` where that is one, and all addresses where it is a name."""
    certificate: AbsolutePath | None = None
    key: AbsolutePath | None = None
    client_ca: AbsolutePath | None = None
    """What must have signed the hosts' certificates; without it, the CA of `collector.tls`."""
    http: str = Field("127.0.0.1:8080", pattern=r"^([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}$")
    http_certificate: AbsolutePath | None = None
    http_key: AbsolutePath | None = None
    http_names: tuple[Address, ...] = Field((), max_length=100)
    """What clients call it, where `http` is neither that nor on loopback."""
    identity: Identity | None = None
    data: AbsolutePath = "/var/lib/cloud/logs"
    buffer_bytes: StrictInt = Field(192 << 20, ge=32 << 20, le=8 << 30)
    host_daily_bytes: StrictInt | None = Field(None, ge=0, le=1 << 60)
    """What one host may have stored a day; without it, a quarter of `retention.max_gb`; 0 does not limit."""
    retention: Retention = Retention()
    redaction: Redaction = Redaction()
    program: AbsolutePath = "/usr/local/bin/cloud"

    @model_validator(mode="after")
    def _http_has_what_it_needs(self) -> Self:
        if (self.http_certificate is None) != (self.http_key is None):
            raise ValueError("http_certificate and http_key go together")
        host = self.http.rpartition(":")[0].strip("[]")
        if not is_loopback(host) and self.http_key is None:
            raise ValueError(
                f"http_certificate and http_key are missing: without TLS {self.http} would have to be on loopback"
            )
        if host in ("0.0.0.0", "::") and not self.http_names:  # noqa: S104 - it is looked for
            raise ValueError(f"http_names is missing: nobody calls the collector {host}")
        return self

    @property
    def state_directory(self) -> str | None:
        """`data` below /var/lib, which systemd then makes; None where it is elsewhere, and somebody else has to."""
        below = PurePosixPath(self.data).is_relative_to(_STATE)
        return str(PurePosixPath(self.data).relative_to(_STATE)) if below and self.data != str(_STATE) else None


class Collector(Part):
    """Where hosts send their syslog, and how."""

    address: Address
    port: Port
    protocol: Protocol = "relp"
    tls: Tls | None = None
    tcp_port: Port | None = None
    """Plain TCP, for the services of hosts without rsyslog: they speak neither RELP nor TLS."""
    allow_plaintext: StrictBool = False
    relp_window: StrictInt = Field(2000, ge=1, le=1_000_000)
    mark_interval_s: StrictInt = Field(MARK_INTERVAL_S, ge=1, le=3600)
    server: CollectorServer | None = None

    @property
    def listeners(self) -> tuple[str, ...]:
        """The URLs that the collector listens on: for the hosts' rsyslogds, then for services without one."""
        is_name = not _is_ip(self.address)
        address = bracketed((self.server and self.server.listen) or ("0.0.0.0" if is_name else self.address))  # noqa: S104
        scheme = {"relp": "relp+tls", "tcp": "tls"}[self.protocol] if self.tls else self.protocol
        hosts = f"{scheme}://{address}:{self.port}"
        return (hosts, f"tcp://{address}:{self.tcp_port}") if self.tcp_port else (hosts,)

    @property
    def has_low_port(self) -> bool:
        """Whether binding takes CAP_NET_BIND_SERVICE."""
        http_port = self.server and int(self.server.http.rpartition(":")[2])
        return any(port < _UNPRIVILEGED_PORTS for port in (self.port, self.tcp_port, http_port) if port)

    @property
    def is_plain_tcp(self) -> bool:
        """Whether what takes the hosts' syslog takes that of services too."""
        return self.protocol == "tcp" and self.tls is None

    @property
    def is_plaintext_beyond_loopback(self) -> bool:
        """Whether the network between can read what hosts send."""
        return self.tls is None and not is_loopback(self.address)

    @property
    def direct_url(self) -> str:
        """`tcp://HOST:PORT`, where services send that have no rsyslog; an IPv6 address in brackets."""
        return f"tcp://{bracketed(self.address)}:{self.tcp_port or self.port}"

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if self.tcp_port == self.port:
            raise ValueError(f"tcp_port is {self.port}, as port: each protocol needs a port of its own")
        return self

    @model_validator(mode="after")
    def _server_has_what_tls_needs(self) -> Self:
        if self.server and self.tls and not (self.server.certificate and self.server.key):
            raise ValueError("server.certificate and server.key are missing: hosts want TLS")
        return self


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def bracketed(address: str) -> str:
    """`address` as a URL has it: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address
