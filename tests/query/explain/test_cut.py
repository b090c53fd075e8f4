"""A subject with more lines than are read: what tells most is there all the same, and what is cut is said."""

import json
from datetime import timedelta

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.explain.explain import explain
from cloud.logs.query.explain.explanation import Verdict
from cloud.logs.query.search import Search
from tests.query.explain.test_blind import ALIVE, UUID, WHOLE, event
from tests.query.explain.wire import NOON_US, NOW, line, table

BRIDGE = "cannot transfer: Cannot get interface MTU on 'br100': No such device"
FAILED = [event("migration.transfer.started", 12), event("migration.transfer.failed", 40, error=BRIDGE, cause="X")]


def told(text: str, at_s: float, level: str = "DEBUG") -> bytes:
    return line(f"@cee: {json.dumps({'message': text, 'level': level, 'logger': 'nova', 'instance': UUID})}", at_s=at_s)


def assert_explained(store: DuckDbStore) -> str:
    found = explain(UUID, Search(store), now=NOW + timedelta(seconds=200))
    assert (found.migration, found.verdict) == ("7", Verdict.KNOWN)
    assert [cause.id for cause in found.causes] == ["missing-bridge"]
    assert "no line" not in {rung.outcome for rung in found.ladder}
    (cut,) = [
        sentence for sentence in found.not_seen if sentence.startswith("there are more lines of it than are read")
    ]
    return cut


def test_a_failure_behind_more_than_ten_thousand_lines_of_its_instance_is_found(store: DuckDbStore) -> None:
    store.append(table([*WHOLE, *FAILED, *ALIVE], observed_us=NOON_US + 45_000_000))
    store.append(
        table([told(f"chatter {n}", 100 + n / 1000) for n in range(12_000)], observed_us=NOON_US + 115_000_000)
    )
    assert assert_explained(store).endswith("only events, warnings and errors are here")


def test_lines_that_are_too_long_to_be_held_are_left_out_and_that_is_said(store: DuckDbStore) -> None:
    store.append(table([*WHOLE, *FAILED, *ALIVE], observed_us=NOON_US + 45_000_000))
    store.append(table([told("x" * 900_000, 100 + n) for n in range(45)], observed_us=NOON_US + 150_000_000))
    assert "only events, warnings and errors are here" in assert_explained(store)
