"""Whatever a line holds, it is one line of JSON within the bound."""

import json
import math
from collections import UserDict
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.logs.emit.fit import MIN_BYTES, cut_middle, fit, text_of

DATAGRAM = 120 * 1024


class Mute:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Chatty:
    def __repr__(self) -> str:
        return "C" * 500_000


def lines(text: str) -> int:
    return len(text.splitlines())


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


def cycle() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.builds(lambda digits: 10**digits, st.integers(4000, 6000)),
    st.floats(),
    any_text,
    st.binary(max_size=20),
    st.builds(Mute),
    st.builds(Chatty),
    st.just("x" * 3000),
    st.just('"\\\n\x00\x85' * 500),
    st.sampled_from([Decimal("NaN"), UUID(int=1), object, 1j]),
)
keys = st.one_of(any_text, st.just("k" * 2000), st.integers(), st.none(), st.tuples(st.integers()), st.floats())
values = st.recursive(
    scalars,
    lambda children: st.one_of(
        st.lists(children, max_size=4),
        st.dictionaries(keys, children, max_size=4),
        st.tuples(children),
        st.builds(cycle),
        st.just(nested(3000)),
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(body=st.dictionaries(keys, values, max_size=12), max_bytes=st.integers(MIN_BYTES, 8000))
def test_any_body_becomes_one_line_of_json_within_the_bound(body: dict[Any, object], max_bytes: int) -> None:
    text = fit(body, max_bytes)
    assert len(text.encode()) <= max_bytes
    assert lines(text) == 1
    assert isinstance(json.loads(text, parse_constant=pytest.fail), dict)


@settings(max_examples=200, deadline=None)
@given(text=st.one_of(any_text, st.text(min_size=200, max_size=600)), max_bytes=st.integers(48, 400))
def test_cut_text_is_within_the_bound_and_keeps_both_ends(text: str, max_bytes: int) -> None:
    cut = cut_middle(text, max_bytes)
    assert len(json.dumps(cut, ensure_ascii=False).encode(errors="replace")) <= max(max_bytes, 50)
    head, _, tail = cut.partition("\n[... ")
    assert text.startswith(head)
    assert cut == text or text.endswith(tail.partition(" bytes cut ...]\n")[2])


def test_body_that_fits_is_left_as_it_is() -> None:
    body = {"message": "grüße", "step_s": 1.5, "n": 3, "ok": True, "none": None, "tags": ["a", {"b": 1}]}
    assert fit(body, DATAGRAM) == ('{"message":"grüße","step_s":1.5,"n":3,"ok":true,"none":null,"tags":["a",{"b":1}]}')


def test_traceback_of_60_kb_stays_whole() -> None:
    traceback = "\n".join(f'  File "manager.py", line {n}, in transfer' for n in range(1400))
    assert len(traceback) > 55_000
    body = {"message": "m", "traceback": traceback}
    assert json.loads(fit(body, DATAGRAM)) == body


def test_text_of_a_megabyte_keeps_head_and_tail_and_says_how_much_is_gone() -> None:
    message = "HEAD" + "ü" * 500_000 + "TAIL"
    text = fit({"message": message, "level": "INFO", "n": 7}, DATAGRAM)
    body = json.loads(text)
    assert DATAGRAM - 100 <= len(text.encode()) <= DATAGRAM
    assert {key: body[key] for key in ("level", "n", "truncated")} == {"level": "INFO", "n": 7, "truncated": True}
    head, rest = body["message"].split("\n[... ")
    said, tail = rest.split(" bytes cut ...]\n")
    assert head.startswith("HEADüüü")
    assert tail.endswith("üüüTAIL")
    assert len(message.encode()) == len((head + tail).encode()) + int(said)


def test_long_texts_share_the_room_and_short_ones_stay_whole() -> None:
    body = json.loads(fit({"message": "m" * 400, "a": "a" * 200_000, "b": "b" * 100_000, "c": "c" * 20_000}, 65536))
    assert body["message"] == "m" * 400
    assert body["c"] == "c" * 20_000
    assert abs(len(body["a"]) - len(body["b"])) < 10
    assert len(body["a"]) > 22_000


def test_long_nested_value_is_cut_as_its_json_and_a_short_one_stays() -> None:
    body = json.loads(fit({"big": {"list": ["x" * 100] * 3000}, "small": {"a": [1]}}, DATAGRAM))
    assert body["small"] == {"a": [1]}
    assert body["big"].startswith('{"list":["xxx')
    assert body["big"].endswith('xxx"]}')


def test_body_of_too_many_fields_keeps_the_essential_ones() -> None:
    body: dict[str, Any] = {f"field_{n}": n for n in range(50_000)}
    body |= {"message": "live migration failed", "request_id": "req-1", "instance": UUID(int=1), "exc_type": "E" * 5000}
    kept = json.loads(fit(body, DATAGRAM))
    assert kept.keys() == {"message", "request_id", "instance", "exc_type", "truncated"}
    assert kept["message"] == "live migration failed"
    assert kept["instance"] == "00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (math.nan, '"nan"'),
        (-math.inf, '"-inf"'),
        ([1, math.inf], '[1,"inf"]'),
        pytest.param(16**4000, '"0x1' + "0" * 4000 + '"', id="a huge int"),
        (2**64, "18446744073709551616"),
        (b"ab\xff", '"ab\\\\xff"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Decimal("1.50"), '"1.50"'),
        (UserDict(a=1), "\"{'a': 1}\""),
        (Mute(), '"<Mute: no text, RuntimeError>"'),
        ({(1, 2): 3}, '{"(1, 2)":3}'),
        ({None: 1}, '{"null":1}'),
        ("a\u2028b\u2029c\x85d\x7fe\r\n", '"a\\u2028b\\u2029c\\u0085d\\u007fe\\r\\n"'),
        ("\ud800", '"\ufffd"'),
        ("\x00", '"\\u0000"'),
    ],
)
def test_value_that_json_lacks_is_written_as_text(value: object, written: str) -> None:
    assert fit({"v": value}, DATAGRAM) == '{"v":' + written + "}"


def test_value_inside_itself_ends() -> None:
    assert "too deep" in fit({"v": cycle()}, DATAGRAM)


def test_text_of_anything_is_text() -> None:
    assert text_of("a") == "a"
    assert text_of(True) == "True"
    assert text_of(b"\xc3\xbc") == "ü"
    assert text_of(Mute()) == "<Mute: no text, RuntimeError>"
