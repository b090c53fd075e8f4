"""Who is asking, as FastAPI dependencies: the principal, what it may do, and which lines it may see."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from cloud.logs.query.access.errors import ForbiddenError, UnknownCallerError
from cloud.logs.query.access.roles import ACTIONS, Role
from cloud.logs.query.where import Where


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who has shown who he is, or anybody on this machine where nobody is asked."""

    name: str
    role: Role
    project_ids: tuple[str, ...] | None = None
    """Of a member the projects whose lines it sees; None for all others, who see every line."""

    def __post_init__(self) -> None:
        if (self.role is Role.MEMBER) != (self.project_ids is not None):
            raise ValueError(f"cannot make {self.role.word} {self.name}: projects are for members, who have some")

    def may(self, action: str) -> bool:
        return self.role >= ACTIONS[action].least

    def check(self, action: str) -> None:
        """`ForbiddenError` unless it may."""
        if not self.may(action):
            least = ACTIONS[action].least
            raise ForbiddenError(f"{action} takes the role {least.word}; {self.name} has the role {self.role.word}")


async def principal(request: Request) -> Principal:
    """Who asks, as the gate in front of all routes has found; without a gate nobody gets in."""
    found = getattr(request.state, "principal", None)
    if not isinstance(found, Principal):
        raise UnknownCallerError("cannot tell who is asking: this route is behind no gate")
    return found


ThePrincipal = Annotated[Principal, Depends(principal)]


@dataclass(frozen=True, slots=True)
class Allowed:
    """A dependency of a route: who asks, where that one may do `action`; 403 otherwise."""

    action: str

    async def __call__(self, request: Request, who: ThePrincipal) -> Principal:
        request.state.action = self.action
        who.check(self.action)
        return who


def allowed(action: str) -> Allowed:
    """For `Depends`, of a route or of a whole router; `KeyError` for an action that is not in the table."""
    ACTIONS[action]
    return Allowed(action)


def restrict(who: ThePrincipal) -> Where:
    """The lines that `who` may see, to be joined to the condition of every question; as a dependency it is `OwnLines`.

    Without it a route that members may ask would show them other projects' lines.
    """
    if who.project_ids is None:
        return Where()
    names = [f"own_project{number}" for number in range(len(who.project_ids))]
    condition = " OR ".join(f"project = ${name}" for name in names) or "false"
    return Where(f"({condition})", dict(zip(names, who.project_ids, strict=True)))


async def own_lines(who: ThePrincipal) -> Where:
    """`restrict` without a thread of its own."""
    return restrict(who)


OwnLines = Annotated[Where, Depends(own_lines)]
