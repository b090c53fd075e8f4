"""The table of projects, which v2.0 calls tenants."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from cloud.db.engine import Database
from cloud.db.identity_models import ProjectRow, RoleAssignmentRow
from cloud.domain.identity import Project, is_id, is_name, new_id
from cloud.errors import ConflictError, NotFoundError


@dataclass(frozen=True, slots=True)
class ProjectChange:
    """What is to become of a project; None leaves it as it is."""

    name: str | None = None
    description: str | None = None
    is_enabled: bool | None = None


class ProjectTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def create(self, name: str, description: str = "", *, is_enabled: bool = True) -> Project:
        """ConflictError when the name is taken."""
        try:
            with self._database.transaction() as session:
                row = ProjectRow(
                    id=new_id(),
                    name=name,
                    description=description,
                    enabled=is_enabled,
                    token_epoch=0,
                    created_at=self._now(),
                )
                session.add(row)
                session.flush()
                return project_of(row)
        except IntegrityError as exc:
            raise _is_taken(name) from exc

    def get(self, project_id: str) -> Project:
        """NotFoundError when there is none."""
        with self._database.reading() as session:
            row = session.get(ProjectRow, project_id) if is_id(project_id) else None
            if row is None:
                raise _no_such(project_id)
            return project_of(row)

    def all(self, *, name: str | None = None) -> tuple[Project, ...]:
        """The projects, or the one of that name, ordered by name."""
        wanted = select(ProjectRow)
        if name is not None:
            if not is_name(name):
                return ()
            wanted = wanted.where(ProjectRow.name == name)
        with self._database.reading() as session:
            return _sorted([project_of(row) for row in session.scalars(wanted)])

    def of_user(self, user_id: str) -> tuple[Project, ...]:
        """The enabled ones in which the user has a role, ordered by name."""
        if not is_id(user_id):
            return ()
        theirs = select(RoleAssignmentRow.project_id).where(RoleAssignmentRow.user_id == user_id)
        wanted = select(ProjectRow).where(ProjectRow.enabled, ProjectRow.id.in_(theirs))
        with self._database.reading() as session:
            return _sorted([project_of(row) for row in session.scalars(wanted)])

    def update(self, project_id: str, change: ProjectChange) -> Project:
        """ConflictError when the name is taken, NotFoundError when there is none.

        Tokens for a project that is disabled are not good any more, also when it is enabled again.
        """
        try:
            with self._database.transaction() as session:
                row = session.get(ProjectRow, project_id, with_for_update=True) if is_id(project_id) else None
                if row is None:
                    raise _no_such(project_id)
                if change.is_enabled is False and row.enabled:
                    row.token_epoch += 1
                row.name = row.name if change.name is None else change.name
                row.description = row.description if change.description is None else change.description
                row.enabled = row.enabled if change.is_enabled is None else change.is_enabled
                session.flush()
                return project_of(row)
        except IntegrityError as exc:
            raise _is_taken(change.name or project_id) from exc

    def delete(self, project_id: str) -> None:
        """NotFoundError when there is none. Roles in it and EC2 credentials for it go along."""
        with self._database.transaction() as session:
            row = session.get(ProjectRow, project_id) if is_id(project_id) else None
            if row is None:
                raise _no_such(project_id)
            session.delete(row)


def project_of(row: ProjectRow) -> Project:
    return Project(
        id=row.id,
        name=row.name,
        description=row.description,
        is_enabled=row.enabled,
        token_epoch=row.token_epoch,
    )


def _sorted(projects: list[Project]) -> tuple[Project, ...]:
    return tuple(sorted(projects, key=lambda project: project.name))


def _no_such(project_id: str) -> NotFoundError:
    return NotFoundError(f"cannot find project {project_id}")


def _is_taken(name: str) -> ConflictError:
    return ConflictError(f"cannot use {name} for a project: there is one of that name")
