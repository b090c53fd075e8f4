from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.query.language.rows import fill


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    """One of ROWS, for tests that only read."""
    path: Path = tmp_path_factory.mktemp("language")
    opened = DuckDbStore(path)
    fill(opened)
    yield opened
    opened.close()
