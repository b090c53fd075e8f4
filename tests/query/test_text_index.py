"""Questions to files with an index and to the same files without: the same rows, read in other ways."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.index.needs import Holds
from cloud.logs.collector.upkeep import Upkeep
from cloud.logs.query.counting import Asked, Counting
from cloud.logs.query.language.compiler import compile_where
from cloud.logs.query.language.needs import need_of
from cloud.logs.query.language.parser import parse
from cloud.logs.query.limit import Limit
from cloud.logs.query.search import Cursor, Search
from cloud.logs.query.time_range import TimeRange
from cloud.logs.query.trace import of_request
from cloud.logs.query.where import Where
from tests.collector.batches import DAY_US, NOON_US, table_of
from tests.collector.index_building import BLOCK_ROWS, indexer_in_process, patch_sizes

EVERYTHING = TimeRange()
SECOND_US = 1_000_000
BATCH = BLOCK_ROWS
REQUEST = "req-0b5f7c3e-6d0a-4c55-9a51-7f1e2d3c4b5a"
INSTANCE = "5f0a1b9c-33d2-4e0f-8f0e-2a6d1c9b7e11"
SPECIAL = (
    b"a migration was Quarantined on the way",
    b"the \xe2\x84\xaaelvin sign and the \xc5\xbftop with a long s",
    "\u00dcberfall in Z\u00fcrich, \u0415\u0436 \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2".encode(),
    b'a "quoted" path C:\\temp\\quark and a tab\there',
    b"nova.compute.manager [" + REQUEST.encode() + b" admin demo - - -] [instance: " + INSTANCE.encode() + b"] started",
    b"lock held by " + REQUEST.encode() + b", waiting",
    b"x" * 5000 + b"needle" + b"y" * 5000,
    b'@cee: {"message": "from json", "request_id": "' + REQUEST.encode() + b'", "note": "tabbed\\tquince \\"said\\""}',
    b'@cee: {"message": "numbers", "small": 1e-07, "large": 123456789012345678901234567890, "whole": 1e5}',
    b'@cee: {"message": "nested", "outer": {"inner": ["quagmire", 1e-07, {"deep": "quail/\\u00e9"}]}, "a.b": "zephyr"}',
    b'@cee: {"message": "escapes", "path": "C:\\\\temp\\\\quoll", "control": "bell\\u0007rings", "folded": "\xc5\xbfaffron"}',
)
NARROWED = (
    "quarantined", "QUARANTINED", "arantin", "message:quarantined", '"migration was quarantined"', "kelvin", "stop with",
    "Kelvin AND stop", "berfall", "z\u00fcrich AND berfall", "quark", '"path C:\\\\temp\\\\quark"', REQUEST, REQUEST[:20],
    REQUEST[9:31], f'"{REQUEST}"', f"request_id:{REQUEST}", f"instance:{INSTANCE}", "request_id:req-0b5f7c3e-*",
    "needle", "message:needle", "quince", "fields.note:*quince*", "quagmire", "quail", "zephyr", "fields.a.b:zephyr",
    "quoll", "bell AND rings", "affron", "saffron", "quaran*ned", "*arant?ned*", "quarantined OR zephyr", "nothing-of-it",
    "(quarantined OR quagmire) AND -zephyr", "quarantined AND quagmire", "needle NOT migration", '"1e-07"',
    "123456789012345678901234567890", '"tabbed\\tquince"', '"quince \\"said"', '"C:\\\\temp\\\\quoll"', r'*\"quagmire*',
)  # fmt: skip
"""What the index finds, in a part of the blocks."""
OTHERS = (
    "", "z\u00fcrich", "\u0435\u0436", "\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3", "\u212aelvin", "\u017ftop", "1e", "1e-7", "*1e-7*", "*1e+29*",
    "1.2345678901234568e29", "*100000.0*", "fields.small:1e-7", "fields.whole:100000", "fields.large:>1", "-quarantined",
    "quarantined OR -zephyr", "message:/Quaran.ined/", "ra", "filler", '"\t"', "severity:<=err", "quarantined OR ra",
    r'*inner\"\:\[*1e-7*', "fields.outer:*1e-7*", "request_id:*", "fields.small:*1e-*", "service:nova-*",
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    """Three sealed files of two days with an index, and rows that are not sealed; SPECIAL is in each, at other places."""
    opened = DuckDbStore(tmp_path_factory.mktemp("indexed"))
    upkeep = Upkeep(opened)
    with pytest.MonkeyPatch.context() as patch:
        patch_sizes(patch)
        for begin_us in (NOON_US - DAY_US, NOON_US, NOON_US + 7200 * SECOND_US):
            for number in range(9):
                lines = [b"filler line %d of batch %d" % (at, number) for at in range(BATCH)]
                if number in (2, 4):
                    lines[7 * number : 7 * number + len(SPECIAL)] = SPECIAL
                payloads = (b"<134>1 - compute-01 nova-compute - - - " + line for line in lines)
                opened.append(table_of(*payloads, observed_us=begin_us + number * 60 * SECOND_US))
            upkeep.seal()
        assert len(indexer_in_process(opened).build_due()) == 3
    payloads = (b"<134>1 - compute-01 nova-compute - - - " + line for line in SPECIAL)
    opened.append(table_of(*payloads, observed_us=NOON_US + 9000 * SECOND_US))
    yield opened
    upkeep.stop()
    opened.close()


def row_ids(store: DuckDbStore, where: Where, limit: int, *, is_forward: bool) -> list[int]:
    """Of all pages."""
    search = Search(store)
    cursor: Cursor | None = None
    found: list[int] = []
    while True:
        page = (
            search.onward(where, EVERYTHING, limit, after=cursor)
            if is_forward
            else search.page(where, EVERYTHING, limit, before=cursor)
        )
        assert not page.is_partial
        found += [row["row_id"] for row in page.rows]
        cursor = page.next
        if cursor is None:
            return found


def counted(store: DuckDbStore, where: Where) -> int:
    return Counting(store).count(Asked(where, EVERYTHING, Limit.after(30)), []).total


@pytest.mark.parametrize("text", [*NARROWED, *OTHERS])
def test_a_query_finds_with_the_index_what_it_finds_without(store: DuckDbStore, text: str) -> None:
    where = compile_where(parse(text).condition)
    plain = replace(where, need=None)
    rows = counted(store, plain)
    assert counted(store, where) == rows
    if rows < 100:
        expected = row_ids(store, plain, 100, is_forward=False)
        assert len(expected) == rows
        assert row_ids(store, where, 100, is_forward=False) == expected
        if text in NARROWED[::4]:
            assert row_ids(store, where, 3, is_forward=True) == expected[::-1]
    else:
        assert text in OTHERS


def test_what_is_rare_is_looked_for_in_few_blocks(store: DuckDbStore) -> None:
    with store.tables() as tables:
        found = [table.index for table in tables if table.index is not None]
    assert len(found) == 3
    for text in NARROWED:
        need = compile_where(parse(text).condition).need
        assert need is not None, text
        for index in found:
            spans = index.spans(need)
            assert spans is not None, text
            assert sum(span.last_row_id - span.first_row_id + 1 for span in spans) <= 4 * BATCH, text


def test_the_bounds_of_the_range_hold_within_what_the_index_finds(store: DuckDbStore) -> None:
    where = compile_where(parse("quarantined").condition)
    whole = Search(store).page(where, EVERYTHING, 100)
    times = sorted(datetime.fromisoformat(row["observed_timestamp"]) for row in whole.rows)
    assert len(set(times)) == 7
    for since, until in itertools.pairwise(times):
        [row] = Search(store).page(where, TimeRange(since, until), 100).rows
        assert datetime.fromisoformat(row["observed_timestamp"]) == since


def test_the_lines_of_a_request_are_found_by_its_column(store: DuckDbStore) -> None:
    where = of_request(REQUEST)
    assert where.need == Holds(REQUEST)
    assert len(row_ids(store, where, 100, is_forward=False)) == 14


def test_a_condition_that_says_nothing_about_texts_has_no_need() -> None:
    for text in (
        "",
        "severity:err",
        "-quarantined",
        "message:/quarantined/",
        "abc",
        "quarantined OR host:x",
        "fields.n:1",
    ):
        assert need_of(parse(text).condition) is None, text
    assert need_of(parse("Quarantined host:x").condition) == Holds("quarantined")
