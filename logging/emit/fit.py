"""Making a record as small as its transport takes: a long text loses its middle, never its head or tail."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

TRUNCATED = "truncated"
MIN_BYTES = 1024
MAX_DEPTH = 32

_MARK = "\n[... {} bytes cut ...]\n"
_MARK_ROOM = 48
_SHORT_BYTES = 256
_ESSENTIAL = ("message", "level", "logger", "request_id", "instance", "event", "migration", "exc_type")
_ESSENTIAL_BYTES = 1024
_KEY_ROOM = 32
# What JSON leaves as it is and somebody takes for the end of a line, a control character, or no UTF-8 at all.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def fit(body: Mapping[str, object], max_bytes: int) -> str:
    """`body` as JSON on one line of at most `max_bytes` UTF-8 bytes (1,024 or more), whatever it holds.

    Where it has to be cut, the longest texts keep head and tail around a mark that says how much is gone, and
    `truncated` is true. A body of many fields that still does not fit keeps the essential ones alone.
    """
    whole = _json(body)
    if len(whole.encode()) <= max_bytes:
        return whole
    kept: dict[str, Any] = {text_of(key): _cuttable(value) for key, value in body.items()} | {TRUNCATED: True}
    sizes = {key: _size(value) for key, value in kept.items() if isinstance(value, str)}
    room = max_bytes - _size(kept) + sum(sizes.values())
    share = _share(list(sizes.values()), room)
    if room >= 0 and share >= min(_SHORT_BYTES, max(sizes.values(), default=0)):
        return _json({key: cut_middle(value, share) if key in sizes else value for key, value in kept.items()})
    share = min(_ESSENTIAL_BYTES, max_bytes // len(_ESSENTIAL) - _KEY_ROOM)
    return _json({key: cut_middle(text_of(kept[key]), share) for key in _ESSENTIAL if key in kept} | {TRUNCATED: True})


def cut_middle(text: str, max_bytes: int) -> str:
    """`text` itself when its JSON form takes at most `max_bytes`, else its head and tail around a mark."""
    if _size(text) <= max_bytes:
        return text
    half = max(0, (max_bytes - _MARK_ROOM) // 2)
    head, tail = text[: _prefix_length(text, half)], text[::-1][: _prefix_length(text[::-1], half)][::-1]
    gone = text[len(head) : len(text) - len(tail)]
    return head + _MARK.format(len(gone.encode(errors="replace"))) + tail


def text_of(value: object) -> str:
    """`value` as text, also where its own `__str__` fails; bytes as UTF-8, an int of any length in hexadecimal."""
    try:
        if isinstance(value, bytes | bytearray):
            return value.decode(errors="backslashreplace")
        if isinstance(value, int) and value.bit_length() > 10_000:  # Python refuses to write it in decimal
            return hex(value)
        return str(value)
    except Exception as exc:  # noqa: BLE001 - a foreign __str__ may raise anything, and a log call must not
        return f"<{type(value).__name__}: no text, {type(exc).__name__}>"


def _share(sizes: list[int], room: int) -> int:
    """The most that each text may take for all to fit into `room`: long ones share what short ones leave."""
    for number, size in enumerate(sorted(sizes)):
        waiting = len(sizes) - number
        if size * waiting > room:
            return room // waiting
        room -= size
    return max(sizes, default=0)


def _prefix_length(text: str, max_bytes: int) -> int:
    """How many characters of `text` fit into `max_bytes` of JSON; each takes at least one byte."""
    low, high = 0, min(len(text), max_bytes)
    while low < high:
        middle = (low + high + 1) // 2
        if _size(text[:middle]) - 2 <= max_bytes:
            low = middle
        else:
            high = middle - 1
    return low


def _cuttable(value: object) -> object:
    """Any long value as text, nested ones as their JSON, so that it can be cut; a short one stays what it is."""
    if isinstance(value, str):
        return value
    text = _json(value)
    return json.loads(text) if len(text) <= _SHORT_BYTES else text


def _size(value: object) -> int:
    return len(_json(value).encode())


def _json(value: object) -> str:
    try:
        text = _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError):  # a key, number or nesting that JSON does not have
        text = _ENCODER.encode(_plain(value, MAX_DEPTH))
    if text.isascii() and "\x7f" not in text:
        return text
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    is_surrogate = match[0] >= "\ud800"
    return "\ufffd" if is_surrogate else f"\\u{ord(match[0]):04x}"


def _plain(value: object, depth: int) -> object:
    """`value` in what JSON has; what it lacks, or what lies deeper than `depth`, becomes text."""
    if isinstance(value, dict | list | tuple) and depth == 0:
        return f"<{type(value).__name__}: too deep>"
    if isinstance(value, dict):
        return {text_of(key): _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value]
    if isinstance(value, int) and value.bit_length() > 10_000:
        return text_of(value)
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return text_of(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=text_of, separators=(",", ":"))
