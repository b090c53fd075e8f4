"""A small share of `make sim`: twenty hosts, each way to fail once, and a judge who sees what is missing."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from bench.sim.lines import differences, emitted_lines, stored_lines_by_service
from bench.sim.plan import Plan
from bench.sim.run import Outcome, Servers, simulate
from bench.sim.table import result_of
from bench.sim.ways import FAILING
from bench.stored import stored_lines

pytestmark = pytest.mark.server

PLAN = Plan(hosts=20, boots=60, migrations=20, failing=len(FAILING), processes=2, conductors=1, idle_s=0.5)


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="t-"))  # short: a socket's path has 107 bytes at most
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def outcome(directory: Path) -> Outcome:
    return simulate(PLAN, directory, Servers(), lambda _text: None)


def test_all_boots_and_migrations_end_as_they_should_and_nothing_is_wrong(outcome: Outcome) -> None:
    assert outcome.wrong == []
    assert outcome.boots is not None
    assert outcome.boots.statuses["ACTIVE"] == PLAN.boots
    assert outcome.migrations is not None
    assert len(outcome.migrations.moved) == PLAN.migrations


def test_each_way_to_fail_is_told_in_record_fault_and_events(outcome: Outcome) -> None:
    told = {each.way: each for each in outcome.told}
    for way in FAILING:
        each = told[way.name]
        assert (each.asked, each.ended_so, each.in_record, each.in_events) == (1, 1, 1, 1), way.name
        assert each.in_fault == (1 if way.has_fault else 0), way.name


def test_every_line_is_stored_and_every_event_is_there_as_often_as_it_should_be(outcome: Outcome) -> None:
    assert outcome.emitted == outcome.stored > 1000
    assert outcome.dropped == {}
    assert outcome.events["build.spawn.completed"] == (PLAN.boots + 1, PLAN.boots + 1)  # one fills a host
    assert all(wanted == there for wanted, there in outcome.events.values())


def test_the_result_has_a_row_for_each_way(outcome: Outcome) -> None:
    result = result_of(PLAN, outcome)
    names = [row[0] for row in result.rows]
    assert names[:2] == ["boots", "migrations"]
    assert {name.partition(" -> ")[0] for name in names[2:]} >= {way.name for way in FAILING}


def test_a_line_that_is_gone_is_missed(outcome: Outcome, directory: Path) -> None:
    [file, *_] = (directory / "c" / "store").rglob("logs-*.duckdb")
    with duckdb.connect(str(file)) as connection:
        connection.execute("DELETE FROM lines WHERE row_id = (SELECT min(row_id) FROM lines WHERE row_id IS NOT NULL)")
    with stored_lines(directory / "c" / "store") as connection:
        left = stored_lines_by_service(connection).total()
        missed = list(differences(emitted_lines([], connection).sent, stored_lines_by_service(connection)))
    assert left == outcome.stored - 1
    assert missed
