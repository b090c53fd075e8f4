"""A cloud for the doctor, on either database."""

import pytest

from cloud.db.engine import Database
from tests.db.conftest import Clock, clock, database, kind, postgresql, standing, standing_postgresql, standing_sqlite
from tests.doctor.site import Site

__all__ = ["clock", "database", "kind", "postgresql", "standing", "standing_postgresql", "standing_sqlite"]


@pytest.fixture
def site(database: Database, clock: Clock) -> Site:
    """Hosts a, b and c, which are up; nothing on them."""
    return Site(database, clock)
