"""A store for each test, and the small clouds of other tests."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cloud.db.engine import Database, open_database
from cloud.db.models import Base
from cloud.db.schema import sync
from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.conductor.conftest import MEMORY
from tests.db.conftest import LIMITS, clock
from tests.query.explain.wire import Wire, wired

__all__ = ["clock"]


@pytest.fixture(scope="session")
def kept_database() -> Iterator[Database]:
    """One for all tests: it is the tables that take long to make."""
    with (
        TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as path,
        open_database(f"sqlite:///{path}/nova.db", LIMITS) as opened,
    ):
        sync(opened)
        yield opened


@pytest.fixture
def database(kept_database: Database) -> Database:
    """It is empty."""
    with kept_database.transaction() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())
    return kept_database


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    with wired() as opened:
        yield opened
