"""The options of nova-network in nova.conf: the network that instances are in. nova-conductor has them too."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from oslo_config import cfg, types

from cloud.domain.service import MAX_TEXT_LENGTH


@dataclass(frozen=True, slots=True)
class Network:
    """Where the addresses of instances are from."""

    label: str = "private"
    cidr: str = "10.0.0.0/16"

    @property
    def gateway(self) -> str:
        """The first address, which nova-network has itself."""
        return str(IPv4Network(self.cidr)[1])


_DEFAULTS = Network()


class _Network(types.String):
    """A network of IPv4 with room for an instance beside its gateway."""

    def __call__(self, value: Any) -> Any:
        network = IPv4Network(value)
        if network.prefixlen > 30:  # of four addresses, one is left
            raise ValueError(f"{network} has no address to give away")
        return str(network)


class _Label(types.String):
    """What a column and a line of the log hold."""

    def __call__(self, value: Any) -> Any:
        if not (1 <= len(value) <= MAX_TEXT_LENGTH and value.isprintable()):
            raise ValueError(f"a label is 1 to {MAX_TEXT_LENGTH} printable characters")
        return value


NETWORK_OPTIONS: Sequence[cfg.Opt] = (
    cfg.Opt(
        "fixed_range",
        type=_Network(),
        default=_DEFAULTS.cidr,
        help="The addresses of instances; its own, the first, which is the gateway's, and the last are no instance's.",
    ),
    cfg.Opt("network_label", type=_Label(), default=_DEFAULTS.label, help="What the network is called."),
)


def configured_network(conf: cfg.ConfigOpts) -> Network:
    """As `conf` says, which has NETWORK_OPTIONS."""
    return Network(conf.network_label, conf.fixed_range)
