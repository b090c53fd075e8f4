"""Who there is: users, projects, roles, and what one of them signs EC2 requests with."""

import re
import uuid
from dataclasses import dataclass, field

from cloud.domain.service import MAX_TEXT_LENGTH

DEFAULT_DOMAIN_ID = "default"
DEFAULT_DOMAIN_NAME = "Default"
"""The one domain that v3 sees; every user and every project is in it."""

_ID = re.compile(r"[0-9a-f]{32}")


def new_id() -> str:
    return uuid.uuid4().hex


def is_id(text: str) -> bool:
    """Whether `text` has the form of an id; what has not is nobody's, and no database is asked for it."""
    return _ID.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether something can have that name: 1 to 255 printable characters, which both databases store alike."""
    return 1 <= len(text) <= MAX_TEXT_LENGTH and text.isprintable()


@dataclass(frozen=True, slots=True)
class User:
    """Somebody, or some program, who signs in. `token_epoch` counts up whenever all tokens so far end."""

    id: str
    name: str
    email: str | None
    is_enabled: bool
    default_project_id: str | None
    token_epoch: int


@dataclass(frozen=True, slots=True)
class Project:
    """What instances, images and quotas belong to; a tenant in v2.0. `token_epoch` as that of users."""

    id: str
    name: str
    description: str
    is_enabled: bool
    token_epoch: int


@dataclass(frozen=True, slots=True)
class Role:
    """What a user may be in a project."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """A role that a user has in a project; all three by their ids."""

    user_id: str
    project_id: str
    role_id: str


@dataclass(frozen=True, slots=True)
class Access:
    """What a user has in one project, or without one; the roles are ordered by name, and none without a project."""

    user: User
    project: Project | None
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class Ec2Credential:
    """The key pair with which a user signs EC2 requests for a project."""

    access: str
    secret: str = field(repr=False)
    user_id: str
    project_id: str
