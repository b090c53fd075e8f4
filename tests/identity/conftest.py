"""The identity service on each database, as it is served: on a free port, with clocks that a test moves."""

from collections.abc import Iterator

import pytest

from cloud.db.engine import Database
from tests.db.conftest import Clock, clock, database, kind, postgresql, standing, standing_postgresql, standing_sqlite
from tests.identity.site import Front, Site
from tests.services.conftest import lines
from tests.standing import Standing

__all__ = [
    "clock",
    "database",
    "kind",
    "lines",
    "postgresql",
    "standing",
    "standing_postgresql",
    "standing_sqlite",
]


@pytest.fixture(scope="session")
def front() -> Iterator[Front]:
    with Front() as front:
        yield front


@pytest.fixture
def site(database: Database, clock: Clock, front: Front) -> Iterator[Site]:
    with Site(database, clock, front=front) as site:
        yield site


@pytest.fixture
def local_site(standing_sqlite: Standing, clock: Clock, front: Front) -> Iterator[Site]:
    """One on SQLite, for what does not depend on the database."""
    with Site(standing_sqlite.restored(), clock, front=front) as site:
        yield site
