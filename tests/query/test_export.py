"""An export says that it is whole only when it is, whatever becomes of the files under it."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.storage.policy import Policy
from cloud.logs.collector.storage.removals import ANY, MAX_KEPT, Removal, Removals
from cloud.logs.collector.upkeep import Upkeep
from cloud.logs.query.export import Export, ExportCutError
from cloud.logs.query.search import Search
from cloud.logs.query.time_range import TimeRange
from cloud.logs.query.where import Where
from tests.collector.batches import DAY_US, NOON_US, numbered

HOUR_US = 3_600_000_000
NOW_S = (NOON_US + 2 * DAY_US + HOUR_US) / 1e6
EVERYTHING = TimeRange()
FROM_THE_SECOND_DAY = TimeRange(datetime(2027, 1, 16, tzinfo=UTC))
WHOLE = [str(number) for number in range(12)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    """Three days with two sealed files each, of two rows."""
    opened = DuckDbStore(tmp_path, now_s=lambda: NOW_S)
    upkeep = Upkeep(opened)
    for number in range(6):
        day, half = divmod(number, 2)
        opened.append(numbered(2 * number, 2, observed_us=NOON_US + day * DAY_US + half * HOUR_US // 2))
        upkeep.seal()
    yield opened
    upkeep.stop()
    opened.close()


@pytest.fixture(autouse=True)
def _pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.query.export.PAGE_ROWS", 2)


class Exporting:
    """An export that is read page by page."""

    def __init__(self, store: DuckDbStore, time: TimeRange = EVERYTHING) -> None:
        self._export = Export(Search(store), Where(), time, "ndjson", 1000)
        self.messages: list[str] = []

    def page(self) -> bool:
        text = self._export.piece(threading.Event())
        self.messages += [json.loads(line)["message"] for line in (text or "").splitlines()]
        return text is not None

    def rest(self) -> list[str]:
        while self.page():
            pass
        return self.messages


def expire(store: DuckDbStore, policy: str) -> None:
    upkeep = Upkeep(store)
    gone = upkeep.expire(Policy.parse(policy))
    upkeep.stop()
    assert gone.deleted or gone.thinned


@pytest.mark.parametrize("policy", ["rest 30h", "info 30h"], ids=["a file", "rows of a severity"])
def test_rows_that_expire_before_they_are_read_cut_an_export_short(store: DuckDbStore, policy: str) -> None:
    exporting = Exporting(store)
    assert exporting.page()
    expire(store, policy)
    with pytest.raises(ExportCutError, match=r"^lines were deleted while they were exported$"):
        exporting.rest()
    assert exporting.messages == ["0", "1"]


def test_rows_that_expire_before_the_first_page_cut_it_short_too(store: DuckDbStore) -> None:
    exporting = Exporting(store)
    expire(store, "rest 30h")
    with pytest.raises(ExportCutError, match=r"^lines were deleted while they were exported$"):
        exporting.rest()


def test_rows_that_expire_behind_an_export_or_before_its_range_are_nothing_to_it(store: DuckDbStore) -> None:
    exporting, later = Exporting(store), Exporting(store, FROM_THE_SECOND_DAY)
    for _ in range(3):
        assert exporting.page()
    expire(store, "rest 30h")
    assert exporting.rest() == WHOLE
    assert later.rest() == WHOLE[4:]


def test_files_that_are_merged_meanwhile_have_the_same_rows(store: DuckDbStore) -> None:
    exporting = Exporting(store)
    assert exporting.page()
    upkeep = Upkeep(store)
    assert len(upkeep.merge()) == 2
    upkeep.stop()
    assert exporting.rest() == WHOLE


def test_a_file_that_is_set_aside_meanwhile_cuts_an_export_short(store: DuckDbStore) -> None:
    exporting = Exporting(store)
    assert exporting.page()
    store.set_aside(store.files.shelf.files()[-1], duckdb.IOException("Corrupt database file"))
    with pytest.raises(ExportCutError, match=r"^a damaged file was set aside while they were exported$"):
        exporting.rest()


def test_removals_that_are_forgotten_stand_for_any() -> None:
    removals = Removals()
    one = Removal(datetime(2027, 1, 16, tzinfo=UTC), 7)
    removals.add(one)
    assert (removals.since(0), removals.since(1)) == ([one], [])
    for _ in range(MAX_KEPT):
        removals.add(one)
    assert (removals.since(0), removals.since(MAX_KEPT)) == ([ANY], [one])
