"""The two databases that everything in here has to behave alike on, and what is written into them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from cloud.db.aggregates import AggregateTable
from cloud.db.claims import ClaimTable
from cloud.db.engine import Database, DatabaseLimits
from cloud.db.fixed_ips import FixedIpTable
from cloud.db.hosts import ComputeNodeTable
from cloud.db.instances import InstanceTable
from cloud.db.migration_records import MigrationTable
from cloud.db.services import ServiceTable
from tests.postgresql import PostgreSql
from tests.standing import Standing, StandingPostgreSql, StandingSqlite

LIMITS = DatabaseLimits(pool_timeout_s=30.0, lock_timeout_s=20.0, statement_timeout_s=20.0)
_numbers = count(1)


class Clock:
    """The time, which stands until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2014, 10, 16, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    """The server that tests share, each with a database of its own."""
    with PostgreSql() as server:
        yield server


@pytest.fixture(scope="session")
def standing_sqlite() -> Iterator[Standing]:
    with StandingSqlite(LIMITS) as standing:
        yield standing


@pytest.fixture(scope="session")
def standing_postgresql(postgresql: PostgreSql) -> Iterator[Standing]:
    with StandingPostgreSql(postgresql.create_database("standing"), LIMITS) as standing:
        yield standing


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def kind(request: pytest.FixtureRequest) -> str:
    """Of the database that a test is about."""
    found: str = request.param
    return found


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database in which nothing is, not even a table."""
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path}/nova.db"
        return
    server: PostgreSql = request.getfixturevalue("postgresql")
    name = f"nova_{next(_numbers)}"
    yield server.create_database(name)
    # Each has a thousand files: all of them together take longer to remove at the end than the tests took.
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def standing(kind: str, request: pytest.FixtureRequest) -> Standing:
    found: Standing = request.getfixturevalue(f"standing_{kind}")
    return found


@pytest.fixture
def database(standing: Standing) -> Database:
    """A database with our tables, and nothing in them."""
    return standing.restored()


@pytest.fixture
def database_url(standing: Standing) -> str:
    """Where `database` is."""
    return standing.url


@pytest.fixture
def services(database: Database, clock: Clock) -> ServiceTable:
    return ServiceTable(database, clock, down_after_s=60)


@pytest.fixture
def instances(database: Database, clock: Clock) -> InstanceTable:
    return InstanceTable(database, clock)


@pytest.fixture
def claims(database: Database, clock: Clock) -> ClaimTable:
    return ClaimTable(database, clock)


@pytest.fixture
def nodes(database: Database, clock: Clock) -> ComputeNodeTable:
    return ComputeNodeTable(database, clock)


@pytest.fixture
def fixed_ips(database: Database, clock: Clock) -> FixedIpTable:
    return FixedIpTable(database, clock)


@pytest.fixture
def migrations(database: Database, clock: Clock) -> MigrationTable:
    return MigrationTable(database, clock)


@pytest.fixture
def aggregates(database: Database, clock: Clock) -> AggregateTable:
    return AggregateTable(database, clock)
