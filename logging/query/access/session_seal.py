"""A browser's session: what was shown at sign-in, sealed in a cookie by a key that only this collector has.

Nothing is kept here for a session. What is sealed is the key or token itself, so that each request asks anew whether it
is still good: who revokes a key ends the sessions that it began.
"""

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

SESSION_KEY = "session-key"
SESSION_S = 12 * 3600
"""So long a session lasts at most, however often it is used."""
MAX_COOKIE_CHARS = 3800
"""Browsers keep 4096, with the cookie's name and attributes."""


class SealError(Exception):
    """The key cannot be read or made, or what is to be sealed does not fit into a cookie."""


class Seal:
    """Within one data directory; a restart keeps sessions, and who removes the file ends them all."""

    def __init__(self, data: Path, now_s: Callable[[], float]) -> None:
        """`now_s` gives seconds since the epoch. `SealError` names the file."""
        self._now_s = now_s
        path = data / SESSION_KEY
        try:
            self._fernet = Fernet(_kept(path))
        except (OSError, ValueError) as exc:
            raise SealError(f"cannot use session key {path}: {exc}") from exc

    def close(self, credential: str) -> str:
        """A text that `open` takes for SESSION_S; `SealError` where a cookie cannot hold it."""
        text = self._fernet.encrypt_at_time(credential.encode(), int(self._now_s())).decode()
        if len(text) > MAX_COOKIE_CHARS:
            raise SealError("cannot keep a session: the token is too long for a cookie")
        return text

    def open(self, text: str) -> str | None:
        """What was sealed; None for what is not ours, or too old."""
        if len(text) > MAX_COOKIE_CHARS:
            return None
        try:
            return self._fernet.decrypt_at_time(text.encode(), SESSION_S, int(self._now_s())).decode()
        except (InvalidToken, UnicodeError):
            return None


def _kept(path: Path) -> bytes:
    """The key in the file, which is made where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        unfinished = path.with_name(f"{path.name}.new")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(key := Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        return key
