"""The collector's own keys: a file in the data directory that the command line writes and a running collector follows.

Of a key only the SHA-256 is kept. Argon2 and its like make guessing dear where people choose; nobody can guess 256
random bits, so a plain hash keeps them as well, and costs a request a microsecond rather than a tenth of a second.
"""

import hashlib
import hmac
import math
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cloud.logs.query.access.roles import ROLE_WORDS, Role
from cloud.logs.query.data_file import changing, replace, version_of

KEYS = "keys.json"
PREFIX = "cloudlog"
MAX_KEYS = 1000
MAX_FILE_BYTES = 1 << 20
NAME = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"
PROJECT = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}"
_SECRET_BYTES = 32
_KEY = re.compile(rf"{PREFIX}_([0-9a-f]{{16}})_([A-Za-z0-9_-]{{43}})")


class KeysError(Exception):
    """The keys cannot be read or changed; the message names the file and the cause."""


class Key(BaseModel):
    """What the file says of a key, under these names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[0-9a-f]{16}$")
    name: str = Field(pattern=rf"^{NAME}$")
    role: str
    project: str | None = Field(None, pattern=rf"^{PROJECT}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    created_at: datetime
    expires_at: datetime | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "Key":
        if self.role not in ROLE_WORDS:
            raise ValueError(f"expected a role of {', '.join(ROLE_WORDS)}, not {self.role!r}")
        if (ROLE_WORDS[self.role] is Role.MEMBER) != (self.project is not None):
            raise ValueError("a member has a project, and no other role has one")
        if any(moment is not None and moment.tzinfo is None for moment in (self.created_at, self.expires_at)):
            raise ValueError("a time has no zone")
        return self

    def has_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and now >= self.expires_at


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int = Field(1, ge=1, le=1)
    keys: list[Key] = Field(max_length=MAX_KEYS)

    @model_validator(mode="after")
    def _differ(self) -> "_Content":
        if len({key.id for key in self.keys}) < len(self.keys) or len({key.name for key in self.keys}) < len(self.keys):
            raise ValueError("two keys have the same name or id")
        return self


@dataclass(frozen=True, slots=True)
class Wanted:
    """A key that is to be made."""

    name: str
    role: Role
    project: str | None = None
    expires_at: datetime | None = None


class KeyFile:
    """The keys in a data directory. Any number of processes may read; one at a time changes them."""

    def __init__(self, data: Path) -> None:
        self.path = data / KEYS

    def read(self) -> Mapping[str, Key] | None:
        """The keys by id, in the order in which they were made; None where there has never been one. `KeysError`."""
        try:
            with self.path.open("rb") as file:
                text = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise KeysError(f"cannot read keys {self.path}: {exc}") from exc
        if len(text) > MAX_FILE_BYTES:
            raise KeysError(f"cannot read keys {self.path}: more than {MAX_FILE_BYTES} bytes")
        try:
            return {key.id: key for key in _Content.model_validate_json(text).keys}
        except ValidationError as exc:
            first = exc.errors()[0]  # without the value: it may be a key
            place = ".".join(str(part) for part in first["loc"])
            raise KeysError(f"cannot read keys {self.path}: {place}: {first['msg']}") from exc

    def create(self, wanted: Wanted) -> str:
        """A new key: its text, which is kept nowhere. `KeysError`, with nothing changed."""
        key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(_SECRET_BYTES)
        text = f"{PREFIX}_{key_id}_{secret}"
        with self._changing() as keys:
            if any(key.name == wanted.name for key in keys.values()):
                raise KeysError(f"cannot create key {wanted.name}: there is one of that name")
            if len(keys) >= MAX_KEYS:
                raise KeysError(f"cannot create key {wanted.name}: there are {MAX_KEYS}, revoke some")
            try:
                keys[key_id] = Key(
                    id=key_id,
                    name=wanted.name,
                    role=wanted.role.word,
                    project=wanted.project,
                    sha256=_hash(text),
                    created_at=datetime.now(UTC).replace(microsecond=0),
                    expires_at=wanted.expires_at,
                )
            except ValidationError as exc:
                first = exc.errors()[0]
                place = ".".join(str(part) for part in first["loc"])
                raise KeysError(f"cannot create key {wanted.name!r}: {place}: {first['msg']}") from exc
        return text

    def revoke(self, name: str) -> Key:
        """Forget the key of that name; `KeysError` when there is none."""
        with self._changing() as keys:
            found = next((key for key in keys.values() if key.name == name), None)
            if found is None:
                raise KeysError(f"cannot revoke key {name}: there is none of that name in {self.path}")
            del keys[found.id]
        return found

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Key]]:
        """The keys, to be changed in place: written when the context is left without an error."""
        try:
            with changing(self.path.parent):
                keys = dict(self.read() or {})
                yield keys
                replace(self.path, _Content(keys=list(keys.values())).model_dump_json(indent=1) + "\n")
        except OSError as exc:
            raise KeysError(f"cannot change keys {self.path}: {exc}") from exc


class Keys:
    """What a running collector knows of the file, read again soon after it has changed."""

    LOOK_S = 1.0

    def __init__(self, file: KeyFile, clock_s: Callable[[], float], now: Callable[[], datetime]) -> None:
        """`clock_s` gives monotonic seconds, `now` the time with its zone."""
        self._file = file
        self._clock_s = clock_s
        self._now = now
        self._look_s = -math.inf
        self._version: object = ()
        self._known: Mapping[str, Key] | None = None
        self._cause: KeysError | None = None

    def are_there(self) -> bool:
        """Whether a key was ever made here; `KeysError` when the file cannot be read, or is there no more."""
        return self._current() is not None

    def find(self, text: str) -> Key | None:
        """The key of that text, unless it has expired; None for any other text. `KeysError` as `are_there`."""
        keys = self._current() or {}
        match = _KEY.fullmatch(text)
        key = keys.get(match[1]) if match else None
        if key is None or not hmac.compare_digest(key.sha256, _hash(text)) or key.has_expired(self._now()):
            return None
        return key

    def is_good(self, key: Key) -> bool:
        """Whether a key that was found before is still there and has not expired."""
        return (self._current() or {}).get(key.id) == key and not key.has_expired(self._now())

    def _current(self) -> Mapping[str, Key] | None:
        if self._clock_s() >= self._look_s:
            self._look_s = self._clock_s() + self.LOOK_S
            version = version_of(self._file.path)
            if version != self._version or self._cause is not None:
                try:
                    found = self._file.read()
                    if found is None and self._known is not None:  # nobody may open what was closed by removing it
                        raise KeysError(f"cannot read keys {self._file.path}: there is none any more")
                    self._known, self._cause = found, None
                except KeysError as exc:
                    self._cause = exc
                self._version = version
        if self._cause is not None:
            raise self._cause
        return self._known


def is_key(text: str) -> bool:
    """Whether a text is meant to be one of our keys, be it good or not."""
    return text.startswith(f"{PREFIX}_")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
