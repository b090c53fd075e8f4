"""Users of the cloud: what the identity service says of a token, and what that makes of its bearer here."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from cloud.logs.query.access.errors import ForbiddenError
from cloud.logs.query.access.principal import Principal
from cloud.logs.query.access.roles import Role


@dataclass(frozen=True, slots=True)
class IdentityUser:
    """A user, in one project or in none, with the names of the roles that the user has there."""

    name: str
    project_id: str | None
    roles: Collection[str]


class IdentityService(Protocol):
    """What the logs ask of the identity service; the pipeline itself knows none of the cloud's services."""

    async def user(self, token: str) -> IdentityUser:
        """Whose token it is: `UnknownCallerError` for nobody's, `AccessUnavailableError` when there is no answer.

        An answer may be kept for seconds: so soon a token that was revoked is refused here.
        """

    async def sign_in(self, user: str, password: str, project: str) -> str:
        """A token for the user in the project of that name, or in none with "". Errors as `user`."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity service, and which of its roles are whose here."""

    service: IdentityService
    roles: Mapping[str, Role]

    async def principal(self, token: str) -> Principal:
        """The bearer of `token`: by its best role here, else a member of its project. `AccessError` for nobody."""
        user = await self.service.user(token)
        role = max((self.roles[name] for name in user.roles if name in self.roles), default=Role.MEMBER)
        if role is not Role.MEMBER:
            return Principal(user.name, role)
        if user.project_id is None or not user.roles:
            raise ForbiddenError(f"{user.name} has no role in a project here: a token for a project is needed")
        return Principal(user.name, Role.MEMBER, (user.project_id,))
