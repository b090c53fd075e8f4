"""What a token opens: the user, project and roles behind it, and which tokens ended before their time."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import and_, delete, exists, func, select

from cloud.db.engine import Database
from cloud.db.identity_models import ProjectRow, RevokedTokenRow, UserRow
from cloud.db.projects import project_of
from cloud.db.roles import roles_in
from cloud.db.users import user_of
from cloud.domain.identity import Access, is_id, is_name


class AccessTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def of(self, user_id: str, project_id: str | None, *, audit_id: str | None = None) -> Access | None:
        """None unless user and project are there and enabled, the user has a role, and no token `audit_id` ended."""
        if not is_id(user_id) or not (project_id is None or is_id(project_id)):
            return None
        is_ended = exists().where(RevokedTokenRow.audit_id == (audit_id or ""))
        wanted = (
            select(UserRow, ProjectRow)
            .outerjoin(ProjectRow, and_(ProjectRow.id == (project_id or ""), ProjectRow.enabled))
            .where(UserRow.id == user_id, UserRow.enabled, ~is_ended)
        )
        with self._database.reading() as session:
            found = session.execute(wanted).one_or_none()
            if found is None:
                return None
            user: UserRow = found[0]
            project: ProjectRow | None = found[1]
            if project_id is None:
                return Access(user_of(user), None, ())
            if project is None:
                return None
            roles = roles_in(session, user_id, project_id)
            return Access(user_of(user), project_of(project), roles) if roles else None

    def project_id_of(self, name: str) -> str | None:
        """The id of the project of that name; None when there is none."""
        if not is_name(name):
            return None
        with self._database.reading() as session:
            return session.scalar(select(ProjectRow.id).where(ProjectRow.name == name))

    def revoke(self, audit_id: str, expires_at: datetime) -> None:
        """End a token that would be good until `expires_at`; a second time changes nothing."""
        row = self._database.insert(RevokedTokenRow).values(audit_id=audit_id, expires_at=expires_at)
        with self._database.transaction() as session:
            session.execute(row.on_conflict_do_nothing())

    def forget_expired(self) -> int:
        """Drop the rows of tokens that have expired by themselves; how many there were."""
        with self._database.transaction() as session:
            expired = RevokedTokenRow.expires_at < self._now()
            count = session.scalar(select(func.count()).select_from(RevokedTokenRow).where(expired)) or 0
            if count:
                session.execute(delete(RevokedTokenRow).where(expired).execution_options(synchronize_session=False))
            return count
