"""Before a route runs: which action of the policy it is, and whether the caller may."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Depends, Request

from cloud.errors import ForbiddenError, NotFoundError
from cloud.policy.rules import is_allowed, require
from cloud.policy.table import POLICY

Check = Callable[[Request], Awaitable[None]]
_ACTION = "policy_action"


def may(action: str) -> Any:
    """The dependency of a route that is `action`, whoever's thing it is about. ForbiddenError."""

    async def check(request: Request) -> None:
        require(POLICY, action, request.state.caller)

    return _dependency(check, action)


def may_own(action: str, *, others_too: bool = True) -> Any:
    """Of a route about the user in its path: `action` for oneself, `action:any` for others if `others_too`.

    Who may not be asked about seems not to exist: NotFoundError.
    """

    async def check(request: Request) -> None:
        user_id = request.path_params["user_id"]
        caller = request.state.caller
        if caller is not None and caller.user_id == user_id:
            require(POLICY, action, caller)
        elif not (others_too and is_allowed(POLICY, f"{action}:any", caller)):
            raise NotFoundError(f"cannot find user {user_id}")

    return _dependency(check, action)


def may_in_project(action: str) -> Any:
    """Of a route about the project in its path; one in which the caller may not seems not to exist."""

    async def check(request: Request) -> None:
        project_id = request.path_params["project_id"]
        try:
            require(POLICY, action, request.state.caller, project_id)
        except ForbiddenError as exc:
            raise NotFoundError(f"cannot find project {project_id}") from exc

    return _dependency(check, action)


def action_of(dependency: Any) -> str | None:
    """The action that a route's dependency stands for; None for one of another kind."""
    return getattr(dependency.dependency, _ACTION, None)


def _dependency(check: Check, action: str) -> Any:
    setattr(check, _ACTION, action)
    return Depends(check)
