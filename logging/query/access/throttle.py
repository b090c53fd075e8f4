"""How often an address may come with a wrong key: a bucket of wrong ones for each, in bounded memory."""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable

from cloud.logs.query.access.errors import TooManyFailuresError

BURST = 20
"""So many at once, and then one every REFILL_S seconds."""
REFILL_S = 3.0
MAX_PEERS = 10_000
"""Beyond that the address that failed longest ago is forgotten."""


class Throttle:
    """Within one event loop. Addresses that have not failed cost nothing; one that waits is heard again."""

    def __init__(self, clock_s: Callable[[], float], *, max_peers: int = MAX_PEERS) -> None:
        """`clock_s` gives monotonic seconds."""
        self._clock_s = clock_s
        self._max_peers = max_peers
        self._full_at_s: OrderedDict[str, float] = OrderedDict()

    def check(self, peer: str) -> None:
        """`TooManyFailuresError` while the address has no failure left.

        It is for what is not known to be good: whoever shares an address with a guesser is not shut out by that one.
        """
        wait_s = self._wait_s(network_of(peer))
        if wait_s > 0:
            retry_s = math.ceil(wait_s)
            raise TooManyFailuresError(f"too many wrong keys from {peer}: try again in {retry_s} s", retry_s)

    def failed(self, peer: str) -> None:
        network, now_s = network_of(peer), self._clock_s()
        full_at_s = max(self._full_at_s.pop(network, 0.0), now_s)
        self._full_at_s[network] = min(full_at_s, now_s + (BURST - 1) * REFILL_S) + REFILL_S
        while len(self._full_at_s) > self._max_peers or next(iter(self._full_at_s.values())) <= now_s:
            self._full_at_s.popitem(last=False)

    def give_back(self, peer: str) -> None:
        """A failure that was counted beforehand was none."""
        network = network_of(peer)
        if network in self._full_at_s:
            self._full_at_s[network] -= REFILL_S

    def is_exhausted(self, peer: str) -> bool:
        return self._wait_s(network_of(peer)) > 0

    def _wait_s(self, network: str) -> float:
        owed_s = self._full_at_s.get(network, 0.0) - self._clock_s()
        return max(0.0, owed_s - (BURST - 1) * REFILL_S)


def network_of(peer: str) -> str:
    """What counts as one address: of IPv6 the first 64 bits, since one host has all the rest."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address.packed, 64), strict=False))
    return str(address)
