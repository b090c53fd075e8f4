"""How each host's lines come in: out of the store, and out of the collector's accounts."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud.logs.collector.batch import Source
from cloud.logs.collector.columns.parser import BatchParser
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.hosts import BACKFILL_PEER, Seen
from cloud.logs.collector.lines import Run, RunReport, RunState
from cloud.logs.query.counting import Asked
from cloud.logs.query.hosts import MAX_SERVICES, Accounts, Host, hosts
from cloud.logs.query.limit import Limit
from cloud.logs.query.time_range import TimeRange
from cloud.logs.query.where import Where
from tests.collector.batches import DAY_US, NOON_US, batch_of, table_of

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
    [host] = found(store)
    assert (host.lines, host.last_seen, host.skew_s) == (2, datetime(2027, 1, 16, 12, tzinfo=UTC), 2.5)


def test_a_host_without_a_clock_has_no_skew_and_lines_without_a_host_are_of_none(store: DuckDbStore) -> None:
    store.append(table_of(b"<13>1 - h a - - - x", b"nonsense"))
    assert found(store) == [Host(None, 1, 0, NOON), Host("h", 1, 0, NOON, services={"a": NOON})]


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
    last_seen = datetime(2027, 1, 15, 12, 0, 1, tzinfo=UTC)
    assert host == Host("h", 1, 0, last_seen, -0.25, dropped=7, services={"a": NOON})
    assert (peer.name, peer.dropped, peer.lines) == ("192.0.2.8", 3, 0)


def test_each_service_was_last_heard_of_at_its_own_time_and_errors_are_counted(store: DuckDbStore) -> None:
    store.append(table_of(b"<11>1 - h nova - - - an error", b"<10>1 - h nova - - - worse", observed_us=NOON_US))
    store.append(table_of(b"<12>1 - h nova - - - a warning", observed_us=NOON_US + DAY_US))
    store.append(table_of(b"<11>1 - h - - - - of no service", observed_us=NOON_US - DAY_US))
    store.append(table_of(b"<14>1 - h libvirtd - - - x", observed_us=NOON_US))
    [host] = found(store)
    assert (host.lines, host.errors) == (5, 3)
    assert host.services == {"nova": datetime(2027, 1, 16, 12, tzinfo=UTC), "libvirtd": NOON}


def test_of_many_services_those_are_named_that_were_heard_of_last(store: DuckDbStore) -> None:
    for number in range(MAX_SERVICES + 5):
        store.append(table_of(f"<14>1 - h s{number:02} - - - x".encode(), observed_us=NOON_US + number * 1_000_000))
    [host] = found(store)
    assert sorted(host.services) == [f"s{number:02}" for number in range(5, MAX_SERVICES + 5)]


def test_a_line_that_was_filled_in_says_nothing_of_a_clock(store: DuckDbStore) -> None:
    store.append(table_of(b"<13>1 2027-01-15T12:00:01Z h a - - - in time", observed_us=NOON_US))
    late = batch_of(b"<13>1 2027-01-15T08:00:00Z h a - - - late", source=Source(BACKFILL_PEER))
    store.append(BatchParser().read(late).table)
    assert [host.skew_s for host in found(store)] == [1.0]


def test_only_lines_that_the_caller_may_see_are_counted(store: DuckDbStore) -> None:
    store.append(table_of(b"<13>1 - h1 a - - - x", b"<13>1 - h2 a - - - x"))
    assert [host.name for host in found(store, where=Where("hostname = $own", {"own": "h2"}))] == ["h2"]
