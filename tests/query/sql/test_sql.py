"""Honest statements: the right rows, those that are not sealed yet among them, within bounds."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from loguru import logger

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.sql import unsealed
from tests.collector.batches import numbered
from tests.query.serving import Served, parts_of
from tests.waiting import wait_until


def ask(http: httpx.Client, statement: str, **more: object) -> Any:
    answer = http.post("/api/v1/sql", json={"statement": statement, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


HONEST: list[tuple[str, list[list[object]]]] = [
    ("SELECT count(*) FROM logs", [[11]]),
    ("select hostname, count(*) as n from logs group by all order by n", [["compute-02", 1], ["compute-01", 10]]),
    ("FROM logs SELECT message WHERE hostname = 'compute-02'", [["not sealed yet"]]),
    ("SELECT message FROM logs ORDER BY row_id DESC LIMIT 2", [["not sealed yet"], ["9"]]),
    ("SELECT app_name, severity FROM logs WHERE row_id = 11", [["nova-compute", 3]]),
    ("SELECT fields->>'$.x.y' FROM logs WHERE fields IS NOT NULL", [["7"]]),
    ("SELECT sum(message::INT) FROM logs WHERE message ~ '^[0-9]+$'", [[45]]),
    (
        "WITH x AS (SELECT * FROM logs WHERE row_id < 3), y AS (FROM x) SELECT count(*) FROM y JOIN x USING (row_id)",
        [[2]],
    ),
    (
        "SELECT day, n FROM (SELECT observed_timestamp::DATE AS day, count(*) AS n FROM logs GROUP BY 1) ORDER BY day",
        [["2027-01-14", 5], ["2027-01-15", 6]],
    ),
    (
        "SELECT date_trunc('hour', observed_timestamp), lag(message) OVER (ORDER BY row_id) FROM logs ORDER BY row_id LIMIT 1 OFFSET 1",
        [["2027-01-14T12:00:00Z", "0"]],
    ),
    (
        "SELECT CASE WHEN severity < 4 THEN 'bad' ELSE 'good' END AS what, count(*) FROM logs GROUP BY 1 ORDER BY 1",
        [["bad", 1], ["good", 10]],
    ),
    ("SELECT unnest([1, 2]) AS x UNION ALL SELECT range FROM range(2) ORDER BY x", [[0], [1], [1], [2]]),
    (
        "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 3) SELECT i FROM r ORDER BY i",
        [[1], [2], [3]],
    ),
    (
        "SELECT {'a': 1, 'b': [2.5::DOUBLE]}, 'nan'::DOUBLE, 1.5::DECIMAL(9,2), NULL, true, '\\x01'::BLOB",
        [[{"a": 1, "b": [2.5]}, "nan", "1.50", None, True, "01"]],
    ),
    ("SELECT 1 AS a, 2 AS a", [[1, 2]]),
    ("WITH tables AS (SELECT 1), logs AS (SELECT 2) SELECT * FROM tables, logs", [[1, 2]]),
    ("VALUES (1, 'x'), (2, '\u00fc')", [[1, "x"], [2, "\u00fc"]]),
    (
        "SELECT list_transform([1, 2], lambda x: x + 1), regexp_extract('migration 7', '\\d+'), now() > '2020-01-01'",
        [[[2, 3], "7", True]],
    ),
    ("SELECT quantile_cont(row_id, 0.5), approx_count_distinct(hostname) FROM logs", [[6.0, 2]]),
    (
        "SELECT count(*) FILTER (hostname LIKE '%02'), max(observed_timestamp) - min(observed_timestamp) > INTERVAL 1 HOUR FROM logs;",
        [[1, True]],
    ),
    ("SELECT * FROM json_each('[1]') WHERE false", []),
    (
        "SELECT a.n FROM (SELECT 1 AS n) a LEFT JOIN logs ON row_id = 99 WHERE logs.row_id IS NULL AND a.n IN (SELECT 1)",
        [[1]],
    ),
]


@pytest.mark.parametrize(("statement", "rows"), HONEST)
def test_a_select_has_the_rows_that_are_stored(http: httpx.Client, statement: str, rows: list[list[object]]) -> None:
    assert ask(http, statement)["rows"] == rows


def test_columns_have_names_and_types_and_all_of_a_row_can_be_read(http: httpx.Client) -> None:
    answer = ask(http, "SELECT * FROM logs WHERE hostname = 'compute-02'")
    names = [column["name"] for column in answer["columns"]]
    row = dict(zip(names, answer["rows"][0], strict=True))
    assert {name: row[name] for name in ("row_id", "hostname", "request_id", "message", "facility", "severity")} == {
        "row_id": 11,
        "hostname": "compute-02",
        "request_id": "req-1",
        "message": "not sealed yet",
        "facility": 16,
        "severity": 3,
    }
    assert answer["columns"][0] == {"name": "row_id", "type": "UBIGINT"}
    assert answer["is_cut"] is False


def test_an_answer_is_cut_at_its_rows_and_at_its_bytes(http: httpx.Client) -> None:
    few = ask(http, "SELECT message FROM logs ORDER BY row_id", max_rows=3)
    assert (few["rows"], few["is_cut"]) == ([["0"], ["1"], ["2"]], True)
    all_ = ask(http, "SELECT message FROM logs", max_rows=11)
    assert (len(all_["rows"]), all_["is_cut"]) == (11, False)
    large = ask(http, "SELECT repeat('x', 1000000) FROM range(100)", deadline_s=30)
    assert (len(large["rows"]), large["is_cut"]) == (16, True)


WRONG: list[tuple[str, Mapping[str, object]]] = [
    ("no statement", {}),
    ("a long one", {"statement": "SELECT " + "1" * 20_000}),
    ("no rows", {"statement": "SELECT 1", "max_rows": 0}),
    ("too many", {"statement": "SELECT 1", "max_rows": 10_001}),
    ("no time", {"statement": "SELECT 1", "deadline_s": 0}),
    ("too much of it", {"statement": "SELECT 1", "deadline_s": 61}),
    ("something else", {"statement": "SELECT 1", "more": 1}),
]


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in WRONG])
def test_a_request_that_asks_for_more_than_there_is_is_refused(http: httpx.Client, body: Mapping[str, object]) -> None:
    assert http.post("/api/v1/sql", json=body).status_code == 422


def test_a_page_of_another_site_cannot_ask(http: httpx.Client) -> None:
    sent = http.post("/api/v1/sql", content=b'{"statement": "SELECT 1"}', headers={"Content-Type": "text/plain"})
    assert sent.status_code == 422


def test_an_error_says_what_is_wrong(http: httpx.Client) -> None:
    refused = http.post("/api/v1/sql", json={"statement": "SELECT hostnam FROM logs"}).json()
    assert refused["code"] == "statement"
    assert 'Referenced column "hostnam" not found' in refused["detail"]
    other = http.post("/api/v1/sql", json={"statement": "SELECT * FROM lines"}).json()
    assert other["detail"] == "cannot run the statement: it reads 'lines', where only logs can be read"


@pytest.fixture
def said() -> Iterator[list[str]]:
    lines: list[str] = []
    number = logger.add(lambda message: lines.append(f"{message.record['message']} {message.record['extra']}"))
    yield lines
    logger.remove(number)


def test_what_was_asked_is_written_down_with_the_rows_it_gave(http: httpx.Client, said: list[str]) -> None:
    statement = "SELECT 1 -- " + "x" * 300
    ask(http, statement)
    wait_until(lambda: any(line.startswith("audit") and "SELECT 1 -- x" in line for line in said), what="its audit line")
    [line] = [line for line in said if line.startswith("audit") and "SELECT 1 -- x" in line]
    assert f"'statement': '{statement[:200]}'" in line
    assert f"'sha256': '{hashlib.sha256(statement.encode()).hexdigest()}'" in line
    assert "'rows': '1'" in line
    assert "'action': 'sql:run'" in line


def test_more_rows_than_a_statement_is_given_are_sealed_first(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsealed, "MAX_ROWS", 100)
    store = DuckDbStore(tmp_path_factory.mktemp("many"))
    store.append(numbered(0, 150))
    with Served(store) as served, httpx.Client(base_url=served.url, trust_env=False, timeout=90) as http:
        assert ask(http, "SELECT count(*), sum(message::INT) FROM logs")["rows"] == [[150, 11175]]
        assert not store.live()
    store.close()


def test_rows_that_cannot_be_given_are_counted_and_are_the_oldest(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DuckDbStore(tmp_path_factory.mktemp("long"))
    store.append(numbered(0, 150))
    upkeep = parts_of(store).upkeep
    with unsealed.given(store, upkeep) as all_:
        assert (all_.sealed, all_.left_out) == ([], 0)
        path = all_.unsealed
        assert path is not None
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()
    monkeypatch.setattr(unsealed, "MAX_BYTES", 1)
    with unsealed.given(store, upkeep) as none:
        assert none.left_out == 150
    upkeep.stop()
    store.close()


def test_nothing_is_left_in_the_data_directory(http: httpx.Client, store: DuckDbStore) -> None:
    ask(http, "SELECT 1")
    assert list((store.files.path / "tmp").glob("sql-*")) == []
