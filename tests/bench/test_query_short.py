"""A small share of `make bench-query`: every question to a few rows, answered alike in SQL, by the product and by HTTP."""

from dataclasses import replace

import pytest

from bench.query.beside import Load, serve
from bench.query.data import LAYOUTS, Layout, Made, made
from bench.query.questions import questions
from bench.query.rounds import Compared, compare
from bench.query.table import COLUMNS, Outcome, result_of

pytestmark = pytest.mark.server

ROWS, SEED, DISTINCT = 50_000, 7, 5_000
LOAD = Load(rate=2000, seconds=1.0)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[Made]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.query.data.LAYOUTS", (LAYOUTS[0], Layout("5 days", 5)))
        return made(tmp_path_factory.mktemp("query"), ROWS, SEED, lambda _text: None, DISTINCT)


@pytest.fixture(scope="module")
def compared(both: list[Made]) -> list[Compared]:
    return [compare(each, questions(each), rounds=each.layout.days > 1) for each in both]


def test_the_rows_are_there_over_one_day_and_over_several(both: list[Made]) -> None:
    assert [(each.rows, each.files) for each in both] == [(ROWS, 1), (ROWS, 5)]
    assert both[0].request_id.startswith("req-")


def test_the_product_answers_as_sql_does(compared: list[Compared]) -> None:
    for each in compared:
        assert each.wrong == []
        assert all(each.answers.values())
    one_day, several = (each.answers for each in compared)
    rare, mentioned = "rare substring, everything", "request id anywhere in the text, everything"
    assert (len(one_day[rare]), len(several[rare]), len(several["rare substring, 24 h"])) == (20, 20, 12)
    assert (len(one_day[mentioned]), len(several[mentioned])) == (10, 10)
    assert all("request_id" not in row for row in one_day[mentioned])
    assert sum(count for _, _, count in one_day["top service and severity, 24 h"]) == ROWS


def test_another_answer_is_noticed(both: list[Made]) -> None:
    [asked] = [each for each in questions(both[0]) if each.name == "last 100 'migration', 24 h"]
    other = replace(asked, sql=asked.sql.replace("LIMIT 100", "LIMIT 99"))
    assert compare(both[0], [other], rounds=0).wrong == [f"one day: {asked.name}: 100 rows instead of 99"]


def test_http_answers_alike_idle_and_beside_ingest(
    both: list[Made], compared: list[Compared], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.freshness.WARM_UP_S", 0.5)
    asked = questions(both[1])
    name = "last 100 'migration', 24 h"
    altered = [{**row, "message": ""} for row in compared[1].answers[name]]
    served = serve(both[1], asked, {**compared[1].answers, name: altered}, rounds=0, load=LOAD)
    assert served.wrong
    assert all(wrong.startswith(f"5 days, HTTP: {name}: row 0 is ") for wrong in served.wrong)
    names = [each.name for each in asked]
    assert [request.question for request in served.requests if not request.is_beside_ingest] == names
    assert {request.question for request in served.requests if request.is_beside_ingest} & set(names)
    assert served.ingest is not None
    assert len(served.ingest.delays_s) > LOAD.seconds / 2 / 0.05
    result = result_of([Outcome(both[1], asked, compared[1], served)], 1, LOAD)
    assert [row[0] for row in result.rows] == [f"5 days: {name}" for name in names]
    assert all(len(row) == len(COLUMNS) for row in result.rows)
    assert any("-" not in row for row in result.rows)  # who asks for a second only comes to some of them
