"""Who asks: what a token says."""

from dataclasses import dataclass
from datetime import datetime

ADMIN = "admin"
MEMBER = "member"
SERVICE = "service"
"""Of what runs on hosts: it may handle the images of all projects, and nothing else of theirs."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A user, in one project or in none, with the roles that the user has there."""

    user_id: str
    user_name: str
    project_id: str | None
    project_name: str | None
    roles: frozenset[str]
    expires_at: datetime

    @property
    def is_admin(self) -> bool:
        return ADMIN in self.roles

    @property
    def is_service(self) -> bool:
        return SERVICE in self.roles
