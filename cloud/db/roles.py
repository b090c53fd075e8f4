"""The tables of roles, and of who has which in which project."""

from sqlalchemy import and_, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cloud.db.engine import Database
from cloud.db.identity_models import ProjectRow, RoleAssignmentRow, RoleRow, UserRow
from cloud.domain.identity import Assignment, Role, is_id, is_name, new_id
from cloud.errors import ConflictError, NotFoundError


class RoleTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str) -> Role:
        """ConflictError when the name is taken."""
        try:
            with self._database.transaction() as session:
                row = RoleRow(id=new_id(), name=name)
                session.add(row)
                session.flush()
                return role_of(row)
        except IntegrityError as exc:
            raise ConflictError(f"cannot use {name} for a role: there is one of that name") from exc

    def get(self, role_id: str) -> Role:
        """NotFoundError when there is none."""
        with self._database.reading() as session:
            return role_of(_role(session, role_id))

    def all(self, *, name: str | None = None) -> tuple[Role, ...]:
        """The roles, or the one of that name, ordered by name."""
        wanted = select(RoleRow)
        if name is not None:
            if not is_name(name):
                return ()
            wanted = wanted.where(RoleRow.name == name)
        with self._database.reading() as session:
            return roles_of(list(session.scalars(wanted)))

    def delete(self, role_id: str) -> None:
        """NotFoundError when there is none. All tokens of those who had the role end."""
        holders = select(RoleAssignmentRow.user_id).where(RoleAssignmentRow.role_id == role_id)
        with self._database.transaction() as session:
            row = _role(session, role_id)
            session.execute(
                update(UserRow)
                .where(UserRow.id.in_(holders))
                .values(token_epoch=UserRow.token_epoch + 1)
                .execution_options(synchronize_session=False)
            )
            session.delete(row)

    def of(self, user_id: str, project_id: str) -> tuple[Role, ...]:
        """The user's roles in the project, ordered by name; NotFoundError when there is no such user or project."""
        with self._database.reading() as session:
            _check_user_and_project(session, user_id, project_id)
            return roles_in(session, user_id, project_id)

    def assign(self, assignment: Assignment) -> bool:
        """Whether it is new; NotFoundError when user, project or role is not there."""
        try:
            with self._database.transaction() as session:
                _check_user_and_project(session, assignment.user_id, assignment.project_id)
                _role(session, assignment.role_id)
                insert = self._database.insert(RoleAssignmentRow).values(
                    user_id=assignment.user_id, project_id=assignment.project_id, role_id=assignment.role_id
                )
                made = session.scalars(insert.on_conflict_do_nothing().returning(RoleAssignmentRow.user_id))
                return made.one_or_none() is not None
        except IntegrityError as exc:
            raise NotFoundError("cannot give a role: the user, the project or the role was deleted just now") from exc

    def take_away(self, assignment: Assignment) -> None:
        """NotFoundError when the user has it not. All tokens of the user end."""
        removed = (
            delete(RoleAssignmentRow)
            .where(
                RoleAssignmentRow.user_id == assignment.user_id,
                RoleAssignmentRow.project_id == assignment.project_id,
                RoleAssignmentRow.role_id == assignment.role_id,
            )
            .returning(RoleAssignmentRow.user_id)
            .execution_options(synchronize_session=False)
        )
        with self._database.transaction() as session:
            _check_user_and_project(session, assignment.user_id, assignment.project_id)
            _role(session, assignment.role_id)
            if session.scalars(removed).one_or_none() is None:
                raise NotFoundError(
                    f"cannot find role {assignment.role_id} of user {assignment.user_id} "
                    f"in project {assignment.project_id}"
                )
            session.execute(
                update(UserRow)
                .where(UserRow.id == assignment.user_id)
                .values(token_epoch=UserRow.token_epoch + 1)
                .execution_options(synchronize_session=False)
            )

    def assignments(
        self, *, user_id: str | None = None, project_id: str | None = None, role_id: str | None = None
    ) -> tuple[Assignment, ...]:
        """Who has which role where, of one user, project or role if given, ordered by these ids."""
        wanted = select(RoleAssignmentRow)
        for column, value in (
            (RoleAssignmentRow.user_id, user_id),
            (RoleAssignmentRow.project_id, project_id),
            (RoleAssignmentRow.role_id, role_id),
        ):
            if value is not None:
                if not is_id(value):
                    return ()
                wanted = wanted.where(column == value)
        with self._database.reading() as session:
            found = [Assignment(row.user_id, row.project_id, row.role_id) for row in session.scalars(wanted)]
        return tuple(sorted(found, key=lambda item: (item.user_id, item.project_id, item.role_id)))


def roles_in(session: Session, user_id: str, project_id: str) -> tuple[Role, ...]:
    """The user's roles in the project, ordered by name."""
    theirs = and_(
        RoleAssignmentRow.role_id == RoleRow.id,
        RoleAssignmentRow.user_id == user_id,
        RoleAssignmentRow.project_id == project_id,
    )
    return roles_of(list(session.scalars(select(RoleRow).join(RoleAssignmentRow, theirs))))


def roles_of(rows: list[RoleRow]) -> tuple[Role, ...]:
    return tuple(sorted(map(role_of, rows), key=lambda role: role.name))


def role_of(row: RoleRow) -> Role:
    return Role(row.id, row.name)


def _role(session: Session, role_id: str) -> RoleRow:
    row = session.get(RoleRow, role_id) if is_id(role_id) else None
    if row is None:
        raise NotFoundError(f"cannot find role {role_id}")
    return row


def _check_user_and_project(session: Session, user_id: str, project_id: str) -> None:
    if not is_id(user_id) or session.get(UserRow, user_id) is None:
        raise NotFoundError(f"cannot find user {user_id}")
    if not is_id(project_id) or session.get(ProjectRow, project_id) is None:
        raise NotFoundError(f"cannot find project {project_id}")
