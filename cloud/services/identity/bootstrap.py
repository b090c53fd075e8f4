"""The first users of a cloud: named steps, of which each makes what is not there yet, and says whether it did."""

import secrets
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from oslo_config import cfg

from cloud.db.engine import Database
from cloud.db.projects import ProjectTable
from cloud.db.roles import RoleTable
from cloud.db.users import NewUser, UserTable
from cloud.domain.caller import ADMIN, MEMBER, SERVICE
from cloud.domain.identity import Assignment
from cloud.errors import NotFoundError
from cloud.services.identity.openrc import Openrc, written
from cloud.services.identity.options import configured_public_url
from cloud.services.identity.passwords import Passwords

ADMIN_USER, ADMIN_PROJECT = "admin", "admin"
SERVICE_USER, SERVICE_PROJECT = "nova", "service"
_PASSWORD_BYTES = 24


class BootstrapError(Exception):
    """A step cannot be taken; those before it stand, and a second run takes up there."""


class Outcome(Enum):
    """What has become of a step."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Wish:
    """One user's file and password, as the command line has them; a password that is not given is made up."""

    openrc: Path | None
    password: str | None = field(default=None, repr=False)
    resets_password: bool = False


@dataclass(slots=True)
class Site:
    """What the steps work on, and what they have to say beyond their outcome."""

    conf: cfg.ConfigOpts
    database: Database
    admin: Wish
    service: Wish
    notes: list[str] = field(default_factory=list)
    new_admin_password: str | None = field(default=None, repr=False)

    @property
    def public_url(self) -> str:
        """Identity's, without a version; BootstrapError when the configuration does not tell."""
        url = configured_public_url(self.conf)
        if url is None:
            raise BootstrapError("cannot tell where to sign in: option [identity] public_url is not set, and port is 0")
        return url


@dataclass(frozen=True, slots=True)
class Step:
    """Something that a cloud begins with. `run` may be repeated; it raises BootstrapError, OpenrcError, CloudErrors."""

    name: str
    run: Callable[[Site], Outcome]


def _role(name: str) -> Callable[[Site], Outcome]:
    def run(site: Site) -> Outcome:
        roles = RoleTable(site.database)
        if roles.all(name=name):
            return Outcome.UNCHANGED
        roles.create(name)
        return Outcome.CREATED

    return run


def _project(name: str) -> Callable[[Site], Outcome]:
    def run(site: Site) -> Outcome:
        projects = ProjectTable(site.database, _now)
        if projects.all(name=name):
            return Outcome.UNCHANGED
        projects.create(name)
        return Outcome.CREATED

    return run


def _admin_user(site: Site) -> Outcome:
    outcome, password = _user(site, ADMIN_USER, ADMIN_PROJECT, site.admin)
    site.new_admin_password = password
    return outcome


def _service_user(site: Site) -> Outcome:
    return _user(site, SERVICE_USER, SERVICE_PROJECT, site.service)[0]


def _user(site: Site, name: str, project: str, wish: Wish) -> tuple[Outcome, str | None]:
    """What was done, and the password if it is a new one."""
    users = UserTable(site.database, _now)
    record = users.sign_in_record(name=name)
    if record is not None and not wish.resets_password:
        if wish.openrc is not None and not wish.openrc.exists():
            site.notes.append(
                f"{wish.openrc} is not written: the password that user {name} has already is not known here"
            )
        if wish.password is not None:
            site.notes.append(f"the password that was given is not used: user {name} has one already")
        return Outcome.UNCHANGED, None
    password = wish.password or secrets.token_urlsafe(_PASSWORD_BYTES)
    password_hash = Passwords(1).hash(password)
    file = Openrc(site.public_url, site.conf.identity.region, name, project, password)
    # The file first: a password that was stored and then not written down would be lost.
    with written(file, wish.openrc, replaces=wish.resets_password) if wish.openrc else nullcontext():
        if record is None:
            users.create(NewUser(name, password_hash))
        else:
            users.set_password(record.user.id, password_hash)
    return (Outcome.CREATED if record is None else Outcome.CHANGED), password


def _role_of(user: str, role: str, project: str) -> Callable[[Site], Outcome]:
    def run(site: Site) -> Outcome:
        roles = RoleTable(site.database)
        found_user = UserTable(site.database, _now).sign_in_record(name=user)
        found_project = ProjectTable(site.database, _now).all(name=project)
        found_role = roles.all(name=role)
        if found_user is None or not found_project or not found_role:
            raise NotFoundError(f"cannot give role {role} to {user} in {project}: one of them was deleted just now")
        assignment = Assignment(found_user.user.id, found_project[0].id, found_role[0].id)
        return Outcome.CREATED if roles.assign(assignment) else Outcome.UNCHANGED

    return run


def _now() -> datetime:
    return datetime.now(UTC)


ADMIN_STEPS: Sequence[Step] = (
    Step("role admin", _role(ADMIN)),
    Step("role member", _role(MEMBER)),
    Step("project admin", _project(ADMIN_PROJECT)),
    Step("user admin", _admin_user),
    Step("role admin of user admin in project admin", _role_of(ADMIN_USER, ADMIN, ADMIN_PROJECT)),
)
SERVICE_STEPS: Sequence[Step] = (
    Step("role service", _role(SERVICE)),
    Step("project service", _project(SERVICE_PROJECT)),
    Step("user nova", _service_user),
    # Not admin: the password is on every compute host, which has to read the images of all projects and no more.
    Step("role service of user nova in project service", _role_of(SERVICE_USER, SERVICE, SERVICE_PROJECT)),
)
