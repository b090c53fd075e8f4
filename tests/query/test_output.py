import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cloud.logs.query.output import as_json, formatter, local_time, pretty, raw


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def row(**columns: Any) -> dict[str, Any]:
    return {
        "row_id": 7,
        "observed_timestamp": "2027-01-15T12:00:00.250000Z",
        "peer": "192.0.2.7",
        "facility": "user",
        "severity": "info",
        "message": "spawned",
        **columns,
    }


PRETTY = [
    # valid
    ("least", row(), "2027-01-15 12:00:00.250 192.0.2.7 - INFO spawned"),
    (
        "everything",
        row(
            timestamp="2027-01-15T11:59:59Z",
            hostname="compute-01",
            app_name="nova-compute",
            procid="81",
            request_id="req-1",
            instance="i-1",
            event="build.spawn.completed",
            fields={"step_s": 1.5},
            flags=["skewed", "truncated"],
            severity="err",
        ),
        (
            "2027-01-15 11:59:59.000 compute-01 nova-compute[81] ERR spawned  request=req-1 instance=i-1"
            " event=build.spawn.completed step_s=1.5 flags=skewed,truncated"
        ),
    ),
    ("a message of two lines", row(message="one\ntwo"), "2027-01-15 12:00:00.250 192.0.2.7 - INFO one\n    two"),
    (
        "a traceback",
        row(fields={"traceback": "Traceback:\n  File x\nValueError\n", "a": 1}),
        "2027-01-15 12:00:00.250 192.0.2.7 - INFO spawned  a=1\n    Traceback:\n      File x\n    ValueError",
    ),
    (
        "what is for programs is left out",
        row(fields={"src": "a.py:1", "exc_type": "E", "exc_message": "m", "replay": "r"}),
        "2027-01-15 12:00:00.250 192.0.2.7 - INFO spawned",
    ),
    ("not ASCII", row(message="größer 😀 日本"), "2027-01-15 12:00:00.250 192.0.2.7 - INFO größer 😀 日本"),
    ("tab", row(message="a\tb"), "2027-01-15 12:00:00.250 192.0.2.7 - INFO a\tb"),
    # incomplete
    ("null in a field", row(fields={"a": None}), "2027-01-15 12:00:00.250 192.0.2.7 - INFO spawned"),
    (
        "a traceback that is no text",
        row(fields={"traceback": [1]}),
        "2027-01-15 12:00:00.250 192.0.2.7 - INFO spawned  traceback=[1]",
    ),
    ("an empty message", row(message=""), "2027-01-15 12:00:00.250 192.0.2.7 - INFO "),
    # hostile
    ("colour", row(message="\x1b[31mred\x1b[0m"), "2027-01-15 12:00:00.250 192.0.2.7 - INFO \\x1b[31mred\\x1b[0m"),
    ("window title", row(message="\x1b]0;owned\x07"), "2027-01-15 12:00:00.250 192.0.2.7 - INFO \\x1b]0;owned\\x07"),
    ("C1 codes", row(message="\x9b2J\x90q\x9d"), "2027-01-15 12:00:00.250 192.0.2.7 - INFO \\x9b2J\\x90q\\x9d"),
    ("backspaces", row(message="a\b\b\x7f"), "2027-01-15 12:00:00.250 192.0.2.7 - INFO a\\x08\\x08\\x7f"),
    ("carriage return", row(message="a\rb"), "2027-01-15 12:00:00.250 192.0.2.7 - INFO a\\rb"),
    ("NUL", row(message="a\0b"), "2027-01-15 12:00:00.250 192.0.2.7 - INFO a\\x00b"),
    (
        "direction",
        row(message="a\u202eb\u2066c\u200f"),
        "2027-01-15 12:00:00.250 192.0.2.7 - INFO a\\u202eb\\u2066c\\u200f",
    ),
    (
        "other line ends",
        row(message="a\x0bb\x0cc\x85d\u2028e"),
        "2027-01-15 12:00:00.250 192.0.2.7 - INFO a\\x0bb\\x0cc\\x85d\\u2028e",
    ),
    (
        "codes in the header",
        row(hostname="\x1b[2J", app_name="\x1b[H", procid="\x07"),
        "2027-01-15 12:00:00.250 \\x1b[2J \\x1b[H[\\x07] INFO spawned",
    ),
    (
        "codes in fields and their names",
        row(fields={"\x1b[1m": "\x1b[2m"}, instance="\x07"),
        "2027-01-15 12:00:00.250 192.0.2.7 - INFO spawned  instance=\\x07 \\x1b[1m=\\x1b[2m",
    ),
    (
        "codes in a traceback",
        row(fields={"traceback": "\x1b[2J"}),
        "2027-01-15 12:00:00.250 192.0.2.7 - INFO spawned\n    \\x1b[2J",
    ),
    (
        "a forged line in a field",
        row(fields={"a": "x\n2027-01-15 12:00:01.000 compute-01 nova-api INFO forged"}),
        "2027-01-15 12:00:00.250 192.0.2.7 - INFO spawned  a=x\n    2027-01-15 12:00:01.000 compute-01 nova-api INFO forged",
    ),
    (
        "a forged line in an id",
        row(instance="x\nforged"),
        "2027-01-15 12:00:00.250 192.0.2.7 - INFO spawned  instance=x\n    forged",
    ),
]


@pytest.mark.parametrize(("given", "expected"), [pytest.param(*case, id=name) for name, *case in PRETTY])
def test_rows_are_lines_for_people(given: dict[str, Any], expected: str) -> None:
    assert pretty(given, colour=False) == expected


def test_colour_is_ours_alone() -> None:
    text = pretty(row(severity="err", message="\x1b[32mgreen"), colour=True)
    assert text == (
        "\x1b[2m2027-01-15 12:00:00.250 192.0.2.7 -\x1b[0m \x1b[31mERR\x1b[0m \x1b[31m\\x1b[32mgreen\x1b[0m"
    )


@pytest.mark.parametrize("severity", ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"])
def test_every_severity_has_a_style(severity: str) -> None:
    assert severity.upper() in pretty(row(severity=severity), colour=True)


def test_a_row_is_left_as_it_was() -> None:
    given = row(fields={"traceback": "T", "a": 1})
    pretty(given, colour=True)
    assert given == row(fields={"traceback": "T", "a": 1})


def test_json_is_one_line_that_gives_the_row_back_and_moves_no_terminal() -> None:
    given = row(message="a\n\x1b[2J\x9b2J\u2028\u202e\0 ü", fields={"\x9b": "\x85"})
    text = as_json(given)
    assert json.loads(text) == given
    assert text.endswith(r'"message":"a\n\u001b[2J\u009b2J\u2028\u202e\u0000 ü","fields":{"\u009b":"\u0085"}}')


RAW = [
    ("message", row(message="one\ntwo"), "one\ntwo"),
    ("traceback", row(fields={"traceback": "T\n  x"}), "spawned\nT\n  x"),
    ("a traceback that is no text", row(fields={"traceback": 5}), "spawned"),
    ("an empty message", row(message=""), ""),
    ("codes", row(message="\x1b[2J"), "\x1b[2J"),
]


@pytest.mark.parametrize(("given", "expected"), [pytest.param(*case, id=name) for name, *case in RAW])
def test_raw_is_what_was_logged(given: dict[str, Any], expected: str) -> None:
    assert raw(given) == expected
    assert formatter("raw", terminal=False, colour=False)(given) == expected


def test_raw_to_a_terminal_goes_without_codes() -> None:
    assert formatter("raw", terminal=True, colour=True)(row(message="\x1b[2J\nx")) == "\\x1b[2J\nx"


def test_the_formatter_is_the_one_asked_for() -> None:
    assert formatter("pretty", terminal=True, colour=False)(row()) == "2027-01-15 12:00:00.250 192.0.2.7 - INFO spawned"
    assert json.loads(formatter("json", terminal=False, colour=False)(row())) == row()


TIMES = [
    ("UTC", "2027-01-15T12:00:00.250999Z", "2027-01-15 12:00:00.250"),
    ("Asia/Tokyo", "2027-01-15T12:00:00Z", "2027-01-15 21:00:00.000"),
    ("Asia/Tokyo", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
    ("America/New_York", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
]


@pytest.mark.parametrize(("zone", "text", "expected"), TIMES)
def test_times_are_local_and_never_an_error(
    monkeypatch: pytest.MonkeyPatch, zone: str, text: str, expected: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    assert local_time(row(timestamp=text)) == expected
