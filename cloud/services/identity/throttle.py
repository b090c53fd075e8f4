"""How often one may guess a password: buckets of wrong guesses, by user and by address, in bounded memory."""

import hashlib
import ipaddress
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from cloud.errors import TooManyRequestsError


class ThrottledError(TooManyRequestsError):
    """Not now; `retry_after_s` says when. Raised and answered within the identity service."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(f"{message}; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many wrong guesses at once, and then one every `refill_s` seconds."""

    burst: int
    refill_s: float


@dataclass(frozen=True, slots=True)
class Allowances:
    """What each kind of bucket holds."""

    user: Allowance = Allowance(burst=10, refill_s=6.0)
    """For one user, from all addresses that the user has not signed in from."""
    known: Allowance = Allowance(burst=10, refill_s=6.0)
    """For one user from one address from which the user has signed in: strangers cannot use it up."""
    peer: Allowance = Allowance(burst=50, refill_s=1.0)
    """From one address, whoever the users."""


DEFAULT_ALLOWANCES = Allowances()
MAX_BUCKETS = 20_000
"""Of each kind; beyond that the one that was used longest ago is forgotten. Some 4 MB in all."""

_Key = bytes


class Throttle:
    """Counts in this process alone. Threads share it."""

    def __init__(
        self,
        allowances: Allowances = DEFAULT_ALLOWANCES,
        *,
        clock_s: Callable[[], float],
        max_buckets: int = MAX_BUCKETS,
    ) -> None:
        """`clock_s` gives monotonic seconds."""
        self._lock = threading.Lock()
        self._users = _Buckets(allowances.user, clock_s, max_buckets)
        self._known = _Buckets(allowances.known, clock_s, max_buckets)
        self._peers = _Buckets(allowances.peer, clock_s, max_buckets)
        self._signed_in: OrderedDict[_Key, None] = OrderedDict()
        self._max_signed_in = max_buckets

    def check(self, user: str, peer: str) -> None:
        """ThrottledError when the user or the address has guessed wrong too often; nothing is counted."""
        with self._lock:
            buckets, key = self._of_user(user, peer)
            wait_s = max(buckets.wait_s(key), self._peers.wait_s(_key(peer_network(peer))))
        if wait_s > 0:
            raise ThrottledError("too many wrong passwords", retry_after_s=math.ceil(wait_s))

    def failed(self, user: str, peer: str) -> None:
        with self._lock:
            buckets, key = self._of_user(user, peer)
            buckets.take(key)
            self._peers.take(_key(peer_network(peer)))

    def succeeded(self, user: str, peer: str) -> None:
        """Forget the user's wrong guesses. Those of the address stay: one account there is no licence to guess others'.

        What others have guessed meanwhile for this user stays too, once the user is known at this address.
        """
        with self._lock:
            pair = _key(user, peer_network(peer))
            if pair not in self._signed_in:
                self._users.forget(_key(user))
            self._known.forget(pair)
            self._signed_in[pair] = None
            self._signed_in.move_to_end(pair)
            while len(self._signed_in) > self._max_signed_in:
                self._signed_in.popitem(last=False)

    def _of_user(self, user: str, peer: str) -> "tuple[_Buckets, _Key]":
        pair = _key(user, peer_network(peer))
        return (self._known, pair) if pair in self._signed_in else (self._users, _key(user))


class _Buckets:
    """Full ones are not kept: who has not guessed wrong costs nothing."""

    def __init__(self, allowance: Allowance, clock_s: Callable[[], float], max_buckets: int) -> None:
        self._allowance = allowance
        self._clock_s = clock_s
        self._max_buckets = max_buckets
        self._full_at_s: OrderedDict[_Key, float] = OrderedDict()  # by when each was last taken from

    def wait_s(self, key: _Key) -> float:
        """How long until one more guess is allowed; 0: now."""
        owed_s = self._full_at_s.get(key, 0.0) - self._clock_s()
        return max(0.0, owed_s - (self._allowance.burst - 1) * self._allowance.refill_s)

    def take(self, key: _Key) -> None:
        now_s = self._clock_s()
        full_at_s = max(self._full_at_s.pop(key, 0.0), now_s)
        most_s = self._allowance.burst * self._allowance.refill_s  # guesses that overtook the check cost no more
        self._full_at_s[key] = min(full_at_s + self._allowance.refill_s, now_s + most_s)
        while self._full_at_s and (
            len(self._full_at_s) > self._max_buckets or next(iter(self._full_at_s.values())) <= now_s
        ):
            self._full_at_s.popitem(last=False)

    def forget(self, key: _Key) -> None:
        self._full_at_s.pop(key, None)


def peer_network(peer: str) -> str:
    """What counts as one address: of IPv6 the first 64 bits, since one host has all the rest."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address.packed, 64), strict=False))


def _key(*parts: str) -> _Key:
    # A digest: what is kept has one length, and no name that somebody typed, which may be a password.
    return hashlib.blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=16).digest()
