"""The image service's rows of the policy, whole: each action, for each caller, on each owner's image."""

from datetime import UTC, datetime

import pytest

from cloud.domain.caller import Caller
from cloud.policy.image import IMAGE
from cloud.policy.rules import is_allowed


def caller(project: str | None, *roles: str) -> Caller:
    return Caller("user", "user", project, project, frozenset(roles), datetime(2999, 1, 1, tzinfo=UTC))


CALLERS = {
    "nobody": None,
    "unscoped": caller(None),
    "unscoped admin": caller(None, "admin"),
    "roleless": caller("project-a"),
    "member": caller("project-a", "member"),
    "stranger": caller("project-b", "member"),
    "admin": caller("project-admin", "admin"),
}
EVERYBODY = set(CALLERS)
USERS = EVERYBODY - {"nobody"}
ADMINS = {"unscoped admin", "admin"}
ALLOWED = {
    "image:versions:list": (EVERYBODY, EVERYBODY),
    "image:schemas:show": (USERS, USERS),
    "image:images:list": (USERS, USERS),
    "image:images:show": ({"member", *ADMINS}, ADMINS),
    "image:images:show_public": (USERS, USERS),
    "image:images:create": ({"member", *ADMINS}, ADMINS),
    "image:images:update": ({"member", *ADMINS}, ADMINS),
    "image:images:upload": ({"member", *ADMINS}, ADMINS),
    "image:images:delete": ({"member", *ADMINS}, ADMINS),
    "image:images:publicize": (ADMINS, ADMINS),
    "image:images:give_away": (ADMINS, ADMINS),
}
"""Who may, on what is project-a's, and on what is nobody's."""


def test_every_action_is_in_the_matrix() -> None:
    assert set(ALLOWED) == set(IMAGE)


@pytest.mark.parametrize("action", sorted(IMAGE))
def test_who_may(action: str) -> None:
    for project, allowed in zip(("project-a", None), ALLOWED[action], strict=True):
        assert {name for name, who in CALLERS.items() if is_allowed(IMAGE, action, who, project)} == allowed
