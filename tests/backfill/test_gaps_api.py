"""Gaps, the way in for missing lines, and the end of runs, over HTTP."""

from typing import Any

import httpx
import pytest

from cloud.logs.collector.lines import Mark, MarkKind, Run
from cloud.logs.query import gaps_api
from tests.backfill.collecting import LineCollector, line, lines

OCTETS = {"Content-Type": "application/octet-stream"}


def post(http: httpx.Client, run: Run, body: bytes, **parameters: Any) -> httpx.Response:
    asked = {"host": run.host, "start": run.start, **parameters}
    return http.post("/backfill", params=asked, content=body, headers=OCTETS)


def counted(*sent: bytes) -> bytes:
    return b"".join(b"%d %s" % (len(each), each) for each in sent)


def test_gaps_and_unclosed_runs_are_listed(
    collector: LineCollector, http: httpx.Client, run_a: Run, run_b: Run
) -> None:
    collector.receive(*lines(run_a, 3, 5), line(run_a, 7), *lines(run_b, 1, 4))
    assert http.get("/gaps", params={"host": run_a.host}).json() == [
        {
            "host": run_a.host,
            "start": "A",
            "state": "unclosed",
            "last": 7,
            "stored": 4,
            "waived": 0,
            "missing": 3,
            "gaps": [{"first": 1, "last": 2, "count": 2}, {"first": 6, "last": 6, "count": 1}],
        }
    ]
    every = http.get("/gaps", params={"host": run_a.host, "every": True, "max_gaps": 1}).json()
    assert [(each["start"], each["state"], each["missing"], len(each["gaps"])) for each in every] == [
        ("A", "unclosed", 3, 1),
        ("B", "current", 0, 0),
    ]


def test_missing_lines_are_stored_once_and_the_answer_says_how_many(
    collector: LineCollector, http: httpx.Client, run_a: Run
) -> None:
    collector.receive(line(run_a, 2))
    body = counted(*lines(run_a, 1, 3), line(run_a, 3), line(run_a, 4, b"two\nlines \xff"))
    assert post(http, run_a, body).json() == {"lines": 5, "stored": 3, "duplicates": 2, "refused": 0}
    assert collector.numbers(run_a) == {1: 1, 2: 1, 3: 1, 4: 1}
    assert line(run_a, 4, b"two\nlines \xff") in collector.lines
    assert post(http, run_a, body).json() == {"lines": 5, "stored": 0, "duplicates": 5, "refused": 0}


def test_lines_may_come_as_they_stand_in_a_file(collector: LineCollector, http: httpx.Client, run_a: Run) -> None:
    answer = post(http, run_a, b"\n".join(lines(run_a, 1, 2000)))
    assert answer.json() == {"lines": 2000, "stored": 2000, "duplicates": 0, "refused": 0}
    assert collector.numbers(run_a) == dict.fromkeys(range(1, 2001), 1)


def test_of_a_line_that_is_too_long_head_and_tail_are_kept(
    collector: LineCollector, http: httpx.Client, run_a: Run
) -> None:
    before = collector.truncated
    long = line(run_a, 1, b"begin" + b"x" * (1 << 20) + b"end")
    assert post(http, run_a, counted(long)).json()["stored"] == 1
    [kept] = [each for each in collector.lines if run_a.host.encode() in each]
    assert (kept[:200], kept[-10:]) == (long[:200], long[-10:])
    assert b" [... %d bytes cut ...] " % (len(long) - (1 << 20)) in kept
    assert collector.truncated == before + 1


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"<13>1 - h a - - - no number\n", 422, "it is not of run A of"),
        (line(Run("elsewhere", "A"), 1) + b"\n", 422, "it is not of run A of"),
        (b"12 <13>", 422, "the body ends before it does"),
        (b"1x <13>", 422, "expected an octet count"),
        (b"x" * (16 << 20) + b"y", 413, "cannot take more than 16777216 bytes at once"),
    ],
)
def test_a_body_that_is_not_of_the_run_is_refused(
    http: httpx.Client, run_a: Run, body: bytes, status: int, said: str
) -> None:
    answer = post(http, run_a, body)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_what_a_web_page_may_send_without_asking_is_refused(http: httpx.Client, run_a: Run) -> None:
    answer = http.post(
        "/backfill",
        params={"host": run_a.host, "start": "A"},
        content=line(run_a, 1),
        headers={"Content-Type": "text/plain"},
    )
    assert answer.status_code == 415
    text = {"Content-Type": "text/plain"}
    closing = '{"host": "h", "start": "A", "last": 1}'
    assert http.post("/runs/close", content=closing, headers=text).status_code == 422


def test_when_the_store_stalls_the_sender_is_told_to_come_again(
    collector: LineCollector, http: httpx.Client, run_a: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaps_api, "ROOM_S", 0.1)
    monkeypatch.setattr(gaps_api, "COMMIT_S", 0.1)
    collector.may_write.clear()
    try:
        waited = post(http, run_a, counted(*lines(run_a, 1, 10)))
        assert (waited.status_code, "the store stalls" in waited.text) == (503, True)
        full = post(http, run_a, counted(*(line(run_a, 10 + n, b"x" * 500_000) for n in range(20))))
        assert (full.status_code, "the inbox is full" in full.text) == (503, True)
    finally:
        collector.may_write.set()
    monkeypatch.undo()
    assert post(http, run_a, counted(*lines(run_a, 1, 30))).json()["lines"] == 30
    assert collector.numbers(run_a) == dict.fromkeys(range(1, 31), 1)


def test_a_run_is_closed_when_all_of_it_is_stored(
    collector: LineCollector, http: httpx.Client, run_a: Run, run_b: Run
) -> None:
    collector.receive(*lines(run_a, 1, 3), line(run_b, 1))
    closing = {"host": run_a.host, "start": "A", "last": 4}
    refused = http.post("/runs/close", json=closing)
    assert refused.status_code == 409
    assert refused.json()["detail"] == f"cannot close run A of {run_a.host} at 4: 1 of its lines are not stored"
    post(http, run_a, counted(line(run_a, 4)), ended=True)
    assert http.post("/runs/close", json=closing).json() == {"state": "closed"}
    assert http.get("/gaps", params={"host": run_a.host}).json() == []
    assert collector.marks[-1] == Mark(run_a, 1, 4, MarkKind.CLOSED)


def test_what_nobody_has_can_be_waived(collector: LineCollector, http: httpx.Client, run_a: Run) -> None:
    collector.receive(line(run_a, 5))
    waiving = {"host": run_a.host, "start": "A", "gaps": [[1, 2], [4, 4]]}
    assert http.post("/runs/waive", json=waiving).json() == {"waived": 3}
    [found] = http.get("/gaps", params={"host": run_a.host}).json()
    assert found["gaps"] == [{"first": 3, "last": 3, "count": 1}]
    assert http.post("/runs/waive", json={**waiving, "gaps": [[2, 1]]}).status_code == 422
    assert http.post("/runs/waive", json={**waiving, "gaps": [[0, 1]]}).status_code == 422
