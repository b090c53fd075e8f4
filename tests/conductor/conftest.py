"""A small cloud on both databases, and brokers."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cloud.db.engine import Database, open_database
from cloud.db.models import Base
from cloud.db.schema import sync
from tests.conductor.site import Site
from tests.db.conftest import LIMITS, Clock, clock, postgresql
from tests.postgresql import PostgreSql
from tests.rpc.conftest import brokers, bus, shared_broker
from tests.services.conftest import lines

MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own in it
"""A build is a dozen transactions, and a disk takes its time for each."""

__all__ = ["brokers", "bus", "clock", "lines", "postgresql", "shared_broker"]


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def kept_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """One for all tests: it is the tables that take long to make."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        url = f"sqlite:///{directory}/nova.db"
        if request.param == "postgresql":
            server: PostgreSql = request.getfixturevalue("postgresql")
            url = server.create_database("nova_conductor")
        with open_database(url, LIMITS) as database:
            sync(database)
            yield database


@pytest.fixture
def database(kept_database: Database) -> Database:
    """It is empty."""
    with kept_database.transaction() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())
    return kept_database


@pytest.fixture
def site(database: Database, clock: Clock) -> Site:
    """Three hosts with room for four small instances each."""
    return Site(database, clock)
