"""X-Auth-Token -> who asks, as the identity service says, which is asked again after a few seconds."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.types import Scope

from cloud.domain.caller import Caller
from cloud.errors import IdentityUnavailableError, UnauthorizedError

KEPT_S = 5.0
"""So long a token that was revoked may still be good here."""
MAX_KEPT = 10_000
TIMEOUT_S = 10.0
MAX_TOKEN_LENGTH = 4096


class TokenAuthentication:
    """Implements `Authenticate` for services other than identity itself. Used within one event loop."""

    def __init__(
        self, identity_url: str, public_paths: Collection[str] = (), clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        """`identity_url` without a version; `public_paths` are answered to anybody."""
        self._client = httpx.AsyncClient(base_url=identity_url, timeout=TIMEOUT_S, trust_env=False)
        self._public = frozenset(public_paths)
        self._clock_s = clock_s
        self._kept: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    async def __call__(self, scope: Scope) -> Caller | None:
        token = token_of(scope)
        if token is None:
            if scope["path"] in self._public:
                return None
            raise UnauthorizedError("this needs a token: there is no X-Auth-Token")
        return await self.caller(token)

    async def caller(self, token: str) -> Caller:
        """Whose token it is. UnauthorizedError, or IdentityUnavailableError."""
        key = hashlib.sha256(token.encode()).digest()
        now_s = self._clock_s()
        known = self._kept.get(key)
        if known is not None and now_s < known[0] and datetime.now(UTC) < known[1].expires_at:
            return known[1]
        caller = await self._ask(token)
        self._kept[key] = (now_s + KEPT_S, caller)
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return caller

    async def close(self) -> None:
        """Close the connections that are kept."""
        await self._client.aclose()

    async def _ask(self, token: str) -> Caller:
        try:
            answer = await self._client.get(
                "/v3/auth/tokens", params={"nocatalog": ""}, headers={"X-Auth-Token": token, "X-Subject-Token": token}
            )
            if answer.status_code == 200:
                return caller_of(answer.json()["token"])
        except (TimeoutError, httpx.HTTPError, ValueError, KeyError, TypeError) as exc:
            raise IdentityUnavailableError(f"cannot ask the identity service who asks: {exc!r}") from exc
        if answer.status_code in (401, 403, 404):
            raise UnauthorizedError("the token is not, or no longer, good")
        raise IdentityUnavailableError(f"cannot ask the identity service who asks: it answers {answer.status_code}")


def token_of(scope: Scope) -> str | None:
    """The token of a request; UnauthorizedError for one that cannot be any."""
    values = [value for name, value in scope["headers"] if name == b"x-auth-token"]
    if not values or not values[0]:
        return None
    text: str = values[0].decode("latin-1")
    if len(text) > MAX_TOKEN_LENGTH or not text.isascii() or not text.isprintable():
        raise UnauthorizedError("the token is not, or no longer, good")
    return text


def caller_of(token: dict[str, Any]) -> Caller:
    """What `token` of a v3 answer says; KeyError, TypeError or ValueError where it is not one."""
    project = token.get("project")
    return Caller(
        user_id=token["user"]["id"],
        user_name=token["user"]["name"],
        project_id=project["id"] if project else None,
        project_name=project["name"] if project else None,
        roles=frozenset(role["name"] for role in token.get("roles", ())),
        expires_at=datetime.fromisoformat(token["expires_at"]),
    )
