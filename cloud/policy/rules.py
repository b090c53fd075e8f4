"""Who may do what: the kinds of rules, and how one is asked."""

from collections.abc import Mapping
from enum import Enum

from cloud.domain.caller import Caller
from cloud.errors import ForbiddenError


class Rule(Enum):
    """Whom an action is for."""

    ANYBODY = "anybody"
    """Also without a token."""
    USER = "user"
    """Whoever has a token, whatever it is for."""
    PROJECT = "project"
    """Members of the project whose thing it is, and admins."""
    PROJECT_OR_SERVICE = "project_or_service"
    """These, and the services of the cloud itself, whose password every compute host has."""
    ADMIN = "admin"
    """Admins alone."""


Rules = Mapping[str, Rule]
"""By action, such as `compute:servers:create`."""


def is_allowed(rules: Rules, action: str, caller: Caller | None, project_id: str | None = None) -> bool:
    """Whether `caller` may do `action` on what belongs to `project_id`; KeyError for an action that has no rule."""
    rule = rules[action]
    if rule is Rule.ANYBODY:
        return True
    if caller is None:
        return False
    if rule is Rule.USER or caller.is_admin:
        return True
    if rule is Rule.ADMIN:
        return False
    if rule is Rule.PROJECT_OR_SERVICE and caller.is_service:
        return True
    return bool(caller.roles) and caller.project_id is not None and caller.project_id == project_id


def require(rules: Rules, action: str, caller: Caller | None, project_id: str | None = None) -> None:
    """ForbiddenError unless it is allowed; the message names the action alone."""
    if not is_allowed(rules, action, caller, project_id):
        raise ForbiddenError(f"policy does not allow {action} to be performed")
