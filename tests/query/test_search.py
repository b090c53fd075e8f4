"""Pages of rows out of a real store."""

import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.store import Guard, QueryInterruptedError, TableDamagedError
from cloud.logs.query.counting import Asked, Counting
from cloud.logs.query.limit import Limit
from cloud.logs.query.search import Cursor, Search, SearchError, SearchPage
from cloud.logs.query.time_range import TimeRange
from cloud.logs.query.walk import Walk, Window
from cloud.logs.query.where import Where
from tests.collector.batches import DAY_US, NOON_US, numbered, table_of
from tests.waiting import wait_until

MINUTE_US = 60_000_000
EVERYTHING = TimeRange()
SLOW = Where("length(message) > 0 AND (SELECT max(hash(a.i, b.i)) FROM range(40000) a(i), range(40000) b(i)) > 0")
"""A condition that takes a minute, however few rows there are."""


def at(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    """A row every 36 minutes of three days, with its number as message."""
    opened = DuckDbStore(tmp_path_factory.mktemp("days"))
    for number in range(120):
        opened.append(
            numbered(number, 1, host=f"h{number % 2}", observed_us=NOON_US - DAY_US + number * 36 * MINUTE_US)
        )
    with opened.tables() as tables:
        assert len(tables) == 4
    yield opened
    opened.close()


def messages(page: SearchPage) -> list[str]:
    return [row["message"] for row in page.rows]


def pages(
    search: Search, where: Where, time_range: TimeRange, limit: int, *, is_forward: bool = False
) -> list[list[str]]:
    found: list[list[str]] = []
    cursor: Cursor | None = None
    for _ in range(1000):
        if is_forward:
            page = search.onward(where, time_range, limit, after=cursor)
        else:
            page = search.page(where, time_range, limit, before=cursor)
        assert not page.is_partial
        found.append(messages(page))
        cursor = page.next
        if cursor is None:
            return found
    raise AssertionError("there was always another page")


def down(first: int, last: int, step: int = -1) -> list[str]:
    return [str(number) for number in range(first, last - 1, step)]


def test_an_empty_store_has_an_empty_page(store: DuckDbStore) -> None:
    assert Search(store).page(Where(), EVERYTHING, 10) == SearchPage(
        [], None, is_partial=False, reached=None, up_to_row_id=0
    )
    assert Search(store).find(Where(), EVERYTHING, 10) == []


def test_the_newest_come_first_over_several_days(days: DuckDbStore) -> None:
    search = Search(days)
    assert messages(search.page(Where(), EVERYTHING, 5)) == ["119", "118", "117", "116", "115"]
    assert messages(search.page(Where(), EVERYTHING, 1000)) == down(119, 0)


@pytest.mark.parametrize("limit", [1, 7, 40, 119, 120, 121])
def test_pages_have_each_row_once_in_both_directions(days: DuckDbStore, limit: int) -> None:
    search = Search(days)
    backward = pages(search, Where(), EVERYTHING, limit)
    assert [each for page in backward for each in page] == down(119, 0)
    assert all(len(page) == limit for page in backward[:-1])
    forward = pages(search, Where(), EVERYTHING, limit, is_forward=True)
    assert [each for page in forward for each in page] == down(119, 0)[::-1]


RANGES = [
    ("everything", TimeRange(), down(119, 0)),
    ("from a moment on", TimeRange(at(NOON_US)), down(119, 40)),
    ("before a moment", TimeRange(until=at(NOON_US)), down(39, 0)),
    ("within a day", TimeRange(at(NOON_US), at(NOON_US + 72 * MINUTE_US)), ["41", "40"]),
    ("over midnight", TimeRange(at(NOON_US + DAY_US // 2 - 1), at(NOON_US + DAY_US // 2 + 1)), ["60"]),
    ("over two midnights", TimeRange(at(NOON_US - DAY_US // 2), at(NOON_US + DAY_US // 2)), down(59, 20)),
    ("nothing", TimeRange(at(NOON_US + 1), at(NOON_US + 2)), []),
    ("an empty range", TimeRange(at(NOON_US), at(NOON_US)), []),
    ("before all", TimeRange(until=at(NOON_US - DAY_US)), []),
    ("behind all", TimeRange(since=at(NOON_US + 9 * DAY_US)), []),
    ("by the emitters' clocks, which these have none of", TimeRange(at(NOON_US), clock="emitted"), down(119, 40)),
]


@pytest.mark.parametrize(("time_range", "expected"), [pytest.param(*case, id=name) for name, *case in RANGES])
def test_a_time_range_bounds_what_is_found(days: DuckDbStore, time_range: TimeRange, expected: list[str]) -> None:
    search = Search(days)
    assert [each for page in pages(search, Where(), time_range, 9) for each in page] == expected
    assert [each for page in pages(search, Where(), time_range, 9, is_forward=True) for each in page] == expected[::-1]
    assert [row["message"] for row in search.find(Where(), time_range, 1000)] == expected[::-1]


def test_a_condition_narrows_all_pages(days: DuckDbStore) -> None:
    where = Where("hostname = $host", {"host": "h1"})
    assert [each for page in pages(Search(days), where, EVERYTHING, 11) for each in page] == down(119, 1, -2)


def test_find_gives_the_newest_with_the_oldest_of_them_first(days: DuckDbStore) -> None:
    assert [row["message"] for row in Search(days).find(Where(), EVERYTHING, 3)] == ["117", "118", "119"]
    assert Search(days).find(Where(), EVERYTHING, 0) == []


def test_the_emitters_clock_chooses_and_orders(store: DuckDbStore) -> None:
    lines = (("late", "10:00:00"), ("first", "09:00:00"), ("none", None), ("second", "09:30:00"))
    for text, time_of_day in lines:
        written = f"2027-01-15T{time_of_day}Z" if time_of_day else "-"
        store.append(table_of(f"<13>1 {written} h a - - - {text}".encode()))
    morning = TimeRange(datetime(2027, 1, 15, 9, tzinfo=UTC), datetime(2027, 1, 15, 9, 45, tzinfo=UTC), "emitted")
    search = Search(store)
    assert messages(search.page(Where(), morning, 10)) == ["second", "first"]
    everything = TimeRange(clock="emitted")
    assert [row["message"] for row in search.find(Where(), everything, 10)] == ["first", "second", "late", "none"]


def test_rows_of_one_moment_are_paged_by_their_number(store: DuckDbStore) -> None:
    store.append(numbered(0, 500))
    assert [each for page in pages(Search(store), Where(), EVERYTHING, 37) for each in page] == down(499, 0)


def test_rows_whose_clock_was_set_back_are_in_the_order_of_their_times(store: DuckDbStore) -> None:
    store.append(numbered(0, 3, observed_us=NOON_US + MINUTE_US))
    store.append(numbered(3, 3, observed_us=NOON_US))
    assert [each for page in pages(Search(store), Where(), EVERYTHING, 2) for each in page] == [
        "2",
        "1",
        "0",
        "5",
        "4",
        "3",
    ]


def test_pages_have_each_row_once_while_rows_arrive(store: DuckDbStore) -> None:
    store.append(numbered(0, 300))
    search = Search(store)
    found: list[str] = []
    cursor: Cursor | None = None
    for number in range(100):
        page = search.page(Where(), EVERYTHING, 31, before=cursor)
        found += messages(page)
        cursor = page.next
        store.append(numbered(1000 + number, 5, observed_us=NOON_US))  # at the same moment as all others
        if cursor is None:
            break
    assert found == down(299, 0)
    assert page.up_to_row_id == 300


def test_an_answer_with_very_long_rows_has_fewer(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.query.search.PAGE_BYTES", 1000)
    store.append(table_of(*(b"<13>1 - h a - - - " + b"%d" % number * 400 for number in range(8))))
    found = pages(Search(store), Where(), EVERYTHING, 100)
    assert [[each[0] for each in page] for page in found] == [["7", "6", "5"], ["4", "3", "2"], ["1", "0"]]
    newest = Search(store).newest(Where(), EVERYTHING, 100)
    assert ([row["message"][0] for row in newest.rows], newest.is_full) == (["5", "6", "7"], True)
    with pytest.raises(SearchError, match=r"^cannot hold all lines: more than 0 MiB; narrow the time range$"):
        Search(store).find(Where(), EVERYTHING, 100)
    assert len(Search(store).find(Where(), EVERYTHING, 3)) == 3


def test_a_search_goes_on_beside_ingest(store: DuckDbStore) -> None:
    store.append(numbered(0, 1000))
    is_over = threading.Event()

    def ingest() -> None:
        number = 1000
        while not is_over.is_set():
            store.append(numbered(number, 200, observed_us=NOON_US + number))
            number += 200

    ingesting = threading.Thread(target=ingest)
    ingesting.start()
    try:
        search = Search(store)
        for _ in range(5):
            before = store.committed_row_id
            page = search.page(Where(), EVERYTHING, 500)
            assert page.up_to_row_id >= before
            assert [row["row_id"] for row in page.rows] == list(range(page.up_to_row_id, page.up_to_row_id - 500, -1))
    finally:
        is_over.set()
        ingesting.join()


def held(store: DuckDbStore) -> int:
    """How many questions read the store now."""
    with store.files.shelf._changed:
        return max(store.files.shelf._held.values(), default=0)


def test_a_deadline_ends_the_query(days: DuckDbStore) -> None:
    begun_s = time.monotonic()
    page = Search(days).page(SLOW, EVERYTHING, 1000, deadline_s=0.3)
    assert time.monotonic() - begun_s < 10
    assert (page.is_partial, page.rows, page.reached, held(days)) == (True, [], None, 0)
    assert page.next == Cursor(datetime.max.replace(tzinfo=UTC), 0, 120)


@pytest.mark.parametrize("is_forward", [False, True])
def test_a_page_that_is_cut_again_and_again_has_each_row_once(
    days: DuckDbStore, monkeypatch: pytest.MonkeyPatch, is_forward: bool
) -> None:
    read, left = days.query, [0]

    def one_window(sql: str, parameters: Mapping[str, object], guard: Guard | None = None) -> pa.Table:
        if "ORDER BY" in sql:
            left[0] -= 1
            if left[0] < 0:
                raise QueryInterruptedError("cannot query the store: interrupted")
        return read(sql, parameters, guard)

    monkeypatch.setattr(days, "query", one_window)
    search = Search(days)
    found: list[str] = []
    cursor: Cursor | None = None
    partial = 0
    for number in range(1000):
        left[0] = number % 2  # one window, or none, with which it stays where it was
        if is_forward:
            page = search.onward(Where(), EVERYTHING, 1000, after=cursor)
        else:
            page = search.page(Where(), EVERYTHING, 1000, before=cursor)
        found += messages(page)
        partial += page.is_partial
        cursor = page.next
        if cursor is None:
            break
    assert found == (down(119, 0)[::-1] if is_forward else down(119, 0))
    assert partial > 3


def test_a_page_that_is_cut_before_its_first_window_goes_on_where_the_last_one_ended(store: DuckDbStore) -> None:
    store.append(numbered(0, 50))
    search = Search(store)
    first = search.page(Where(), EVERYTHING, 20)
    cut = search.page(Where(), EVERYTHING, 20, before=first.next, deadline_s=0)
    assert (cut.rows, cut.is_partial, cut.next) == ([], True, first.next)
    assert messages(search.page(Where(), EVERYTHING, 20, before=cut.next)) == down(29, 10)
    first = search.onward(Where(), EVERYTHING, 20)
    cut = search.onward(Where(), EVERYTHING, 20, after=first.next, deadline_s=0)
    assert (cut.rows, cut.is_partial, cut.next) == ([], True, first.next)
    assert messages(search.onward(Where(), EVERYTHING, 20, after=cut.next)) == down(39, 20)[::-1]


def test_find_is_whole_or_an_error(days: DuckDbStore) -> None:
    with pytest.raises(SearchError, match=r"^cannot find all lines within 0\.2 s.*: narrow the time range$"):
        Search(days).find(SLOW, EVERYTHING, 10, deadline_s=0.2)


def test_calling_off_ends_the_query_in_the_engine(days: DuckDbStore) -> None:
    gone = threading.Event()
    ended: list[SearchPage] = []
    asking = threading.Thread(
        target=lambda: ended.append(Search(days).page(SLOW, EVERYTHING, 10, deadline_s=300, cancelled=gone))
    )
    asking.start()
    wait_until(lambda: held(days), what="the query")
    gone.set()
    asking.join(10)
    assert not asking.is_alive()
    assert ended[0].is_partial
    assert held(days) == 0


def test_a_limit_interrupts_until_the_query_has_ended() -> None:
    slow = "SELECT max(hash(a.i, b.i)) FROM range(100000) a(i), range(100000) b(i)"
    with (
        duckdb.connect() as connection,
        pytest.raises(duckdb.InterruptException),
        Limit.after(0.05).guard(connection.interrupt),
    ):
        connection.execute(slow).fetchall()


def test_a_limit_lets_alone_what_ends_before_it() -> None:
    calls: list[None] = []
    with Limit.after(60).guard(lambda: calls.append(None)):
        pass
    assert not calls


def test_a_window_is_no_longer_than_it_was_aimed_at(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.query.walk.FIRST_ROWS", 10)
    for minute in range(60):
        store.append(numbered(minute, 10, observed_us=NOON_US + minute * 60_000_000))
    walk = Walk(store, TimeRange(), Limit.after(30), store.committed_row_id)
    aims = iter((2.0, 0.1))
    lengths: list[timedelta] = []

    def read(window: Window) -> bool:
        lengths.append(window.until - window.since)
        walk.aim(next(aims, 100.0))
        return True

    assert walk.each(read)
    first, second, third, fourth, *_ = lengths
    assert (second, third) == (2 * first, second)
    assert fourth > 10 * third


def test_windows_that_were_narrowed_grow_again(days: DuckDbStore) -> None:
    walk = Walk(days, TimeRange(), Limit.after(30), days.committed_row_id, reads_all=True)
    lengths: list[timedelta] = []

    def read(window: Window) -> bool:
        lengths.append(window.until - window.since)
        if len(lengths) == 1:
            walk.narrow(Window(window.since, window.since + timedelta(hours=2), window.tables, window.where))
        return True

    assert walk.each(read)
    hour = timedelta(hours=1)
    assert [length for length in lengths[1:] if length % hour == timedelta()][:3] == [hour, 2 * hour, 4 * hour]


class Damaged:
    """A store whose oldest file turns out damaged when it is read."""

    def __init__(self, store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self._store = store
        self._read = store.query
        self.is_damaged = True
        monkeypatch.setattr(store, "query", self._query)

    def _query(self, sql: str, parameters: Mapping[str, object], guard: Guard | None = None) -> pa.Table:
        oldest = self._store.files.shelf.files()[0]
        if self.is_damaged and f"{oldest.database}." in sql:
            self.is_damaged = False
            self._store.set_aside(oldest, duckdb.IOException("Corrupt database file"))
            raise TableDamagedError("cannot query the store: Corrupt database file")
        return self._read(sql, parameters, guard)


def test_an_answer_without_a_file_that_turned_out_damaged_is_partial(
    store: DuckDbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(4):
        store.append(numbered(day, 1, observed_us=NOON_US + day * DAY_US))
    damaged, search = Damaged(store, monkeypatch), Search(store)
    page = search.page(Where(), EVERYTHING, 10)
    assert (messages(page), page.is_partial) == (["3", "2", "1"], True)
    damaged.is_damaged = True
    counts = Counting(store).count(Asked(Where(), EVERYTHING, Limit.after(30)), [])
    assert (counts.total, counts.is_partial) == (2, True)
    damaged.is_damaged = True
    with pytest.raises(SearchError, match=r"^cannot find all lines: a damaged file was set aside meanwhile; ask again"):
        search.find(Where(), EVERYTHING, 10)
    page = search.page(Where(), EVERYTHING, 10)
    assert (messages(page), page.is_partial) == (["3"], False)
