"""The table of users: who may sign in, against which hash, and from when on their tokens are good."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cloud.db.engine import Database
from cloud.db.identity_models import ProjectRow, RoleAssignmentRow, RoleRow, UserRow
from cloud.domain.identity import User, is_id, is_name, new_id
from cloud.errors import ConflictError, NotFoundError


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be created; the name and all else has been checked."""

    name: str
    password_hash: str = field(repr=False)
    email: str | None = None
    is_enabled: bool = True
    default_project_id: str | None = None
    role_name: str | None = None
    """The role that the user gets in the default project, if any."""


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is to become of a user; None leaves it as it is."""

    name: str | None = None
    email: str | None = None
    is_enabled: bool | None = None
    default_project_id: str | None = None


@dataclass(frozen=True, slots=True)
class SignInRecord:
    """A user, and what a password is checked against."""

    user: User
    password_hash: str = field(repr=False)


class UserTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def create(self, new: NewUser) -> User:
        """ConflictError when the name is taken, NotFoundError when there is no such project or role."""
        try:
            with self._database.transaction() as session:
                if session.scalar(select(UserRow.id).where(UserRow.name == new.name)) is not None:
                    raise _is_taken(new.name)
                if new.default_project_id is not None:
                    _check_project(session, new.default_project_id)
                row = UserRow(
                    id=new_id(),
                    name=new.name,
                    password_hash=new.password_hash,
                    email=new.email,
                    enabled=new.is_enabled,
                    default_project_id=new.default_project_id,
                    token_epoch=0,
                    created_at=self._now(),
                )
                session.add(row)
                session.flush()
                if new.default_project_id is not None and new.role_name is not None:
                    role_id = session.scalar(select(RoleRow.id).where(RoleRow.name == new.role_name))
                    if role_id is None:
                        raise NotFoundError(f"cannot find role {new.role_name}")
                    session.add(RoleAssignmentRow(user_id=row.id, project_id=new.default_project_id, role_id=role_id))
                return user_of(row)
        except IntegrityError as exc:  # another one came in between
            raise _is_taken(new.name) from exc

    def get(self, user_id: str) -> User:
        """NotFoundError when there is none."""
        with self._database.reading() as session:
            row = session.get(UserRow, user_id) if is_id(user_id) else None
            if row is None:
                raise _no_such(user_id)
            return user_of(row)

    def sign_in_record(self, *, user_id: str | None = None, name: str | None = None) -> SignInRecord | None:
        """The user of that id, or else of that name; None when there is none."""
        wanted = select(UserRow)
        if user_id is not None and is_id(user_id):
            wanted = wanted.where(UserRow.id == user_id)
        elif user_id is None and name is not None and is_name(name):
            wanted = wanted.where(UserRow.name == name)
        else:
            return None
        with self._database.reading() as session:
            row = session.scalars(wanted).one_or_none()
            return None if row is None else SignInRecord(user_of(row), row.password_hash)

    def all(self, *, name: str | None = None) -> tuple[User, ...]:
        """The users, or the one of that name, ordered by name."""
        wanted = select(UserRow)
        if name is not None:
            if not is_name(name):
                return ()
            wanted = wanted.where(UserRow.name == name)
        with self._database.reading() as session:
            return _sorted([user_of(row) for row in session.scalars(wanted)])

    def of_project(self, project_id: str) -> tuple[User, ...]:
        """Those who have a role in it, ordered by name; NotFoundError when there is no such project."""
        members = select(RoleAssignmentRow.user_id).where(RoleAssignmentRow.project_id == project_id)
        with self._database.reading() as session:
            _check_project(session, project_id)
            return _sorted([user_of(row) for row in session.scalars(select(UserRow).where(UserRow.id.in_(members)))])

    def update(self, user_id: str, change: UserChange) -> User:
        """ConflictError when the name is taken, NotFoundError for a user or project that is not there.

        Who is disabled has no good token any more, also when enabled again.
        """
        try:
            with self._database.transaction() as session:
                row = session.get(UserRow, user_id, with_for_update=True) if is_id(user_id) else None
                if row is None:
                    raise _no_such(user_id)
                if change.default_project_id is not None:
                    _check_project(session, change.default_project_id)
                    row.default_project_id = change.default_project_id
                if change.is_enabled is False and row.enabled:
                    row.token_epoch += 1
                row.name = row.name if change.name is None else change.name
                row.email = row.email if change.email is None else change.email
                row.enabled = row.enabled if change.is_enabled is None else change.is_enabled
                session.flush()
                return user_of(row)
        except IntegrityError as exc:
            raise _is_taken(change.name or user_id) from exc

    def set_password(self, user_id: str, password_hash: str, *, expected_hash: str | None = None) -> User:
        """Takes effect at once: all tokens of the user end.

        NotFoundError when there is no such user; ConflictError when it is no longer `expected_hash` that is replaced.
        """
        change = update(UserRow).where(UserRow.id == user_id)
        if expected_hash is not None:
            change = change.where(UserRow.password_hash == expected_hash)
        values = {"password_hash": password_hash, "token_epoch": UserRow.token_epoch + 1}
        with self._database.transaction() as session:
            if not is_id(user_id) or session.get(UserRow, user_id) is None:
                raise _no_such(user_id)
            row = session.scalars(change.values(values).returning(UserRow)).one_or_none()
            if row is None:
                raise ConflictError(f"cannot change the password of user {user_id}: it was changed just now")
            session.refresh(row)
            return user_of(row)

    def delete(self, user_id: str) -> None:
        """NotFoundError when there is none. Roles and EC2 credentials go with the user."""
        with self._database.transaction() as session:
            row = session.get(UserRow, user_id) if is_id(user_id) else None
            if row is None:
                raise _no_such(user_id)
            session.delete(row)


def user_of(row: UserRow) -> User:
    return User(
        id=row.id,
        name=row.name,
        email=row.email,
        is_enabled=row.enabled,
        default_project_id=row.default_project_id,
        token_epoch=row.token_epoch,
    )


def _check_project(session: Session, project_id: str) -> None:
    if not is_id(project_id) or session.get(ProjectRow, project_id) is None:
        raise NotFoundError(f"cannot find project {project_id}")


def _sorted(users: list[User]) -> tuple[User, ...]:
    # Here, not in SQL: the order of text in PostgreSQL depends on the locale that the database was made with.
    return tuple(sorted(users, key=lambda user: user.name))


def _no_such(user_id: str) -> NotFoundError:
    return NotFoundError(f"cannot find user {user_id}")


def _is_taken(name: str) -> ConflictError:
    return ConflictError(f"cannot use {name} for a user: there is one of that name")
