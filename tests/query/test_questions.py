"""The routes of questions over real HTTP and a real store."""

import csv
import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from starlette.requests import Request

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.store import Guard, QueryInterruptedError
from cloud.logs.query.limit import Limit
from cloud.logs.query.routes.readers import BusyError
from tests.collector.batches import NOON_US, numbered, table_of
from tests.query.serving import Served
from tests.waiting import wait_until

UUID = "8c1c5a6e-6c0f-4a55-9a36-0d5cbd8a2c11"
NOON = "2027-01-15T12:00:00Z"
ALL = {"since": "2027-01-15"}
SECOND_US = 1_000_000
SLOW = "SELECT max(hash(a.i, b.i)) FROM range(100000) a(i), range(100000) b(i)"
"""Takes minutes."""


def line(host: str, service: str, severity: int, message: str, **body: Any) -> bytes:
    text = f"@cee: {json.dumps({'message': message, **body})}"
    return f"<{16 * 8 + severity}>1 - {host} {service} - - - {text}".encode()


LINES = [
    line("ctl", "nova-api", 6, "request accepted", request_id="req-1", instance=UUID, event="migration.request.started",
         migration=42, source_compute="compute-01"),
    line("ctl", "nova-conductor", 6, "step started", request_id="req-1", instance=UUID, event="migration.dest_check.started",
         migration=42, dest_compute="compute-02"),
    line("compute-02", "nova-compute", 3, "step failed", request_id="req-1", instance=UUID,
         event="migration.dest_check.failed", migration=42, error="no room", instance_id=5561),
    line("ctl", "nova-conductor", 3, "migration ended", request_id="req-1", instance=UUID, migration=42, status="failed"),
    b"<139>1 - compute-02 libvirtd - - - error in instance-000015b9: monitor gone",
    line("compute-01", "nova-compute", 4, "audit is late", status=500),
    line("compute-01", "nova-compute", 6, "audit", status=200),
    line("compute-01", "nova-compute", 6, "audit", status=200),
]  # fmt: skip
MESSAGES = ["request accepted", "step started", "step failed", "migration ended", "error in instance-000015b9: monitor gone",
            "audit is late", "audit", "audit"]  # fmt: skip


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server that holds LINES, a second apart from noon on."""
    store = DuckDbStore(tmp_path_factory.mktemp("questions"))
    for number, each in enumerate(LINES):
        store.append(table_of(each, observed_us=NOON_US + number * SECOND_US))
    with Served(store) as served, httpx.Client(base_url=f"{served.url}/api/v1", trust_env=False) as client:
        yield client
    store.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path)
    yield opened
    opened.close()


def ask(http: httpx.Client, path: str, **parameters: Any) -> dict[str, Any]:
    answer = http.get(path, params={**ALL, **parameters})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def messages(rows: list[dict[str, Any]]) -> list[str]:
    return [row["message"] for row in rows]


def test_a_search_gives_the_newest_rows_first(http: httpx.Client) -> None:
    found = ask(http, "/search")
    assert messages(found["rows"]) == MESSAGES[::-1]
    assert {name: found[name] for name in ("next", "up_to_row_id", "is_partial", "since", "until", "clock")} == {
        "next": None, "up_to_row_id": 8, "is_partial": False, "since": "2027-01-15T00:00:00Z", "until": None, "clock": "observed",
    }  # fmt: skip
    assert found["reached"] == "2027-01-15T00:00:00Z"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("host:ctl severity:err", ["migration ended"]),
        ("AUDIT -severity:warning", ["audit", "audit"]),
        ("service:nova-compute AND fields.status:500", ["audit is late"]),
        ("nothing-like-that", []),
    ],
)
def test_a_search_is_in_the_query_language(http: httpx.Client, query: str, expected: list[str]) -> None:
    assert messages(ask(http, "/search", q=query)["rows"]) == expected


def test_a_search_is_of_the_last_quarter_of_an_hour_by_default(store: DuckDbStore) -> None:
    now_us = time.time_ns() // 1000
    store.append(numbered(1, 1, observed_us=now_us - 20 * 60 * SECOND_US))
    store.append(numbered(2, 1, observed_us=now_us - 10 * 60 * SECOND_US))
    with Served(store) as served, httpx.Client(base_url=f"{served.url}/api/v1", trust_env=False) as client:
        assert messages(client.get("/search").json()["rows"]) == ["2"]
        assert messages(client.get("/search", params={"since": "30m"}).json()["rows"]) == ["2", "1"]
        assert messages(client.get("/search", params={"since": "30m", "until": "15m"}).json()["rows"]) == ["1"]


def test_pages_follow_each_other_by_their_cursors(http: httpx.Client) -> None:
    found = ask(http, "/search", limit=3)
    pages = [messages(found["rows"])]
    while found["next"] is not None:
        found = http.get("/search", params={"cursor": found["next"], "limit": 3}).json()  # it has the times
        assert found["since"] == "2027-01-15T00:00:00Z"
        pages.append(messages(found["rows"]))
    assert pages == [MESSAGES[:-4:-1], MESSAGES[-4:-7:-1], MESSAGES[1::-1]]


def test_a_pipe_gives_a_table(http: httpx.Client) -> None:
    found = ask(http, "/search", q="| count by host, severity")
    assert found["table"] == {
        "columns": ["host", "severity", "count"],
        "rows": [
            ["compute-01", "info", 2],
            ["compute-02", "err", 2],
            ["ctl", "info", 2],
            ["compute-01", "warning", 1],
            ["ctl", "err", 1],
        ],
    }
    assert (found["counted"], found["others"], found["is_partial"]) == (8, 0, False)
    assert "rows" not in found
    assert ask(http, "/search", q="| top 1 message")["table"]["rows"] == [["audit", 2]]
    assert ask(http, "/search", q="host:ctl | count by 2s")["table"] == {
        "columns": ["time", "count"],
        "rows": [["2027-01-15T12:00:00Z", 2], ["2027-01-15T12:00:02Z", 1]],
    }
    assert ask(http, "/search", q="audit | count by fields.status")["table"]["rows"] == [["200", 2], ["500", 1]]
    assert ask(http, "/search", q="nothing-like-that | count")["table"]["rows"] == [[0]]


REFUSED = [
    ("/search", {"q": "severity:>=loud"}, "query", 12),
    ("/search", {"q": "host:("}, "query", 7),
    ("/search", {"since": "yesterday"}, "time", None),
    ("/search", {"since": "1h", "until": "2h"}, "time", None),
    ("/search", {"cursor": "1.2.3"}, "cursor", None),
    ("/search", {"cursor": "999999999999999999.2.3...o"}, "cursor", None),
    ("/search", {"cursor": "1.2.3...o", "q": "| count"}, "query", 1),
    ("/histogram", {"q": "a | count"}, "query", 3),
    ("/export", {"q": "a | count"}, "query", 3),
    ("/tail", {"q": "a | count"}, "query", 3),
]


@pytest.mark.parametrize(("path", "parameters", "code", "column"), REFUSED)
def test_a_wrong_question_is_refused_with_a_code(
    http: httpx.Client, path: str, parameters: dict[str, str], code: str, column: int | None
) -> None:
    answer = http.get(path, params=parameters)
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json().get("column")) == (code, column)
    assert answer.json()["detail"].startswith("cannot ")


def test_a_histogram_has_every_interval(http: httpx.Client) -> None:
    found = ask(http, "/histogram", since=NOON, until="2027-01-15T12:00:20Z", buckets=10)
    assert found["interval_s"] == 2
    assert [(each["time"][11:19], each["count"]) for each in found["buckets"]] == [
        ("12:00:00", 2), ("12:00:02", 2), ("12:00:04", 2), ("12:00:06", 2), ("12:00:08", 0),
        ("12:00:10", 0), ("12:00:12", 0), ("12:00:14", 0), ("12:00:16", 0), ("12:00:18", 0),
    ]  # fmt: skip
    assert found["buckets"][2]["severities"] == {"err": 1, "warning": 1}
    assert found["counted"] == 8
    assert len(ask(http, "/histogram", since="2020-01-01", until="2027-02-01")["buckets"]) in range(50, 75)


def test_facets_are_the_most_frequent_values(http: httpx.Client) -> None:
    found = ask(http, "/facets", top=2)["facets"]
    assert found == {
        "host": [{"value": "compute-01", "count": 3}, {"value": "ctl", "count": 3}],
        "service": [{"value": "nova-compute", "count": 4}, {"value": "nova-conductor", "count": 2}],
        "facility": [{"value": "local0", "count": 7}, {"value": "local1", "count": 1}],
        "severity": [{"value": "info", "count": 4}, {"value": "err", "count": 3}],
        "event": [{"value": None, "count": 5}, {"value": "migration.dest_check.failed", "count": 1}],
    }
    assert ask(http, "/facets", q="host:ctl severity:err", top=1)["facets"]["service"] == [
        {"value": "nova-conductor", "count": 1}
    ]


CONTEXTS = [
    ("all", 2, 1, MESSAGES[2:6]),
    ("all", 0, 0, MESSAGES[4:5]),
    ("all", 100, 100, MESSAGES),
    ("host", 5, 5, ["step failed", MESSAGES[4]]),
    ("service", 5, 5, [MESSAGES[4]]),
]


@pytest.mark.parametrize(("around", "before", "after", "expected"), CONTEXTS)
def test_context_is_what_arrived_around_a_row(
    http: httpx.Client, around: str, before: int, after: int, expected: list[str]
) -> None:
    found = http.get("/context/5", params={"around": around, "before": before, "after": after}).json()
    assert messages([*found["before"], found["row"], *found["after"]]) == expected
    assert found["row"]["row_id"] == 5


def test_context_of_no_row_is_not_found(http: httpx.Client) -> None:
    assert http.get("/context/99").status_code == 404
    assert http.get("/context/99").json() == {"detail": "cannot find row 99", "code": "not_found"}
    assert http.get("/context/0").status_code == 422


def test_a_trace_has_the_lines_of_all_hosts_and_each_services_time(http: httpx.Client) -> None:
    found = ask(http, "/trace/req-1")
    assert messages(found["rows"]) == MESSAGES[:4]
    assert [
        (each["host"], each["service"], each["duration_s"], each["lines"], each["errors"]) for each in found["parts"]
    ] == [
        ("ctl", "nova-api", 0.0, 1, 0),
        ("ctl", "nova-conductor", 2.0, 2, 1),
        ("compute-02", "nova-compute", 0.0, 1, 1),
    ]
    assert (found["duration_s"], found["is_cut"]) == (3.0, False)
    cut = ask(http, "/trace/req-1", limit=2)
    assert (messages(cut["rows"]), cut["is_cut"]) == (MESSAGES[2:4], True)
    answer = http.get("/trace/req-2", params=ALL)
    assert (answer.status_code, answer.json()["detail"]) == (
        404, "cannot find a line of request req-2 since 2027-01-15T00:00:00Z",
    )  # fmt: skip


def test_a_trace_is_in_the_order_of_the_emitters_clocks(store: DuckDbStore) -> None:
    for second in (3, 1, 2):
        text = b'<134>1 2027-01-15T12:00:0%dZ h%d nova-api - - - @cee: {"message": "%d", "request_id": "req-1"}'
        store.append(table_of(text % (second, second, second)))
    with Served(store) as served, httpx.Client(base_url=f"{served.url}/api/v1", trust_env=False) as client:
        found = ask(client, "/trace/req-1")
    assert messages(found["rows"]) == ["1", "2", "3"]
    assert [each["host"] for each in found["parts"]] == ["h1", "h2", "h3"]


@pytest.mark.parametrize("name", [UUID, UUID.upper(), "i-000015b9", "instance-000015b9", "5561"])
def test_every_name_of_an_instance_leads_to_its_timeline(http: httpx.Client, name: str) -> None:
    found = ask(http, f"/timeline/{name}")
    assert messages(found["rows"]) == MESSAGES[:5]
    assert found["names"] == {"uuid": UUID, "domain": "instance-000015b9", "ec2_id": "i-000015b9", "instance_id": 5561}


def test_a_timeline_of_nothing_is_not_found(http: httpx.Client) -> None:
    answer = http.get("/timeline/nobody", params=ALL)
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("cannot show the timeline of nobody: ")
    assert http.get("/timeline/req-1aaaaaaa", params=ALL).status_code == 404


def test_a_slash_in_an_id_is_a_part_of_it(http: httpx.Client) -> None:
    request, instance = http.get("/trace/req%2F1", params=ALL), http.get("/timeline/web%2F1", params=ALL)
    assert request.json()["detail"].startswith("cannot find a line of request req/1 since ")
    assert instance.json()["detail"].startswith("cannot show the timeline of web/1: ")


def test_migrations_tell_what_became_of_them(http: httpx.Client) -> None:
    assert ask(http, "/migrations") == {
        "migrations": [
            {"id": "42", "state": "failed", "type": "migration", "instance": UUID, "source": "compute-01", "dest": "compute-02",
             "request_id": "req-1", "began": "2027-01-15T12:00:00Z", "last": "2027-01-15T12:00:03Z", "step": "dest_check",
             "error": "no room", "duration_s": 3.0}
        ],
        "is_cut": False,
    }  # fmt: skip


def test_hosts_are_listed_with_those_first_that_are_silent(http: httpx.Client) -> None:
    found = ask(http, "/hosts")
    assert [(each["name"], each["lines"], each["last_seen"], each["missing"]) for each in found["hosts"]] == [
        ("ctl", 3, "2027-01-15T12:00:03Z", 0),
        ("compute-02", 2, "2027-01-15T12:00:04Z", 0),
        ("compute-01", 3, "2027-01-15T12:00:07Z", 0),
    ]
    assert found["lag_s"] == 0


def test_an_export_is_whole_and_says_so(http: httpx.Client) -> None:
    answer = http.get("/export", params=ALL)
    *rows, end = map(json.loads, answer.text.splitlines())
    assert messages(rows) == MESSAGES
    assert end == {"export": {"rows": 8}}
    table = http.get("/export", params={**ALL, "format": "csv", "q": "host:ctl"}).text
    *text, last = table.splitlines(keepends=True)
    assert last == '# {"export": {"rows": 3}}\r\n'
    read = list(csv.DictReader(io.StringIO("".join(text), newline="")))
    assert [(row["message"], row["hostname"], row["event"]) for row in read] == [
        ("request accepted", "ctl", "migration.request.started"),
        ("step started", "ctl", "migration.dest_check.started"),
        ("migration ended", "ctl", ""),
    ]
    assert json.loads(read[0]["fields"]) == {"source_compute": "compute-01"}


def test_an_export_of_more_than_is_wanted_ends_in_an_error(http: httpx.Client) -> None:
    lines = [json.loads(each) for each in http.get("/export", params={**ALL, "limit": 7}).text.splitlines()]
    assert messages(lines[:-1]) == MESSAGES[:7]
    assert lines[-1] == {"export": {"rows": 7, "error": "there are more than 7 rows"}}
    assert json.loads(http.get("/export", params={**ALL, "limit": 8}).text.splitlines()[-1]) == {"export": {"rows": 8}}


def test_an_export_whose_store_fails_ends_in_an_error(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.query.export.PAGE_ROWS", 10)
    store.append(numbered(0, 25))
    read = store.query

    def query(sql: str, parameters: Mapping[str, object], guard: Guard | None = None) -> pa.Table:
        if "row_id > 20" in sql:
            raise QueryInterruptedError("cannot query the store: interrupted")
        return read(sql, parameters, guard)

    monkeypatch.setattr(store, "query", query)
    with Served(store) as served, httpx.Client(base_url=f"{served.url}/api/v1", trust_env=False) as client:
        *rows, end = map(json.loads, client.get("/export", params=ALL).text.splitlines())
    assert len(rows) == 20
    assert end == {"export": {"rows": 20, "error": "cannot read on within 30 s"}}


def test_an_export_that_cannot_look_beyond_its_limit_is_not_whole(
    store: DuckDbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(numbered(0, 25))
    read = store.query

    def query(sql: str, parameters: Mapping[str, object], guard: Guard | None = None) -> pa.Table:
        if sql.endswith("LIMIT 1"):
            raise QueryInterruptedError("cannot query the store: interrupted")
        return read(sql, parameters, guard)

    monkeypatch.setattr(store, "query", query)
    with Served(store) as served, httpx.Client(base_url=f"{served.url}/api/v1", trust_env=False) as client:
        *rows, end = map(json.loads, client.get("/export", params={**ALL, "limit": 20}).text.splitlines())
    assert len(rows) == 20
    assert end == {"export": {"rows": 20, "error": "cannot tell within 30 s if there are more"}}


def test_an_export_waits_again_where_others_take_long(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.query.routes.export.AGAIN_S", 0.05)
    store.append(numbered(0, 5))
    with Served(store) as served, httpx.Client(base_url=f"{served.url}/api/v1", trust_env=False) as client:
        run = served.app.state.readers.run
        refused: list[None] = []

        async def busy(request: Request, read: Callable[[threading.Event], Any]) -> Any:
            if len(refused) < 3:
                refused.append(None)
                raise BusyError("cannot answer now")
            return await run(request, read)

        monkeypatch.setattr(served.app.state.readers, "run", busy)
        assert json.loads(client.get("/export", params=ALL).text.splitlines()[-1]) == {"export": {"rows": 5}}
        refused.clear()
        monkeypatch.setattr("cloud.logs.query.routes.export.BUSY_S", 0.0)
        assert json.loads(client.get("/export", params=ALL).text.splitlines()[-1]) == {
            "export": {"rows": 0, "error": "cannot answer now"}
        }


def test_an_export_has_what_was_there_when_it_began(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.query.export.PAGE_ROWS", 10)
    store.append(numbered(0, 200))
    rows: list[dict[str, Any]] = []
    with (
        Served(store) as served,
        httpx.stream("GET", f"{served.url}/api/v1/export", params=ALL, trust_env=False) as response,
    ):
        for each in response.iter_lines():
            if not rows:
                store.append(numbered(200, 50))
            rows.append(json.loads(each))
    assert [row["message"] for row in rows[:-1]] == [str(number) for number in range(200)]
    assert rows[-1] == {"export": {"rows": 200}}


class Slow:
    """A store whose rows take minutes: `begun` and `ended` tell of the query in the engine."""

    def __init__(self, store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()
        self._read = store.query
        monkeypatch.setattr(store, "query", self._query)

    def _query(self, sql: str, parameters: Mapping[str, object], guard: Guard | None = None) -> pa.Table:
        if "ORDER BY" not in sql:
            return self._read(sql, parameters, guard)
        self.begun.set()
        try:
            return self._read(SLOW, {}, guard)
        except QueryInterruptedError:
            self.ended.set()
            raise


def test_a_client_that_goes_ends_its_query_in_the_engine(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.append(numbered(0, 10))
    slow = Slow(store, monkeypatch)
    with Served(store) as served:
        for path in ("/search", "/export", "/trace/req-1", "/rows", "/tail"):
            slow.begun.clear()
            slow.ended.clear()
            with pytest.raises(httpx.ReadTimeout):
                httpx.get(f"{served.url}/api/v1{path}", params=ALL, timeout=httpx.Timeout(5, read=0.3), trust_env=False)
            assert slow.begun.is_set()
            assert slow.ended.wait(10), path


def test_a_deadline_is_a_partial_page_or_an_error(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.append(numbered(0, 10))
    Slow(store, monkeypatch)
    with Served(store) as served, httpx.Client(base_url=f"{served.url}/api/v1", trust_env=False, timeout=20) as client:
        found = ask(client, "/search", deadline_s=0.3)
        assert (found["rows"], found["is_partial"], found["reached"]) == ([], True, None)
        assert found["next"] is not None
        answer = client.get("/trace/req-1", params={**ALL, "deadline_s": 0.3})
        beside = client.get("/context/3", params={"deadline_s": 0.3})
    assert (answer.status_code, answer.json()["code"]) == (503, "deadline")
    assert (beside.status_code, beside.json()["code"]) == (503, "deadline")


def test_a_server_that_stops_ends_the_queries(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.append(numbered(0, 10))
    slow = Slow(store, monkeypatch)
    with Served(store) as served:
        failed = threading.Event()

        def search() -> None:
            try:
                httpx.get(f"{served.url}/api/v1/search", params=ALL, timeout=60, trust_env=False)
            except httpx.HTTPError:
                failed.set()

        asking = threading.Thread(target=search)
        asking.start()
        assert slow.begun.wait(10)
    asking.join(10)
    assert slow.ended.wait(10)


def test_only_so_many_questions_run_and_the_next_is_told(store: DuckDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.query.routes.application.WAIT_S", 0.2)
    store.append(numbered(0, 10))
    running: list[None] = []
    release = threading.Event()

    def query(sql: str, parameters: Mapping[str, object], guard: Guard | None = None) -> pa.Table:
        running.append(None)
        release.wait(20)
        raise QueryInterruptedError("cannot query the store: interrupted")

    monkeypatch.setattr(store, "query", query)
    with Served(store) as served:

        def search() -> int:
            return httpx.get(f"{served.url}/api/v1/search", params=ALL, timeout=60, trust_env=False).status_code

        asking = [threading.Thread(target=search) for _ in range(4)]
        for each in asking:
            each.start()
        wait_until(lambda: len(running) == 4, what="four questions")
        answer = httpx.get(f"{served.url}/api/v1/search", params=ALL, timeout=60, trust_env=False)
        assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "busy", "5")
        assert answer.json()["detail"] == "cannot answer now: other questions take longer than 0.2 s"
        assert httpx.get(f"{served.url}/readyz", trust_env=False).status_code == 200
        release.set()
        for each in asking:
            each.join(10)


def test_the_description_has_an_example_of_each_question(http: httpx.Client) -> None:
    described = http.get(str(http.base_url).removesuffix("/api/v1/") + "/openapi.json").json()
    for path in ("search", "histogram", "facets", "context/{row_id}", "trace/{request_id}", "timeline/{instance}",
                 "migrations", "hosts", "export"):  # fmt: skip
        content = described["paths"][f"/api/v1/{path}"]["get"]["responses"]["200"]["content"]
        for media_type, each in content.items():
            name = each.get("schema", {}).get("$ref", "/").rsplit("/", 1)[1]
            schema = described["components"]["schemas"].get(name, {})
            assert each.get("example") or each.get("examples") or schema.get("example"), (path, media_type)


def test_a_limit_is_not_over_before_its_time() -> None:
    assert not Limit.after(60).is_over
    assert Limit.after(0).is_over
