import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from cloud.logs.query.time_range import TimeError, TimeRange, is_relative, read_time, rfc3339, sql_time

NOW = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)

MOMENTS = [
    ("now", "2027-01-15T12:00:00Z"),
    ("0s", "2027-01-15T12:00:00Z"),
    ("15m", "2027-01-15T11:45:00Z"),
    ("2h30m", "2027-01-15T09:30:00Z"),
    ("1.5h", "2027-01-15T10:30:00Z"),
    ("1w", "2027-01-08T12:00:00Z"),
    (" 15m ", "2027-01-15T11:45:00Z"),
    ("11:59", "2027-01-15T11:59:00Z"),
    ("12:00", "2027-01-15T12:00:00Z"),
    ("12:01", "2027-01-14T12:01:00Z"),
    ("9:05", "2027-01-15T09:05:00Z"),
    ("9:05:07", "2027-01-15T09:05:07Z"),
    ("2027-01-15", "2027-01-15T00:00:00Z"),
    ("2027-01-15T14:05", "2027-01-15T14:05:00Z"),
    ("2027-01-15 14:05:06.25", "2027-01-15T14:05:06.250000Z"),
    ("2027-01-15T14:05:00+01:00", "2027-01-15T13:05:00Z"),
    ("2027-01-15T14:05:00Z", "2027-01-15T14:05:00Z"),
]


@pytest.mark.parametrize(("text", "expected"), MOMENTS)
def test_a_moment_is_read(text: str, expected: str) -> None:
    assert rfc3339(read_time(text, NOW)) == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "x", "15", "15x", "m", "-5m", "1h-5m", "24:00", "12:60", "2027-13-01", "2027-01-32", "yesterday", "15m; --",
     "0001-01-01T00:00+05:00", "9999-12-31T23:59:59-05:00", "999999999w", "٣m", "1" * 5000 + "m"],
)  # fmt: skip
def test_what_is_no_moment_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(
        TimeError, match=r"^cannot read time '.{0,90}': expected 15m, .* or 2027-01-31T14:05:00\+01:00$"
    ):
        read_time(text, NOW)


@pytest.fixture
def east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine is in a zone five hours east."""
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", "EST-5")
    time.tzset()
    yield
    monkeypatch.undo()
    assert os.environ.get("TZ") == before
    time.tzset()


def test_times_without_a_zone_are_of_this_machine_where_that_is_wanted(east: None) -> None:
    assert rfc3339(read_time("2027-01-15", NOW, is_local=True)) == "2027-01-14T19:00:00Z"
    assert rfc3339(read_time("16:30", NOW, is_local=True)) == "2027-01-15T11:30:00Z"
    assert rfc3339(read_time("17:30", NOW, is_local=True)) == "2027-01-14T12:30:00Z"
    assert rfc3339(read_time("2027-01-15T14:05Z", NOW, is_local=True)) == "2027-01-15T14:05:00Z"
    assert rfc3339(read_time("15m", NOW, is_local=True)) == "2027-01-15T11:45:00Z"
    assert rfc3339(read_time("2027-01-15", NOW)) == "2027-01-15T00:00:00Z"


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


def test_times_of_a_day_on_which_the_clocks_change_have_their_own_offsets(berlin: None) -> None:
    noon = datetime(2027, 3, 28, 10, 0, tzinfo=UTC)  # 12:00 there; at 02:00 it became 03:00
    assert rfc3339(read_time("01:30", noon, is_local=True)) == "2027-03-28T00:30:00Z"
    assert rfc3339(read_time("03:30", noon, is_local=True)) == "2027-03-28T01:30:00Z"
    assert rfc3339(read_time("12:30", noon, is_local=True)) == "2027-03-27T11:30:00Z"


def test_spans_are_told_from_moments() -> None:
    assert [is_relative(text) for text in ("now", "15m", "2h30m", "14:05", "2027-01-15")] == [True] * 3 + [False] * 2


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(
        TimeError, match=r"^cannot use time range: it ends at 2027-01-15T11:59:59Z, before 2027-01-15T12:"
    ):
        TimeRange(NOW, NOW - timedelta(seconds=1))
    assert TimeRange(NOW, NOW).until == NOW


def test_a_range_is_a_condition_of_constants() -> None:
    assert TimeRange().where().sql == "true"
    assert TimeRange(until=NOW).where().sql == "observed_timestamp < TIMESTAMPTZ '2027-01-15 12:00:00.000000+00'"
    emitted = TimeRange(NOW, clock="emitted").where()
    assert emitted.sql == "coalesce(timestamp, observed_timestamp) >= TIMESTAMPTZ '2027-01-15 12:00:00.000000+00'"
    assert not emitted.parameters


def test_times_in_sql_are_in_utc_and_of_four_digits() -> None:
    assert (
        sql_time(datetime(2027, 1, 15, 12, tzinfo=timezone(timedelta(hours=1))))
        == "TIMESTAMPTZ '2027-01-15 11:00:00.000000+00'"
    )
    assert sql_time(datetime(1, 2, 3, tzinfo=UTC)) == "TIMESTAMPTZ '0001-02-03 00:00:00.000000+00'"
