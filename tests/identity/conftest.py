"""The identity service on each database, as it is served: on a free port, with clocks that a test moves."""

from collections.abc import Iterator

import pytest

from cloud.db.engine import Database
from tests.db.conftest import LIMITS, Clock, clock, postgresql
from tests.identity.site import Front, Site
from tests.postgresql import PostgreSql
from tests.services.conftest import lines
from tests.standing import Standing, StandingPostgreSql, StandingSqlite

__all__ = ["clock", "lines", "postgresql"]


@pytest.fixture(scope="session")
def standing_sqlite() -> Iterator[Standing]:
    with StandingSqlite(LIMITS) as standing:
        yield standing


@pytest.fixture(scope="session")
def standing_postgresql(postgresql: PostgreSql) -> Iterator[Standing]:
    with StandingPostgreSql(postgresql.create_database("identity"), LIMITS) as standing:
        yield standing


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def database(request: pytest.FixtureRequest) -> Database:
    """A database with our tables."""
    standing: Standing = request.getfixturevalue(f"standing_{request.param}")
    return standing.restored()


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
