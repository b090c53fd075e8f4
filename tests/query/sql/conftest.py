"""A collector's HTTP over a store with sealed rows, and with rows that are not sealed yet."""

from collections.abc import Iterator

import httpx
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.collector.batches import DAY_US, NOON_US, numbered, table_of
from tests.query.serving import Served, parts_of

LIVE = (
    b'<131>1 - compute-02 nova-compute - - - @cee: {"message": "not sealed yet", "request_id": "req-1", "x": {"y": 7}}'
)


@pytest.fixture(scope="package")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    """Sealed: 0 to 4 of one day and 5 to 9 of the next, from compute-01; live: one line of compute-02."""
    store = DuckDbStore(tmp_path_factory.mktemp("sql"), now_s=lambda: NOON_US / 1e6)
    store.append(numbered(0, 5, observed_us=NOON_US - DAY_US))
    store.append(numbered(5, 5))
    upkeep = parts_of(store).upkeep
    upkeep.seal()
    upkeep.stop()
    store.append(table_of(LIVE))
    yield store
    store.close()


@pytest.fixture(scope="package")
def http(store: DuckDbStore) -> Iterator[httpx.Client]:
    with Served(store) as served, httpx.Client(base_url=served.url, trust_env=False, timeout=90) as client:
        yield client
