"""Passwords -> argon2 hashes, and the check of one: of bounded cost, and the same for a user that is not there."""

import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cloud.services.identity.throttle import ThrottledError

MAX_PASSWORD_LENGTH = 4096
WAIT_S = 5.0
"""So long one waits for a turn; whoever asks waits longer for the answer, or the turn would be lost on nobody."""
RETRY_S = 5
REMEMBERED_S = 300.0
"""From a check on: hundreds of nova-computes that start together sign in as one user, and each check costs 0.1 s."""
MAX_REMEMBERED = 1024


class Passwords:
    """Hashes as RFC 9106 section 4 recommends: argon2id, three passes over 64 MiB, `max_at_once` of them at most."""

    def __init__(
        self,
        max_at_once: int,
        hasher: PasswordHasher | None = None,
        *,
        wait_s: float = WAIT_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock_s` is monotonic."""
        self._hasher = hasher or PasswordHasher()
        self._turns = threading.BoundedSemaphore(max_at_once)
        self._wait_s = wait_s
        self._nobodys = self._hasher.hash(secrets.token_urlsafe())
        self._remembered = _Remembered(clock_s)

    def hash(self, password: str) -> str:
        """What to keep of a password; ThrottledError when no turn comes in time."""
        with self._turn():
            return self._hasher.hash(password)

    def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the password; None, for nobody's hash, takes as long and is False. ThrottledError as `hash`.

        A right one is remembered for a while, of a wrong one each guess costs the same again.
        """
        if password_hash is not None and self._remembered.has(password_hash, password):
            return True
        with self._turn():
            try:
                self._hasher.verify(password_hash or self._nobodys, password)
            except (VerificationError, InvalidHashError):
                return False
        if password_hash is None:
            return False
        self._remembered.add(password_hash, password)
        return True

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=self._wait_s):
            raise ThrottledError("too many passwords are being checked", retry_after_s=RETRY_S)
        try:
            yield
        finally:
            self._turns.release()


class _Remembered:
    """Right passwords of late, as digests under a key that only this process has; any thread may ask.

    A password that is changed has another hash, and so another digest.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._key = secrets.token_bytes(32)
        self._until_s: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def has(self, password_hash: str, password: str) -> bool:
        digest = self._digest(password_hash, password)
        with self._lock:
            return self._until_s.get(digest, 0.0) > self._clock_s()

    def add(self, password_hash: str, password: str) -> None:
        digest = self._digest(password_hash, password)
        with self._lock:
            self._until_s[digest] = self._clock_s() + REMEMBERED_S
            self._until_s.move_to_end(digest)
            while len(self._until_s) > MAX_REMEMBERED:
                self._until_s.popitem(last=False)

    def _digest(self, password_hash: str, password: str) -> bytes:
        return hmac.digest(self._key, f"{password_hash}\0{password}".encode(errors="surrogatepass"), "sha256")
