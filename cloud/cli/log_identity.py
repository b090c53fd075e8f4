"""The identity service as the log collector asks it: the services' own check of tokens, in the collector's words."""

from cloud.errors import IdentityUnavailableError, UnauthorizedError
from cloud.logs.query.access.errors import AccessUnavailableError, UnknownCallerError
from cloud.logs.query.access.identity import IdentityUser
from cloud.web.auth import TokenAuthentication


class CloudIdentity:
    """Implements `IdentityService`. A token vouches for itself, so the collector needs no account of its own."""

    def __init__(self, url: str) -> None:
        """`url` is without a version."""
        self._authentication = TokenAuthentication(url)

    async def user(self, token: str) -> IdentityUser:
        try:
            caller = await self._authentication.caller(token)
        except UnauthorizedError as exc:
            raise UnknownCallerError(str(exc)) from exc
        except IdentityUnavailableError as exc:
            raise AccessUnavailableError(str(exc)) from exc
        return IdentityUser(caller.user_name, caller.project_id, caller.roles)

    async def close(self) -> None:
        await self._authentication.close()
