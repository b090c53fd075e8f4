"""Indexes as the product makes them, of small blocks, and without a process for each."""

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.index import build, indexes
from cloud.logs.collector.index.indexer import Indexer

BLOCK_ROWS = 512


class IndexerInProcess(Indexer):
    """Makes indexes in this process: to start one takes as long as twenty of these."""

    def _run(self, order: build.BuildOrder) -> str | None:
        build.build(order)
        return None


def indexer_in_process(store: DuckDbStore) -> Indexer:
    return IndexerInProcess(store.files.shelf, store.files.indexes)


def patch_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files are to have an index, of small blocks."""
    monkeypatch.setattr(indexes, "MIN_ROWS", 1)
    monkeypatch.setattr(build, "MAX_BLOCK_ROWS", BLOCK_ROWS)
