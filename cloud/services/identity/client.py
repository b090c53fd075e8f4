"""Signing in as a service does: a token that is there when it is needed, and new before it expires."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from cloud.errors import IdentityUnavailableError, UnauthorizedError
from cloud.web.trust import trust

TIMEOUT_S = 10.0
RENEW_S = 120.0
"""So long before a token expires another one is fetched, that requests made with it may still take."""
PATIENCE_S = 120.0
"""So long one comes again when told to: where hundreds of hosts sign in at once, each password takes its time."""
REFUSED_S = 5.0
"""So long a refusal is not asked for again: wrong passwords are counted, and the right one would be late."""


@dataclass(frozen=True, slots=True)
class _Fetched:
    text: str = field(repr=False)
    renew_at_s: float


class IdentityClient:
    """A user's tokens for one project. Threads share it."""

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        project: str,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`url` is that of the identity service without a version; user and project by name.

        `wait` lets so many seconds pass, which `clock_s` counts.
        """
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False, verify=trust())
        self._body = {"auth": {"passwordCredentials": {"username": user, "password": password}, "tenantName": project}}
        self._clock_s = clock_s
        self._wait = wait
        self._lock = threading.Lock()
        self._token: _Fetched | None = None
        self._refused: tuple[float, str] | None = None

    def token(self) -> str:
        """A token that is good for a while; one thread fetches it, and others wait for that one.

        IdentityUnavailableError when the service does not answer, or not now; UnauthorizedError when it refuses.
        """
        with self._lock:
            now_s = self._clock_s()
            if self._token is None or now_s >= self._token.renew_at_s:
                if self._refused is not None and now_s < self._refused[0]:
                    raise UnauthorizedError(self._refused[1])
                self._token = self._fetch(now_s)
            return self._token.text

    def forget(self, token: str) -> None:
        """`token` was refused somewhere: it may have been ended, so the next one is another."""
        with self._lock:
            if self._token is not None and self._token.text == token:
                self._token = None

    def close(self) -> None:
        self._client.close()

    def _fetch(self, now_s: float) -> _Fetched:
        try:
            answer = self._client.post("/v2.0/tokens", json=self._body)
            while answer.status_code == 429 and (pause_s := self._pause_s(answer, now_s)) is not None:
                self._wait(pause_s)
                answer = self._client.post("/v2.0/tokens", json=self._body)
            if answer.status_code == 200:
                token = answer.json()["access"]["token"]
                lifetime_s = (
                    datetime.fromisoformat(token["expires"]) - datetime.fromisoformat(token["issued_at"])
                ).total_seconds()
                # By its lifetime and our own clock: the identity service's may be another.
                return _Fetched(str(token["id"]), self._clock_s() + max(lifetime_s - RENEW_S, lifetime_s / 2))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as exc:
            raise IdentityUnavailableError(f"cannot sign in: {type(exc).__name__}: {exc}") from exc
        if answer.status_code in (401, 403):
            message = "cannot sign in: the identity service refuses the user, the password or the project"
            self._refused = (now_s + REFUSED_S, message)
            raise UnauthorizedError(message)
        raise IdentityUnavailableError(f"cannot sign in: the identity service answers {answer.status_code}")

    def _pause_s(self, answer: httpx.Response, since_s: float) -> float | None:
        """How long to wait as `answer` says, give or take, lest all come again at once; None: no more."""
        pause_s = float(answer.headers.get("Retry-After", 1)) * random.uniform(0.5, 1.5)  # noqa: S311 - it keeps no secret
        return pause_s if self._clock_s() + pause_s < since_s + PATIENCE_S else None
