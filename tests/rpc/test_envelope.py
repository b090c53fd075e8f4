"""Requests and replies as JSON."""

import json
from typing import Any

import pytest

from cloud.errors import ServiceNotFoundError
from cloud.logs.emit import RequestContext
from cloud.rpc.envelope import MAX_BYTES, Reply, Request
from cloud.rpc.errors import BadMessageError, RemoteError

REQUEST: dict[str, Any] = {
    "version": 1,
    "id": "1",
    "method": "spawn",
    "arguments": {"instance": "42"},
    "sender": "nova-api on controller-01",
    "context": {"request_id": "req-1"},
    "reply_to": "reply_1",
    "expires_at_s": 1000.5,
}
DECODED = Request(
    "1",
    "spawn",
    {"instance": "42"},
    "nova-api on controller-01",
    RequestContext(request_id="req-1"),
    "reply_1",
    1000.5,
)


def body(**changes: Any) -> bytes:
    return json.dumps({**REQUEST, **changes}).encode()


VALID: list[tuple[object, Request]] = [
    (body(), DECODED),
    (body().decode(), DECODED),
    (memoryview(body()), DECODED),
    (body(more="from a newer sender"), DECODED),
    (body(context={"request_id": "req-1", "newer": "x"}), DECODED),
    (
        body(context={}, reply_to=None, expires_at_s=None, arguments={}),
        Request("1", "spawn", {}, "nova-api on controller-01"),
    ),
    (
        body(context={"instance": "42"}, reply_to=None, expires_at_s=7),
        Request("1", "spawn", {"instance": "42"}, "nova-api on controller-01", RequestContext(instance="42"), None, 7),
    ),
]


@pytest.mark.parametrize(("text", "request_"), VALID)
def test_a_request_is_read(text: object, request_: Request) -> None:
    assert Request.decode(text) == request_


def test_a_request_is_written_as_it_is_read() -> None:
    assert json.loads(DECODED.encode()) == REQUEST


INCOMPLETE = [{key: value for key, value in REQUEST.items() if key != left_out} for left_out in REQUEST]
HOSTILE: dict[str, object] = {
    "nothing": b"",
    "half": body()[:40],
    "not UTF-8": b"\xff\xfe\x00",
    "a list": b"[]",
    "null": b"null",
    "a number": b"1",
    "no text at all": 5,
    "None": None,
    "another version": body(version=2),
    "a version as text": body(version="1"),
    "deep": b"[" * 100_000,
    "a long number": b'{"version": ' + b"9" * 5000 + b"}",
    "too large": body(arguments={"x": "y" * MAX_BYTES}),
    "NaN": body(expires_at_s=float("nan")),
    "infinite": body(expires_at_s=float("inf")),
    "infinite by its size": body().replace(b"1000.5", b"1e999"),
    "far away": body(expires_at_s=10**40),
    "before all time": body(expires_at_s=-1),
    "a time as text": body(expires_at_s="1"),
    "a time as truth": body(expires_at_s=True),
    "an empty id": body(id=""),
    "an id as number": body(id=1),
    "no id": body(id=None),
    "an endless id": body(id="x" * 256),
    "a method as list": body(method=["spawn"]),
    "a method of two lines": body(method="spawn\nspawn"),
    "half a character": body(method="\ud800"),
    "a sender as object": body(sender={}),
    "an endless sender": body(sender="x" * 256),
    "a reply to nowhere": body(reply_to=""),
    "a reply to zero": body(reply_to=0),
    "a reply to falsehood": body(reply_to=False),
    "a reply to an endless name": body(reply_to="r" * 256),
    "an endless context": body(context={"request_id": "r" * 256}),
    "a context of two lines": body(context={"host": "a\nb"}),
    "a context that is no text": body(context={"user": ["root"]}),
    "arguments as list": body(arguments=["x"]),
    "arguments as null": body(arguments=None),
    "context as text": body(context="req-1"),
    "context as null": body(context=None),
    "context as list": body(context=["request_id"]),
}


@pytest.mark.parametrize("content", INCOMPLETE, ids=REQUEST)
def test_a_request_without_one_of_its_fields_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(BadMessageError, match=r"^cannot read (request|message): "):
        Request.decode(json.dumps(content))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_request_is_refused_in_few_words(text: object) -> None:
    with pytest.raises(BadMessageError, match=r"^cannot read ") as raised:
        Request.decode(text)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"x": {1, 2}}, "cannot send what JSON does not hold: "),
        ({"x": float("nan")}, "cannot send what JSON does not hold: "),
        ({"x": object()}, "cannot send what JSON does not hold: "),
        ({"x": "y" * MAX_BYTES}, "cannot send 1048701 bytes: a message has at most 1048576"),
    ],
)
def test_what_cannot_travel_is_refused_before_it_does(arguments: dict[str, object], error: str) -> None:
    with pytest.raises(BadMessageError, match=f"^{error}"):
        Request("1", "spawn", arguments, "test").encode()


def test_a_character_takes_no_more_bytes_than_in_utf_8() -> None:
    arguments = {"x": "\U0001f600" * (MAX_BYTES // 5)}
    request = Request("1", "spawn", arguments, "test")
    assert Request.decode(request.encode()) == request


@pytest.mark.parametrize("text", ["\ud800", "\\\ud800", "\\\\\udcff\udcfe", "a\udc80\u20ac\U0001f600"])
def test_half_a_character_travels_escaped(text: str) -> None:
    request = Request("1", "spawn", {"x": text, text: 1}, "test")
    assert Request.decode(request.encode()) == request
    assert Request.decode(request.encode().decode()) == request


def test_a_reply_is_read_as_it_was_written() -> None:
    assert Reply.decode(Reply("1", {"a": [1, None, "ä"]}).encode()) == Reply("1", {"a": [1, None, "ä"]})
    assert json.loads(Reply("1", error=ServiceNotFoundError("no compute")).encode()) == {
        "version": 1,
        "id": "1",
        "result": None,
        "error": {"type": "ServiceNotFoundError", "message": "no compute"},
    }
    failed = Reply.decode(b'{"version":1,"id":"1","result":null,"error":{"type":"ZeroDivisionError","message":"by 0"}}')
    assert type(failed.error) is RemoteError
    assert str(failed.error) == "ZeroDivisionError: by 0"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b'{"version":1}',
        b'{"version":1,"id":"1","result":null}',
        b'{"version":1,"id":"1","error":null}',
        b'{"version":1,"id":"1","result":null,"error":"text"}',
        b'{"version":1,"id":"1","result":null,"error":{}}',
        b'{"version":1,"id":"1","result":null,"error":[]}',
    ],
)
def test_a_bad_reply_is_refused(text: bytes) -> None:
    with pytest.raises(BadMessageError, match=r"^cannot read "):
        Reply.decode(text)
