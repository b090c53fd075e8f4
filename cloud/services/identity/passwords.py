"""Passwords -> argon2 hashes, and the check of one: of bounded cost, and the same for a user that is not there."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cloud.services.identity.throttle import ThrottledError

MAX_PASSWORD_LENGTH = 4096
WAIT_S = 5.0
"""So long one waits for a turn; whoever asks waits longer for the answer, or the turn would be lost on nobody."""
RETRY_S = 5


class Passwords:
    """Hashes as RFC 9106 section 4 recommends: argon2id, three passes over 64 MiB, `max_at_once` of them at most."""

    def __init__(self, max_at_once: int, hasher: PasswordHasher | None = None, *, wait_s: float = WAIT_S) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = threading.BoundedSemaphore(max_at_once)
        self._wait_s = wait_s
        self._nobodys = self._hasher.hash(secrets.token_urlsafe())

    def hash(self, password: str) -> str:
        """What to keep of a password; ThrottledError when no turn comes in time."""
        with self._turn():
            return self._hasher.hash(password)

    def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the password; None, for nobody's hash, takes as long and is False. ThrottledError as `hash`."""
        with self._turn():
            try:
                self._hasher.verify(password_hash or self._nobodys, password)
            except (VerificationError, InvalidHashError):
                return False
            return password_hash is not None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=self._wait_s):
            raise ThrottledError("too many passwords are being checked", retry_after_s=RETRY_S)
        try:
            yield
        finally:
            self._turns.release()
