"""What one listener takes, from whom, and how much of it."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from cloud.logs.collector.framing import Framing

Scheme = Literal["tcp", "tls", "relp", "relp+tls", "udp", "unix"]
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Files in PEM."""

    certificate: Path
    """The server's, with whatever is between it and the root."""
    key: Path
    client_ca: Path | None
    """Who signs the clients' certificates; None: clients are not asked for one."""


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """One listener, checked."""

    scheme: Scheme
    host: str = ""
    port: int = 0
    path: str = ""
    """Of a unix socket."""
    socket_mode: int = 0o660
    """Of a unix socket: who may write to it."""
    framing: Framing = "auto"
    max_message_bytes: int = 1 << 20
    max_connections: int = 1000
    allowed_peers: tuple[Network, ...] = ()
    """Empty: everybody."""
    tls: TlsSettings | None = None

    def url(self, port: int | None = None) -> str:
        """As it is written in the settings, with `port` in the place of 0."""
        if self.scheme == "unix":
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port if port is None else port}"

    def allows(self, peer: str) -> bool:
        """Whether the address may send."""
        if not self.allowed_peers:
            return True
        address = ipaddress.ip_address(peer)
        return any(address in network for network in self.allowed_peers)
