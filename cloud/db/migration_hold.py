"""A migration that has to be as somebody knows it while something else is changed on its behalf."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from cloud.db.migration_rows import has
from cloud.db.models import MigrationRow
from cloud.domain.migration import MigrationStatus
from cloud.errors import MigrationStateError


@dataclass(frozen=True, slots=True)
class MigrationAsKnown:
    """What whoever works on it knows; `still` has names of COMPARABLE, as that of MigrationTable.update."""

    id: int
    status: MigrationStatus
    still: Mapping[str, Any]


def hold_migration(session: Session, known: MigrationAsKnown) -> None:
    """Nobody changes it until the transaction ends; MigrationStateError where it is not so any more."""
    conditions = [has(name, value) for name, value in known.still.items()]
    held = select(MigrationRow.id).where(MigrationRow.id == known.id, MigrationRow.status == known.status, *conditions)
    if session.scalar(held.with_for_update()) is None:
        raise MigrationStateError(f"cannot go on with migration {known.id}: others have gone on with it meanwhile")
