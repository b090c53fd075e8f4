import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx_sse
import pyarrow as pa
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.store import Guard
from cloud.logs.query.access.principal import Principal, principal
from cloud.logs.query.access.roles import Role
from cloud.logs.query.losses import Losses
from tests.collector.batches import numbered, table_of
from tests.query.serving import Served
from tests.waiting import wait_until

LINES = [
    b'<131>1 - compute-01 nova-api - - - @cee: {"message": "one", "request_id": "req-1", "x": "a"}',
    b'<134>1 - compute-02 nova-compute - - - @cee: {"message": "two", "request_id": "req-1", "instance": "i-1", "x": "b"}',
    b'<142>1 - compute-01 nova-compute - - - @cee: {"message": "three", "instance": "i-1", "x": "a", "y": "b=c"}',
    b"<11>1 - compute-01 sshd - - - four",
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path)
    yield opened
    opened.close()


@contextmanager
def serving(store: DuckDbStore) -> Iterator[httpx.Client]:
    store.append(table_of(*LINES))
    with Served(store) as served, httpx.Client(base_url=served.url, trust_env=False) as client:
        yield client


@pytest.fixture
def http(store: DuckDbStore) -> Iterator[httpx.Client]:
    with serving(store) as client:
        yield client


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """For the tests that only read: a server that holds LINES."""
    store = DuckDbStore(tmp_path_factory.mktemp("unchanged"))
    with serving(store) as client:
        yield client
    store.close()


ROWS = [
    ("nothing", {}, ["one", "two", "three", "four"]),
    ("n", {"n": 2}, ["three", "four"]),
    ("n of 0", {"n": 0}, []),
    ("host", {"host": "compute-02"}, ["two"]),
    ("service", {"service": "nova-compute"}, ["two", "three"]),
    ("severity", {"severity": "err"}, ["one", "four"]),
    ("severity in another word", {"severity": "ERROR"}, ["one", "four"]),
    ("request", {"request_id": "req-1"}, ["one", "two"]),
    ("instance", {"instance": "i-1"}, ["two", "three"]),
    ("field", {"field": "x=a"}, ["one", "three"]),
    ("two fields", {"field": ["x=a", "y=b=c"]}, ["three"]),
    ("two filters", {"host": "compute-01", "severity": "err"}, ["one", "four"]),
    ("without an event that no row has", {"without_event": ["canary", "x"]}, ["one", "two", "three", "four"]),
    ("a quote in a field's name", {"field": "a'b=1"}, []),
    ("a dot in a field's name", {"field": "a.b=1"}, []),
    ("a path in a field's name", {"field": "a/b~c=1"}, []),
    ("SQL in the host", {"host": "' OR '1'='1"}, []),
    ("SQL in the service", {"service": "'; DROP TABLE logs; --"}, []),
    ("SQL in the request", {"request_id": "' OR 1=1 --"}, []),
    ("SQL in the instance", {"instance": "' UNION SELECT 1 --"}, []),
    ("SQL in a field", {"field": "x=' OR 1=1 --"}, []),
    ("SQL in a field's name", {"field": "') OR 1=1 --=1"}, []),
    ("NUL", {"host": "\0", "field": "\0=\0"}, []),
]


@pytest.mark.parametrize(("parameters", "expected"), [pytest.param(*case, id=name) for name, *case in ROWS])
def test_rows_are_filtered(unchanged: httpx.Client, parameters: dict[str, Any], expected: list[str]) -> None:
    answer = unchanged.get("/api/v1/rows", params=parameters)
    assert answer.status_code == 200
    assert [row["message"] for row in answer.json()] == expected


def test_bytes_that_are_no_utf8_in_a_parameter_find_nothing(unchanged: httpx.Client) -> None:
    assert unchanged.get("/api/v1/rows?host=%ff%ed%a0%80").json() == []


REFUSED = [
    (
        "rows",
        {"severity": "loud"},
        "cannot use severity 'loud': expected one of emerg, alert, crit, err, warning, notice, info, debug",
    ),
    ("rows", {"severity": "' OR 1=1"}, 'cannot use severity "\' OR 1=1": expected'),
    ("rows", {"field": "x"}, "cannot use field 'x': expected KEY=VALUE"),
    ("rows", {"field": "=x"}, "cannot use field '=x': expected KEY=VALUE"),
    ("rows", {"n": -1}, "greater than or equal to 0"),
    ("rows", {"n": 10_001}, "less than or equal to 10000"),
    ("rows", {"n": "1; DROP TABLE logs"}, "valid integer"),
    ("tail", {"after": -1}, "greater than or equal to 0"),
    ("tail", {"after": "x"}, "valid integer"),
    ("tail", {"severity": "loud"}, "cannot use severity 'loud'"),
    ("count", {"by": "message"}, "cannot count by message: expected some of host, service, severity, facility, level"),
    ("count", {"by": ["host", "1); DROP TABLE logs; --"]}, "cannot count by 1); DROP TABLE logs; --: expected"),
]


@pytest.mark.parametrize(("path", "parameters", "message"), REFUSED)
def test_what_makes_no_sense_is_refused_with_422(
    unchanged: httpx.Client, path: str, parameters: dict[str, Any], message: str
) -> None:
    answer = unchanged.get(f"/api/v1/{path}", params=parameters)
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert message in (detail if isinstance(detail, str) else detail[0]["msg"])


def test_counts_are_grouped(unchanged: httpx.Client) -> None:
    assert unchanged.get("/api/v1/count").json() == [{"count": 4}]
    assert unchanged.get("/api/v1/count", params={"by": "host"}).json() == [
        {"host": "compute-01", "count": 3},
        {"host": "compute-02", "count": 1},
    ]
    assert unchanged.get("/api/v1/count", params={"by": ["severity", "service"], "host": "compute-01"}).json() == [
        {"severity": "err", "service": "nova-api", "count": 1},
        {"severity": "err", "service": "sshd", "count": 1},
        {"severity": "info", "service": "nova-compute", "count": 1},
    ]
    assert unchanged.get("/api/v1/count", params={"by": ["host", "host"]}).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8080", 200), ("localhost", 200), ("LOCALHOST:1", 200), ("[::1]:8080", 200), ("evil.example", 400),
     ("127.0.0.1.evil.example", 400), ("evil.example:8080", 400), ("localhost.evil.example", 400), ("", 400),
     ("192.0.2.1", 400)],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/readyz", "/metrics", "/api/v1/rows"])
def test_only_loopback_names_are_answered_to(unchanged: httpx.Client, path: str, host: str, status: int) -> None:
    assert unchanged.get(path, headers={"Host": host}).status_code == status


def test_readyz_and_metrics_answer(unchanged: httpx.Client) -> None:
    assert unchanged.get("/readyz").json() == {"status": "ready", "row_id": 4}
    metrics = unchanged.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "\ncloudlog_store_records_total 0.0\n" in metrics.text


def test_a_store_that_refuses_is_503_with_a_code(http: httpx.Client, store: DuckDbStore) -> None:
    store.query("SELECT 1", {})
    store.files.connection.execute(f"DROP VIEW {store.live()[0].database}.logs")
    answer = http.get("/api/v1/rows")
    assert (answer.status_code, answer.json()["code"]) == (503, "store")
    assert answer.json()["detail"].startswith("cannot query the store: ")


def test_rows_counts_and_tails_have_a_deadline(
    http: httpx.Client, store: DuckDbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.logs.query.routes.asking.DEADLINE_S", 0.2)
    read = store.query

    def query(sql: str, parameters: Mapping[str, object], guard: Guard | None = None) -> pa.Table:
        return read("SELECT max(hash(a.i, b.i)) FROM range(100000) a(i), range(100000) b(i)", {}, guard)

    monkeypatch.setattr(store, "query", query)
    why = "cannot answer within 0.2 s: ask for less"
    for path in ("rows", "count"):
        answer = http.get(f"/api/v1/{path}", timeout=20)
        assert (answer.status_code, answer.json()) == (503, {"detail": why, "code": "deadline"})
    assert events(http, 1) == [("end", "", {"detail": why})]
    assert events(http, 2, after=2) == [("live", "2", {"row_id": 2}), ("end", "2", {"detail": why})]


def test_counts_are_of_so_many_groups(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.query.reader.MAX_GROUPS", 1)
    assert http.get("/api/v1/count", params={"by": "host"}).json() == [{"host": "compute-01", "count": 3}]


def test_hostile_lines_are_answered_as_json(http: httpx.Client, store: DuckDbStore) -> None:
    store.append(
        table_of(
            b'<13>1 - h a - - - @cee: {"message": "\\ud800", "n": ' + b"9" * 4000 + b', "s": "\\udfff", "i": 1e999}',
            b"<13>1 9999-12-31T23:59:59-23:59 h a - - - \xff\0\x1b[2J",
        )
    )
    hostile, last = http.get("/api/v1/rows", params={"n": 2}).json()
    assert hostile["message"] == "\\ud800"
    assert hostile["fields"] == {"n": int("9" * 4000), "s": "\\udfff", "i": "1e999"}
    assert last["message"] == "\\xff\0\x1b[2J"


def events(http: httpx.Client, until: int, **parameters: Any) -> list[tuple[str, str, Any]]:
    """The first `until` events of a tail: name, id, and message or data."""
    found = []
    with httpx_sse.connect_sse(http, "GET", "/api/v1/tail", params=parameters, timeout=20) as source:
        for event in source.iter_sse():
            data = json.loads(event.data)
            found.append((event.event, event.id, data.get("message", data)))
            if len(found) == until:
                break
    return found


def test_a_tail_begins_with_history_and_says_where_it_ends(unchanged: httpx.Client) -> None:
    assert events(unchanged, 3, n=2) == [("row", "3", "three"), ("row", "4", "four"), ("live", "4", {"row_id": 4})]
    assert events(unchanged, 1, n=0) == [("live", "4", {"row_id": 4})]
    assert events(unchanged, 2, n=9, host="compute-02") == [("row", "2", "two"), ("live", "4", {"row_id": 4})]


def test_a_tail_goes_on_behind_a_row(unchanged: httpx.Client) -> None:
    assert events(unchanged, 3, after=2, n=1) == [
        ("live", "2", {"row_id": 2}),
        ("row", "3", "three"),
        ("row", "4", "four"),
    ]
    assert events(unchanged, 2, after=1, service="sshd") == [("live", "1", {"row_id": 1}), ("row", "4", "four")]


def test_a_tail_behind_what_there_is_begins_at_the_end(unchanged: httpx.Client) -> None:
    assert events(unchanged, 1, after=10**30) == [("live", "4", {"row_id": 4})]


@pytest.mark.parametrize(
    ("who", "heard"),
    [
        (Principal("reader", Role.READER), ["row", "live", "status"]),
        (Principal("member", Role.MEMBER, ("p1",)), ["row", "live", "row"]),
    ],
)
def test_only_those_who_see_all_hosts_hear_of_losses(
    store: DuckDbStore, monkeypatch: pytest.MonkeyPatch, who: Principal, heard: list[str]
) -> None:
    monkeypatch.setattr(Losses, "news", lambda *_: {"lag_s": 3.0, "dropped": 7})
    own = b'<134>1 - h nova-api - - - @cee: {"message": "m", "project": "p1"}'
    store.append(table_of(own))
    with Served(store) as served, httpx.Client(base_url=served.url, trust_env=False) as client:
        served.app.dependency_overrides[principal] = lambda: who
        found = []
        with httpx_sse.connect_sse(client, "GET", "/api/v1/tail", timeout=20) as source:
            for event in source.iter_sse():
                found.append(event.event)
                if event.event == "live":
                    store.append(table_of(own))
                if len(found) == 3:
                    break
    assert found == heard


def test_log_text_cannot_end_an_event(http: httpx.Client, store: DuckDbStore) -> None:
    text = "a\n\nevent: live\ndata: {}\r\n\r\nid: 99\u2028b\x85c\x0bd\0e"
    store.append(table_of(b"<13>1 - h a - - - @cee: " + json.dumps({"message": text}).encode()))
    assert events(http, 2, n=1) == [("row", "5", text), ("live", "5", {"row_id": 5})]


def test_a_tail_has_no_gap_and_nothing_twice_while_rows_are_committed(http: httpx.Client, store: DuckDbStore) -> None:
    begun = threading.Event()

    def commit() -> None:
        for number in range(0, 2000, 40):
            store.append(numbered(number, 40, host="even" if number % 80 == 0 else "odd"))
            if number == 400:
                begun.set()

    committing = threading.Thread(target=commit)
    committing.start()
    begun.wait()
    found: dict[str, list[str]] = {}

    def tail(name: str, count: int, **parameters: Any) -> None:
        got = events(http, count + 1, **parameters)
        found[name] = [message for event, _, message in got if event == "row"]

    tails = [
        threading.Thread(target=tail, args=("all", 2000), kwargs={"n": 2000, "service": "nova-api"}),
        threading.Thread(target=tail, args=("odd", 1000), kwargs={"n": 5000, "host": "odd"}),
        threading.Thread(target=tail, args=("resumed", 2000), kwargs={"after": 4}),
    ]
    for each in tails:
        each.start()
    for each in (committing, *tails):
        each.join(30)
    assert found["resumed"] == [str(number) for number in range(2000)]
    assert found["odd"] == [str(number) for number in range(2000) if number // 40 % 2]
    assert found["all"] == ["one", *(str(number) for number in range(1999))]  # nova-api wrote one of LINES too


def test_a_tail_that_its_client_leaves_is_let_go(http: httpx.Client, store: DuckDbStore) -> None:
    for _ in range(5):
        events(http, 1, n=0)
    store.append(numbered(0, 1))
    assert http.get("/readyz").json()["row_id"] == 5


def test_tails_end_when_the_server_stops(store: DuckDbStore) -> None:
    store.append(numbered(0, 1))
    ended, is_live = threading.Event(), threading.Event()
    with Served(store) as served:

        def tail() -> None:
            with httpx.stream("GET", f"{served.url}/api/v1/tail", trust_env=False) as response:
                for line in response.iter_lines():
                    if line == "event: live":
                        is_live.set()
            ended.set()

        tailing = threading.Thread(target=tail)
        tailing.start()
        wait_until(is_live.is_set, what="the live event")
    tailing.join(10)
    assert ended.is_set()
