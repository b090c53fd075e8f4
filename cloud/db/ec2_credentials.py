"""The table of EC2 credentials."""

import secrets
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from cloud.db.engine import Database
from cloud.db.identity_models import Ec2CredentialRow
from cloud.domain.identity import Ec2Credential, is_id, new_id
from cloud.errors import NotFoundError

_SECRET_BYTES = 20  # as hexadecimal it has the 40 characters of Amazon's


class Ec2CredentialTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def create(self, user_id: str, project_id: str) -> Ec2Credential:
        """A new pair; NotFoundError when the user or the project is not there."""
        missing = NotFoundError(f"cannot find user {user_id} or project {project_id}")
        if not (is_id(user_id) and is_id(project_id)):
            raise missing
        row = Ec2CredentialRow(
            access=new_id(),
            secret=secrets.token_hex(_SECRET_BYTES),
            user_id=user_id,
            project_id=project_id,
            created_at=self._now(),
        )
        try:
            with self._database.transaction() as session:
                session.add(row)
                session.flush()
                return _credential(row)
        except IntegrityError as exc:
            raise missing from exc

    def get(self, access: str) -> Ec2Credential | None:
        if not is_id(access):
            return None
        with self._database.reading() as session:
            row = session.get(Ec2CredentialRow, access)
            return None if row is None else _credential(row)

    def of_user(self, user_id: str) -> tuple[Ec2Credential, ...]:
        """Ordered by age, the oldest first."""
        if not is_id(user_id):
            return ()
        wanted = select(Ec2CredentialRow).where(Ec2CredentialRow.user_id == user_id)
        with self._database.reading() as session:
            rows = sorted(session.scalars(wanted), key=lambda row: (row.created_at, row.access))
            return tuple(map(_credential, rows))

    def delete(self, user_id: str, access: str) -> None:
        """NotFoundError when the user has no such credential."""
        gone = (
            delete(Ec2CredentialRow)
            .where(Ec2CredentialRow.access == access, Ec2CredentialRow.user_id == user_id)
            .returning(Ec2CredentialRow.access)
            .execution_options(synchronize_session=False)
        )
        with self._database.transaction() as session:
            if not (is_id(access) and is_id(user_id)) or session.scalars(gone).one_or_none() is None:
                raise NotFoundError(f"cannot find EC2 credential {access}")


def _credential(row: Ec2CredentialRow) -> Ec2Credential:
    return Ec2Credential(row.access, row.secret, row.user_id, row.project_id)
