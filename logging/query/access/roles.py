"""Who may do what: one table from an action to the least role that may."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """Each may what those before it may."""

    MEMBER = 1
    """A user of the cloud who sees the lines of some projects, and nothing else."""
    READER = 2
    """Sees all lines."""
    OPERATOR = 3
    """Asks in SQL, and fills gaps."""
    ADMIN = 4
    """Looks after the store."""

    @property
    def word(self) -> str:
        return self.name.lower()


ROLE_WORDS: Mapping[str, Role] = {role.word: role for role in Role}


@dataclass(frozen=True, slots=True)
class Rule:
    """Whom an action is for."""

    least: Role
    """A member's answer must be narrowed by `restrict`, which the tests of the routes look for."""
    is_audited: bool = False
    """Whether each request leaves a line in the collector's own log."""


ACTIONS: Mapping[str, Rule] = {
    "api:describe": Rule(Role.MEMBER),
    "lines:read": Rule(Role.MEMBER),
    "lines:export": Rule(Role.MEMBER, is_audited=True),
    "lines:explain": Rule(Role.READER),
    "migrations:read": Rule(Role.READER),
    "hosts:read": Rule(Role.READER),
    "searches:read": Rule(Role.MEMBER),
    "searches:save": Rule(Role.MEMBER),
    "searches:share": Rule(Role.MEMBER, is_audited=True),
    "searches:administer": Rule(Role.ADMIN, is_audited=True),
    "gaps:read": Rule(Role.READER),
    "gaps:fill": Rule(Role.OPERATOR, is_audited=True),
    "metrics:read": Rule(Role.READER),
    "sql:run": Rule(Role.OPERATOR, is_audited=True),
    "store:administer": Rule(Role.ADMIN, is_audited=True),
}
"""Explanations and migrations draw on the lines of hosts and of other projects: half of them would mislead a member."""
