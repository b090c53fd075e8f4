"""Index files: made beside ingest, and never in use for a file that is not the one they were made of."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import duckdb
import numpy as np
import pytest
from loguru import logger

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.index import indexer as indexer_module
from cloud.logs.collector.index.grams import BITS_LOG2, bits_of
from cloud.logs.collector.index.indexer import IndexCounts, Indexer
from cloud.logs.collector.index.indexes import index_path
from cloud.logs.collector.index.kernel import add_grams
from cloud.logs.collector.index.needs import AllOf, AnyOf, Holds, Need
from cloud.logs.collector.index.text_index import MAX_HOLDINGS
from cloud.logs.collector.storage.inspection import check, stats
from cloud.logs.collector.storage.policy import Policy
from cloud.logs.collector.storage.settings import StoreSettings
from cloud.logs.collector.upkeep import Upkeep
from cloud.logs.query.language.needs import holding
from cloud.logs.query.search import Search
from cloud.logs.query.time_range import TimeRange
from cloud.logs.query.where import Where
from tests.collector.index_building import indexer_in_process, patch_sizes
from tests.collector.rows import DAY_US, HOUR_US, NOON_US, rows_of

BUILD = "from cloud.logs.collector.index import build; build.MAX_BLOCK_ROWS = 512; build.main()"
COMMAND = (sys.executable, "-c", BUILD)
ROWS = 4096
RARE = Where("contains(message, 'rarity')", {}, Holds("rarity"))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    patch_sizes(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    opened = open_store(tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture
def upkeep(store: DuckDbStore) -> Iterator[Upkeep]:
    made = Upkeep(store)
    yield made
    made.stop()


def open_store(path: Path, settings: StoreSettings | None = None) -> DuckDbStore:
    return DuckDbStore(path, settings or StoreSettings(), lambda: NOON_US / 1e6)


def fill(store: DuckDbStore, upkeep: Upkeep, rare: int = 1000, observed_us: int = NOON_US) -> None:
    """A sealed file of ROWS rows, of which one has the word `rarity`; every other one is a warning."""
    messages = [f"filler {number}" if number != rare else f"a rarity, {number}" for number in range(ROWS)]
    store.append(rows_of(messages, observed_us=observed_us, severities=[4, 6] * (ROWS // 2)))
    upkeep.seal()


def indexer_by(store: DuckDbStore, command: tuple[str, ...]) -> Indexer:
    return Indexer(store.files.shelf, store.files.indexes, command=command)


def rare_messages(store: DuckDbStore) -> list[str]:
    return [row["message"] for row in Search(store).page(RARE, TimeRange(), 100).rows]


def spans(store: DuckDbStore, need: Need) -> list[list[tuple[int, int]] | None]:
    """Of each table, the newest first; None where there is no index, or where it is no help."""
    with store.tables() as tables:
        found = [None if table.index is None else table.index.spans(need) for table in tables]
    return [each if each is None else [(span.first_row_id, span.last_row_id) for span in each] for each in found]


def names(store: DuckDbStore) -> list[str]:
    return sorted(path.name for path in store.files.path.glob("*index*"))


def test_a_sealed_file_gets_an_index_that_names_the_blocks_of_a_text(store: DuckDbStore, upkeep: Upkeep) -> None:
    fill(store, upkeep)
    built_s: list[float] = []
    indexer = Indexer(store.files.shelf, store.files.indexes, built_s.append, COMMAND)
    assert (indexer.counts(), spans(store, Holds("rarity"))) == (IndexCounts(0, 1), [None])
    assert indexer.build_due() == ["logs-2027-01-15-000000000001-0.index"] == names(store)
    assert (indexer.counts(), len(built_s)) == (IndexCounts(1, 0), 1)
    block = (513, 1024)
    assert spans(store, Holds("rarity")) == [[block]]
    assert spans(store, Holds("filler 4090")) == [[(3585, 4096)]]
    assert spans(store, AllOf((Holds("rarity"), Holds("filler 4090")))) == [[]]
    assert spans(store, AnyOf((Holds("rarity"), Holds("filler 4090")))) == [[block, (3585, 4096)]]
    assert spans(store, Holds("filler")) == [None]  # it is everywhere
    assert spans(store, AnyOf(tuple(Holds(f"rarity {n}") for n in range(MAX_HOLDINGS + 1)))) == [None]
    assert rare_messages(store) == ["a rarity, 1000"]
    assert indexer.build_due() == []
    assert (store.files.path / names(store)[0]).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import os; os.kill(os.getpid(), 9)", id="killed at once"),
        pytest.param(
            "import json, os, sys; target = json.load(sys.stdin)['target'];"
            "open(target, 'wb').write(bytes(5000)); os.kill(os.getpid(), 9)",
            id="killed midway",
        ),
        pytest.param("import json, sys; open(json.load(sys.stdin)['target'], 'wb').write(bytes(5000))", id="rubbish"),
        pytest.param("import sys; sys.exit('no memory')", id="failed"),
        pytest.param("import time; time.sleep(60)", id="too slow"),
    ],
)
def test_a_builder_that_fails_leaves_no_index_and_is_not_tried_for_ever(
    store: DuckDbStore, upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(indexer_module, "DEADLINE_S", 0.3)
    monkeypatch.setattr(indexer_module, "MAX_ATTEMPTS", 2)
    fill(store, upkeep)
    indexer = indexer_by(store, (sys.executable, "-S", "-c", code))
    assert (indexer.build_due(), names(store), indexer.counts()) == ([], [], IndexCounts(0, 1))
    assert rare_messages(store) == ["a rarity, 1000"]


def test_what_was_begun_before_a_stop_is_swept_away(store: DuckDbStore, upkeep: Upkeep, tmp_path: Path) -> None:
    fill(store, upkeep)
    upkeep.stop()
    store.close()
    data = tmp_path / "data"
    for name in ("unfinished-logs-2027-01-15-000000000001-0.index", "logs-2026-01-01-000000000001-0.index"):
        (data / name).write_bytes(b"half")
    again = open_store(data)
    try:
        assert names(again) == []
    finally:
        again.close()


def test_a_damaged_index_hides_no_row_and_is_made_anew(store: DuckDbStore, upkeep: Upkeep) -> None:
    fill(store, upkeep)
    indexer = indexer_in_process(store)
    indexer.build_due()
    [file] = [file for file in store.files.shelf.files() if not file.is_writable]
    path = index_path(file.path)
    whole = path.read_bytes()
    assert (check(store.files).problems, stats(store.files).files[0].is_indexed) == ([], True)
    for damage in (b"", whole[:1000], whole[:-1], bytes(len(whole)), whole[:-9] + bytes(9), _flipped(whole)):
        path.write_bytes(damage)
        store.files.indexes.open(file)
        assert rare_messages(store) == ["a rarity, 1000"]
        assert (names(store), spans(store, Holds("rarity"))) == ([], [None])
    assert indexer.build_due() == [path.name]
    path.write_bytes(_flipped(path.read_bytes()))  # while it is in use
    assert check(store.files).problems == [f"{path.name}: cannot read a page: its checksum is not that of its bytes"]
    assert rare_messages(store) == ["a rarity, 1000"]
    assert (names(store), spans(store, Holds("rarity"))) == ([], [None])


def _flipped(whole: bytes) -> bytes:
    """The same with a bit turned in each page, and what is at the end as it was."""
    turned = np.frombuffer(whole, np.uint8).copy()
    turned[: 1 << BITS_LOG2 : 64] ^= 1
    return turned.tobytes()


def test_an_index_of_another_version_of_a_file_is_not_used(store: DuckDbStore, upkeep: Upkeep, tmp_path: Path) -> None:
    fill(store, upkeep, rare=1000)
    indexer_in_process(store).build_due()
    upkeep.stop()
    store.close()
    data = tmp_path / "data"
    again = open_store(data)  # it is young: what is appended now goes into the same file
    goes_on = Upkeep(again)
    try:
        again.append(rows_of(["a rarity, later"]))
        assert rare_messages(again) == ["a rarity, later", "a rarity, 1000"]
        goes_on.seal()
        [file] = again.files.shelf.files()
        assert file.rows == ROWS + 1
        assert rare_messages(again) == ["a rarity, later", "a rarity, 1000"]
        assert names(again) == []
        assert indexer_in_process(again).build_due() == ["logs-2027-01-15-000000000001-0.index"]
        fill(again, goes_on, rare=2000)
        shutil.copy(data / names(again)[0], data / "logs-2027-01-15-000000004098-0.index")
        assert rare_messages(again) == ["a rarity, 2000", "a rarity, later", "a rarity, 1000"]
    finally:
        goes_on.stop()
        again.close()


def test_the_index_of_a_file_that_is_rewritten_merged_or_deleted_goes_with_it(
    store: DuckDbStore, upkeep: Upkeep
) -> None:
    indexer = indexer_in_process(store)
    fill(store, upkeep, rare=1000, observed_us=NOON_US - DAY_US)
    fill(store, upkeep, rare=2001, observed_us=NOON_US - DAY_US + HOUR_US)
    assert len(indexer.build_due()) == 2
    assert upkeep.merge() == ["logs-2027-01-14-000000000001-1.duckdb"]
    assert (names(store), rare_messages(store)) == ([], ["a rarity, 2001", "a rarity, 1000"])
    assert indexer.build_due() == ["logs-2027-01-14-000000000001-1.index"]
    assert upkeep.expire(Policy.parse("warning 1h")).thinned == ["logs-2027-01-14-000000000001-1.duckdb"]
    assert (names(store), rare_messages(store)) == ([], ["a rarity, 2001"])
    assert indexer.build_due() == ["logs-2027-01-14-000000000001-2.index"]
    assert rare_messages(store) == ["a rarity, 2001"]
    upkeep.expire(Policy.parse("rest 1h"))
    assert (names(store), rare_messages(store)) == ([], [])


def test_an_index_of_a_file_that_goes_meanwhile_is_not_kept(store: DuckDbStore, upkeep: Upkeep, tmp_path: Path) -> None:
    fill(store, upkeep, observed_us=NOON_US - DAY_US)
    go, gone = tmp_path / "go", tmp_path / "gone"
    code = f"""import pathlib, time
pathlib.Path({str(go)!r}).touch()
while not pathlib.Path({str(gone)!r}).exists(): time.sleep(0.01)
{BUILD}"""

    indexer = indexer_by(store, (sys.executable, "-c", code))
    building = Thread(target=indexer.build_due)
    building.start()
    while not go.exists():
        building.join(0.01)
    upkeep.expire(Policy.parse("rest 1h"))
    gone.touch()
    building.join()
    store.files.let_go()
    assert (names(store), rare_messages(store)) == ([], [])


def test_a_store_without_the_setting_neither_makes_nor_uses_an_index(tmp_path: Path) -> None:
    off = open_store(tmp_path / "off", StoreSettings(text_index=False))
    upkeep = Upkeep(off)
    try:
        fill(off, upkeep)
        assert (indexer_in_process(off).build_due(), names(off), spans(off, Holds("rarity"))) == ([], [], [None])
        assert rare_messages(off) == ["a rarity, 1000"]
    finally:
        upkeep.stop()
        off.close()


def test_the_grams_of_texts_are_those_of_what_they_hold() -> None:
    texts = ["A Migration", "", "of s\N{LATIN SMALL LETTER LONG S}\N{KELVIN SIGN}y things", "abc", "Zürich"]
    data = "".join(texts).encode()
    offsets = np.cumsum([0, *(len(text.encode()) for text in texts)], dtype=np.int32)
    bits = np.zeros(1 << BITS_LOG2 - 3, np.uint8)
    added = add_grams(np.frombuffer(data, np.uint8), offsets, bits)
    found = set(np.flatnonzero(np.unpackbits(bits, bitorder="little")).tolist())
    assert added == len(found)
    assert set(bits_of("a migration") + bits_of("of ssky things") + bits_of("rich")) < found
    assert len(found) == 8 + 11 + 4
    assert not set(bits_of("tionof")) & found - set(bits_of("tion"))
    assert bits_of("abc") == []


def test_only_two_characters_beyond_ascii_are_taken_for_one_of_it() -> None:
    found = duckdb.sql(
        "SELECT chr(c::INTEGER) FROM range(128, 1114112) t(c) WHERE c NOT BETWEEN 55296 AND 57343"
        " AND regexp_matches(chr(c::INTEGER), '(?i)[!-~ ]') ORDER BY 1"
    ).fetchall()
    assert found == [("\N{LATIN SMALL LETTER LONG S}",), ("\N{KELVIN SIGN}",)]


def test_of_a_text_only_what_has_one_form_is_needed() -> None:
    assert holding("Live Migration") == Holds("live migration")
    assert holding('say "hello there" twice') == AllOf((Holds("say "), Holds("hello there"), Holds(" twice")))
    assert holding("\N{KELVIN SIGN}elvin and Zürich") == AllOf((Holds("elvin and z"), Holds("rich")))
    assert holding("abc") is None


def test_an_index_that_has_gone_with_its_data_file_is_not_damaged(store: DuckDbStore, upkeep: Upkeep) -> None:
    fill(store, upkeep, observed_us=NOON_US - DAY_US)
    indexer_in_process(store).build_due()
    [file] = store.files.shelf.files()
    index = store.files.indexes.of(file)
    assert index is not None
    upkeep.expire(Policy.parse("rest 1h"))
    said: list[str] = []
    number = logger.add(said.append, level="WARNING", format="{message}")
    try:
        assert index.spans(Holds("rarity")) is None
        assert store.files.indexes.of(file) is None
    finally:
        logger.remove(number)
    assert (said, store.files.indexes._known) == ([], {})
