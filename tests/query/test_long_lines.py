"""Lines of the greatest size that a collector takes by default, with the memory that its engine has by default."""

import os
import re
import threading
from collections.abc import Iterator, Mapping

import duckdb
import pyarrow as pa
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.store import Guard, StoreError
from cloud.logs.collector.upkeep import Upkeep
from cloud.logs.query.export import Export
from cloud.logs.query.filter import Filter
from cloud.logs.query.memory import with_fewer_rows
from cloud.logs.query.reader import Reader
from cloud.logs.query.search import Search
from cloud.logs.query.tail.feed import Feed
from cloud.logs.query.tail.matching import Matcher
from cloud.logs.query.time_range import TimeRange
from cloud.logs.query.where import Where
from tests.collector.batches import NOON_US, numbered
from tests.collector.rows import rows_of

LINE_BYTES = 1 << 20
LINES = 120


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path_factory.mktemp("long"))
    text = os.urandom(LINE_BYTES // 2).hex()
    for number in range(0, LINES, 20):
        opened.append(rows_of([text[n:] + text[:n] for n in range(number, number + 20)]))
    upkeep = Upkeep(opened)
    upkeep.seal()
    upkeep.stop()
    yield opened
    opened.close()


def test_pages_of_a_search_have_all_lines(store: DuckDbStore) -> None:
    search = Search(store)
    page = search.page(Where(), TimeRange(), 200)
    row_ids = [row["row_id"] for row in page.rows]
    assert row_ids == list(range(LINES, LINES - 32, -1))  # as many as go into an answer
    page = search.page(Where(), TimeRange(), 100, before=page.next)
    assert page.rows[0]["row_id"] == LINES - 32


def test_an_export_and_a_history_begin(store: DuckDbStore) -> None:
    export = Export(Search(store), Where(), TimeRange(), "ndjson", 1000)
    assert export.piece(threading.Event())
    assert export.rows == 4
    assert [row["row_id"] for row in Reader(store).newest(Filter(), 200, LINES)] == list(range(LINES - 31, LINES + 1))


class FewRows:
    """A store that has no memory for more than so many rows at once."""

    def __init__(self, store: DuckDbStore, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
        self._most = most
        self._read = store.query
        self.refused = 0
        monkeypatch.setattr(store, "query", self._query)

    def _query(self, sql: str, parameters: Mapping[str, object], guard: Guard | None = None) -> pa.Table:
        answer = self._read(sql, parameters, guard)
        limit = re.search(r"LIMIT (\d+)$", sql)
        if "message" in answer.column_names and (int(limit[1]) if limit else answer.num_rows) > self._most:
            self.refused += 1
            cause = duckdb.OutOfMemoryException("Out of Memory Error: failed to allocate data")
            raise StoreError("cannot query the store: out of memory") from cause
        return answer


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path_factory.mktemp("short"))
    for number in range(0, 40, 20):
        opened.append(numbered(number, 20, observed_us=NOON_US + number * 1_000_000))
    yield opened
    opened.close()


def test_all_rows_are_found_in_portions_that_there_is_memory_for(
    short: DuckDbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = FewRows(short, monkeypatch, 6)
    messages = [str(number) for number in range(40)]
    assert [row["message"] for row in Search(short).page(Where(), TimeRange(), 100).rows] == messages[::-1]
    assert [row["message"] for row in Reader(short).newest(Filter(), 100, 40)] == messages
    assert [row["message"] for row in Reader(short).after(Filter(), 100, 0, 40).rows] == messages
    assert few.refused > 3


def test_what_has_arrived_is_read_in_portions_that_there_is_memory_for(
    short: DuckDbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    FewRows(short, monkeypatch, 15)

    class NoCommits:
        is_closed = False

    feed, matcher = Feed(short, NoCommits()), Matcher()  # type: ignore[arg-type] # it only reads here
    portion, failed = feed._portion(matcher, {("true", "[]"): Where()}, 0, 40, threading.Event())
    matcher.close()
    assert (portion.last_row_id, len(portion.events), failed) == (10, 10, {})


def test_a_single_row_without_memory_and_other_errors_are_raised() -> None:
    asked: list[int] = []

    def ask(rows: int) -> None:
        asked.append(rows)
        raise StoreError("no memory") from duckdb.OutOfMemoryException("Out of Memory Error")

    with pytest.raises(StoreError, match=r"^no memory$"):
        with_fewer_rows(ask, 100)
    assert asked == [100, 25, 6, 1]

    def fail(rows: int) -> None:
        asked.append(rows)
        raise StoreError("another")

    with pytest.raises(StoreError, match=r"^another$"):
        with_fewer_rows(fail, 100)
    assert asked[4:] == [100]
