"""From what a request shows, a key or a token, to the principal that it is good for."""

import hmac
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cloud.logs.query.access.errors import (
    AccessError,
    AccessUnavailableError,
    UnknownCallerError,
    WrongStoreKeyError,
)
from cloud.logs.query.access.identity import Identity
from cloud.logs.query.access.keys import KeyFile, Keys, KeysError, is_key
from cloud.logs.query.access.principal import Principal
from cloud.logs.query.access.roles import ROLE_WORDS, Role
from cloud.logs.query.access.throttle import Throttle

GUESSES = (UnknownCallerError, WrongStoreKeyError)
"""What is counted, where something was shown."""
MAX_CREDENTIAL_LENGTH = 4096
ANYBODY = Principal("anybody on this machine", Role.OPERATOR)
"""Who asks on loopback as long as there is no key and no identity service."""
STORE_OWNER = Principal("who can read the data directory", Role.ADMIN)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request brings to say who asks; None where it does not."""

    credential: str | None = field(default=None, repr=False)
    """A key of ours, or a token of the identity service."""
    store_key: str | None = field(default=None, repr=False)
    """What lies in the data directory: who may read that may do everything."""

    @property
    def is_something(self) -> bool:
        return self.credential is not None or self.store_key is not None


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways to be somebody."""

    data: Path
    """Where the keys are."""
    store_key: str = field(repr=False)
    identity: Identity | None = None
    is_loopback_only: bool = True
    """Whether nobody can ask from elsewhere; then everybody may, until there is a key or an identity service."""


class Access:
    """Within one event loop."""

    def __init__(
        self,
        ways: Ways,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ways = ways
        self._keys = Keys(KeyFile(ways.data), clock_s, now)
        self.throttle = Throttle(clock_s)
        with suppress(KeysError):  # whoever asks is told
            self._keys.are_there()  # from here on it is noticed when they are not any more

    @property
    def is_open(self) -> bool:
        """Whether nobody is asked who he is."""
        try:
            return self._is_open()
        except AccessUnavailableError:
            return False

    async def identify(self, shown: Shown, peer: str) -> Principal:
        """Who asks; `AccessError` for nobody. Each wrong key is counted against the address that it comes from.

        Good keys of the collector's own are let in from everywhere, whatever else comes from there.
        """
        try:
            found = self._own(shown)
        except GUESSES:
            self.throttle.check(peer)
            if shown.is_something:
                self.throttle.failed(peer)
            raise
        if isinstance(found, Principal):
            return found
        self.throttle.check(peer)
        self.throttle.failed(peer)  # beforehand: many that are asked about at once are no more guesses than that
        try:
            principal = await found.principal(shown.credential or "")
        except AccessError as exc:
            if not isinstance(exc, GUESSES):
                self.throttle.give_back(peer)
            raise
        self.throttle.give_back(peer)
        return principal

    @property
    def has_identity(self) -> bool:
        """Whether users of the cloud may sign in."""
        return self._ways.identity is not None

    async def token(self, user: str, password: str, project: str, peer: str) -> str:
        """The identity service's token for a user in a project; `AccessError`. Wrong passwords count as wrong keys."""
        if self._ways.identity is None:
            raise UnknownCallerError("cannot sign in with a password: no identity service is set")
        self.throttle.check(peer)
        self.throttle.failed(peer)  # beforehand, as in `identify`
        try:
            token = await self._ways.identity.service.sign_in(user, password, project)
        except AccessError as exc:
            if not isinstance(exc, GUESSES):
                self.throttle.give_back(peer)
            raise
        self.throttle.give_back(peer)
        return token

    async def look_up(self, shown: Shown) -> Principal:
        """As `identify`, without counting: for asking again, whether what was good still is."""
        found = self._own(shown)
        return found if isinstance(found, Principal) else await found.principal(shown.credential or "")

    def _own(self, shown: Shown) -> Principal | Identity:
        """Who asks, or the identity service where only that can say it."""
        if shown.store_key is not None:
            if not hmac.compare_digest(shown.store_key.encode(), self._ways.store_key.encode()):
                raise WrongStoreKeyError(f"cannot use the store: the key is not that of {self._ways.data}")
            return STORE_OWNER
        if self._is_open():
            return ANYBODY
        if shown.credential is None:
            raise UnknownCallerError("this needs a key or a token: there is no Authorization: Bearer, nor X-Auth-Token")
        text = shown.credential
        if len(text) > MAX_CREDENTIAL_LENGTH or not (text.isascii() and text.isprintable()):
            raise UnknownCallerError("the key is not, or no longer, good")
        if is_key(text):
            return self._of_key(text)
        if self._ways.identity is None:
            raise UnknownCallerError("the key is not, or no longer, good")
        return self._ways.identity

    def _is_open(self) -> bool:
        if self._ways.identity is not None or not self._ways.is_loopback_only:
            return False
        try:
            return not self._keys.are_there()
        except KeysError as exc:
            raise AccessUnavailableError(str(exc)) from exc

    def _of_key(self, text: str) -> Principal:
        try:
            key = self._keys.find(text)
        except KeysError as exc:
            raise AccessUnavailableError(str(exc)) from exc
        if key is None:
            raise UnknownCallerError("the key is not, or no longer, good")
        return Principal(f"key {key.name}", ROLE_WORDS[key.role], (key.project,) if key.project is not None else None)
