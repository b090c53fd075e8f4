"""What has just arrived, as tails test it and write it: as the store finds it, and as the API has it."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.filter import Filter, condition_of
from cloud.logs.query.language.compiler import compile_where
from cloud.logs.query.language.parser import parse
from cloud.logs.query.reader import Reader
from cloud.logs.query.tail.events import events_of, events_of_table
from cloud.logs.query.tail.matching import ConditionError, Matcher
from cloud.logs.query.where import Where
from tests.collector.batches import table_of
from tests.query.language.rows import A_DAY_LATER, AN_HOUR_LATER, AT_NOON

HOSTILE = [*AT_NOON.values(), *AN_HOUR_LATER.values(), *A_DAY_LATER.values()]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path)
    yield opened
    opened.close()


def test_rows_become_the_same_events_column_by_column(store: DuckDbStore) -> None:
    store.append(table_of(*HOSTILE))
    reader = Reader(store)
    last = store.committed_row_id
    assert last == len(HOSTILE)

    def read(events: list[bytes]) -> list[tuple[bytes, Any, bytes]]:
        parts = [event.split(b"\n") for event in events]
        assert all(len(part) == 5 for part in parts)
        return [(part[0], json.loads(part[1].removeprefix(b"data: ")), part[2]) for part in parts]

    expected = read(events_of(reader.newest(Filter(), last, last)))
    assert read(events_of_table(reader.arrived(0, last))) == expected
    assert events_of_table(reader.arrived(last, last)) == []


QUERIES = [
    "",
    "host:*",
    "-host:*",
    "severity:>=warning",
    "a",
    "message:/a/",
    "x:1",
    "instance:*",
    "event:* -a",
    "row_id:>3",
]


def test_conditions_find_in_new_rows_what_they_find_in_the_store(store: DuckDbStore) -> None:
    store.append(table_of(*HOSTILE))
    reader, last = Reader(store), store.committed_row_id
    filters = [Filter(within=compile_where(parse(query).condition)) for query in QUERIES]
    filters += [Filter(host="compute-01"), Filter(fields={"x": "a"}, without_events=("canary",))]
    arrived, matcher = reader.arrived(0, last), Matcher()
    row_ids = arrived.column("row_id").to_pylist()
    places = matcher.matches(arrived, [condition_of(each) for each in filters], threading.Event())
    for wanted, found in zip(filters, places, strict=True):
        assert not isinstance(found, ConditionError)
        expected = [row["row_id"] for row in reader.newest(wanted, last, last)]
        assert [row_ids[place] for place in found] == expected, wanted
    good, bad = matcher.matches(arrived, [Where(), Where("error(message)")], threading.Event())
    assert len(good) == last if not isinstance(good, ConditionError) else pytest.fail(str(good))
    assert str(bad).startswith("cannot test what has just arrived: ")
    matcher.close()
