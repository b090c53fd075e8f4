"""How each host's lines come in: out of the store, and out of the collector's accounts."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.hosts import Seen
from cloud.logs.collector.lines import Run, RunReport, RunState
from cloud.logs.query.counting import Asked
from cloud.logs.query.hosts import Accounts, Host, hosts
from cloud.logs.query.limit import Limit
from cloud.logs.query.time_range import TimeRange
from cloud.logs.query.where import Where
from tests.collector.batches import DAY_US, NOON_US, table_of

NOTHING = Accounts({}, [])
NOON = datetime(2027, 1, 15, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path)
    yield opened
    opened.close()


def found(store: DuckDbStore, accounts: Accounts = NOTHING, where: Where = Where()) -> list[Host]:  # noqa: B008 - it is frozen
    answer = hosts(store, Asked(where, TimeRange(), Limit.after(30)), accounts, 3)
    assert not answer.is_partial
    return answer.hosts


def test_skew_and_last_line_are_those_of_the_newest(store: DuckDbStore) -> None:
    store.append(table_of(b"<13>1 2027-01-15T11:00:00Z h a - - - old", observed_us=NOON_US))
    store.append(table_of(b"<13>1 2027-01-16T12:00:02.5Z h a - - - new", observed_us=NOON_US + DAY_US))
    assert found(store) == [Host("h", 2, datetime(2027, 1, 16, 12, tzinfo=UTC), 2.5)]


def test_a_host_without_a_clock_has_no_skew_and_lines_without_a_host_are_of_none(store: DuckDbStore) -> None:
    store.append(table_of(b"<13>1 - h a - - - x", b"nonsense"))
    assert found(store) == [Host(None, 1, NOON, None), Host("h", 1, NOON, None)]


def test_the_longest_silent_comes_first_and_one_never_heard_of_before_all(store: DuckDbStore) -> None:
    store.append(table_of(b"<13>1 - late a - - - x", observed_us=NOON_US + DAY_US))
    store.append(table_of(b"<13>1 - early a - - - x", observed_us=NOON_US))
    run = RunReport(Run("gone", "s"), RunState.UNCLOSED, 9, 7, 0, [(3, 4)])
    assert [host.name for host in found(store, Accounts({}, [run]))] == ["gone", "early", "late"]


def test_gaps_of_all_runs_are_added_up_and_a_few_of_them_listed(store: DuckDbStore) -> None:
    runs = [
        RunReport(Run("h", "s1"), RunState.UNCLOSED, 99, 90, 0, [(3, 4), (7, 7)]),
        RunReport(Run("h", "s2"), RunState.CURRENT, 99, 90, 0, [(1, 1), (5, 9)]),
    ]
    [host] = found(store, Accounts({}, runs))
    assert (host.missing, host.unclosed) == (9, 1)
    assert host.gaps == [("s1", 3, 4), ("s1", 7, 7), ("s2", 1, 1)]


def test_what_was_heard_of_a_host_since_the_start_counts(store: DuckDbStore) -> None:
    store.append(table_of(b"<13>1 2027-01-15T12:00:09Z h a - - - x", observed_us=NOON_US))
    seen = {
        "h": Seen(NOON_US + 1_000_000, -250_000, 7),
        "192.0.2.9": Seen(NOON_US, 0, 0),
        "192.0.2.8": Seen(NOON_US, None, 3),
    }
    [peer, host] = found(store, Accounts(seen, []))
    assert host == Host("h", 1, datetime(2027, 1, 15, 12, 0, 1, tzinfo=UTC), -0.25, dropped=7)
    assert (peer.name, peer.dropped, peer.lines) == ("192.0.2.8", 3, 0)


def test_only_lines_that_the_caller_may_see_are_counted(store: DuckDbStore) -> None:
    store.append(table_of(b"<13>1 - h1 a - - - x", b"<13>1 - h2 a - - - x"))
    assert [host.name for host in found(store, where=Where("hostname = $own", {"own": "h2"}))] == ["h2"]
