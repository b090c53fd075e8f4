"""The table of key pairs: each belongs to a user, whatever the project."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import delete, func, insert, select

from cloud.db.bounds import check_values
from cloud.db.engine import Database
from cloud.db.models import KeypairRow
from cloud.db.quotas import UNLIMITED
from cloud.domain.keypair import Keypair, NewKeypair
from cloud.errors import ConflictError, NotFoundError, QuotaError

__all__ = ["Keypair", "KeypairTable", "NewKeypair"]


class KeypairTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def create(self, new: NewKeypair, limit: int = UNLIMITED) -> Keypair:
        """Keep it; ConflictError when the user has one of that name, QuotaError beyond `limit` of them (-1: none)."""
        values = {**asdict(new), "created_at": self._now()}
        check_values(KeypairRow, values)
        with self._database.transaction() as session:
            self._database.lock(session, f"keypairs of {new.user_id}")
            of_user = KeypairRow.user_id == new.user_id
            if session.scalar(select(KeypairRow.id).where(of_user, KeypairRow.name == new.name)) is not None:
                raise ConflictError(f"cannot create key pair {new.name}: the user has one of that name")
            count = session.scalar(select(func.count()).select_from(KeypairRow).where(of_user)) or 0
            if limit != UNLIMITED and count >= limit:
                raise QuotaError(f"cannot create key pair {new.name}: quota of key_pairs is {limit}, {count} are used")
            return _keypair(session.scalars(insert(KeypairRow).values(values).returning(KeypairRow)).one())

    def get(self, user_id: str, name: str) -> Keypair:
        """NotFoundError when the user has none of that name."""
        with self._database.reading() as session:
            of_name = KeypairRow.user_id == user_id, KeypairRow.name == name
            row = session.scalars(select(KeypairRow).where(*of_name)).one_or_none()
        if row is None:
            raise NotFoundError(f"cannot find key pair {name}")
        return _keypair(row)

    def list(self, user_id: str) -> tuple[Keypair, ...]:
        """The user's key pairs, ordered by name."""
        with self._database.reading() as session:
            found = [_keypair(row) for row in session.scalars(select(KeypairRow).where(KeypairRow.user_id == user_id))]
        # Sorted here: the order of text in PostgreSQL depends on the locale that the database was made with.
        return tuple(sorted(found, key=lambda keypair: keypair.name))

    def delete(self, user_id: str, name: str) -> None:
        """NotFoundError when the user has none of that name; instances keep the key they were given."""
        of_name = delete(KeypairRow).where(KeypairRow.user_id == user_id, KeypairRow.name == name)
        with self._database.transaction() as session:
            if session.scalar(of_name.returning(KeypairRow.id)) is None:
                raise NotFoundError(f"cannot find key pair {name}")


def _keypair(row: KeypairRow) -> Keypair:
    return Keypair(
        user_id=row.user_id,
        name=row.name,
        type=row.type,
        fingerprint=row.fingerprint,
        public_key=row.public_key,
        created_at=row.created_at,
        id=row.id,
    )
