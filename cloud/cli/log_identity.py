"""The identity service as the log collector asks it: the services' own check of tokens, in the collector's words."""

import httpx

from cloud.domain.identity import DEFAULT_DOMAIN_ID
from cloud.errors import IdentityUnavailableError, UnauthorizedError
from cloud.logs.query.access.errors import AccessUnavailableError, UnknownCallerError
from cloud.logs.query.access.identity import IdentityUser
from cloud.web.auth import TokenAuthentication

SIGN_IN_S = 20.0
"""So long a password may take to be checked: that is dear on purpose."""


class CloudIdentity:
    """Implements `IdentityService`. A token vouches for itself, so the collector needs no account of its own."""

    def __init__(self, url: str) -> None:
        """`url` is without a version."""
        self._authentication = TokenAuthentication(url)
        self._client = httpx.AsyncClient(base_url=url, timeout=SIGN_IN_S, trust_env=False)

    async def user(self, token: str) -> IdentityUser:
        try:
            caller = await self._authentication.caller(token)
        except UnauthorizedError as exc:
            raise UnknownCallerError(str(exc)) from exc
        except IdentityUnavailableError as exc:
            raise AccessUnavailableError(str(exc)) from exc
        return IdentityUser(caller.user_name, caller.project_id, caller.roles)

    async def sign_in(self, user: str, password: str, project: str) -> str:
        domain = {"id": DEFAULT_DOMAIN_ID}
        method = {"methods": ["password"], "password": {"user": {"name": user, "password": password, "domain": domain}}}
        scope = {"scope": {"project": {"name": project, "domain": domain}}} if project else {}
        try:
            answer = await self._client.post("/v3/auth/tokens", json={"auth": {"identity": method, **scope}})
        except httpx.HTTPError as exc:
            raise AccessUnavailableError(f"cannot ask the identity service for a token: {exc!r}") from exc
        token = answer.headers.get("X-Subject-Token")
        if answer.status_code == 201 and token:
            return str(token)
        if answer.status_code in (400, 401, 403, 404):
            raise UnknownCallerError("the identity service knows no such user, password and project")
        raise AccessUnavailableError(f"cannot ask the identity service for a token: it answers {answer.status_code}")

    async def close(self) -> None:
        await self._authentication.close()
        await self._client.aclose()
