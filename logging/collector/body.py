"""The body of a message: plain text, or `@cee:` JSON whose known keys become columns and whose rest stays together."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cloud.logs.collector.row import FOLDED, SEPARATOR

COOKIE = "@cee:"
COLUMN_KEYS = ("level", "logger", "request_id", "instance", "project", "event", "migration")
MESSAGE_KEYS = ("message", "msg")
MAX_DEPTH = 64
TRUNCATED_KEY = "truncated"  # set by the sender that cut the text

_UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_WORD = r"[!-Z\\^-~]+"
_REQUEST = re.compile(rf"\[(req-{_UUID})(?=[ \]])(?: {_WORD} ({_WORD})(?=[ \]]))?")
_INSTANCE = re.compile(rf"\[instance: ({_UUID})\]")
_ID = r"[0-9A-Za-z_.@:-]+"
_NOVA_FORMAT = re.compile(
    rf"([A-Za-z_][A-Za-z0-9_.]*) \[(req-{_UUID}) ({_ID}) ({_ID}) - - -\] (?:\[instance: ({_UUID})\] )?"
)


@dataclass(frozen=True, slots=True)
class Body:
    """What a body says."""

    message: str
    columns: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, object] = field(default_factory=dict)
    is_truncated: bool = False


class BodyError(ValueError):
    """A body that announces JSON and is none."""


def read_body(text: str) -> Body:
    """The body of a message; `BodyError` for a `@cee:` that no JSON object follows. Plain text is its own message."""
    if not text.startswith(COOKIE):
        return _nova_line(text) or Body(text, nova_context(text))
    try:
        content = json.loads(text[len(COOKIE) :], parse_constant=str, parse_float=_finite)
    except (ValueError, RecursionError) as exc:
        raise BodyError(f"cannot read JSON body: {exc}") from exc
    if not isinstance(content, dict):
        raise BodyError(f"cannot read JSON body: expected an object, got {type(content).__name__}")
    if _depth_over(content, MAX_DEPTH):
        raise BodyError(f"cannot read JSON body: nested deeper than {MAX_DEPTH}")
    is_truncated = content.get(TRUNCATED_KEY) is True and content.pop(TRUNCATED_KEY)
    message = next((content.pop(key) for key in MESSAGE_KEYS if isinstance(content.get(key), str)), None)
    columns = {key: str(content.pop(key)) for key in COLUMN_KEYS if _is_plain(key, content.get(key))}
    return Body(text if message is None else message, columns, content, is_truncated)


def _nova_line(text: str) -> Body | None:
    """A line in nova's own format taken apart: `LOGGER [REQUEST USER PROJECT - - -] [instance: UUID] MESSAGE`.

    Its parts go where those of a JSON body go, so that both forms of one message are found alike; put together again
    in this order they are what was received.
    """
    match = _NOVA_FORMAT.match(text)
    if match is None or match.end() == len(text):
        return None
    name, request_id, user, project, instance = match.groups()
    columns = {"logger": name, "request_id": request_id}
    if project != "-":
        columns["project"] = project
    if instance is None and (elsewhere := _INSTANCE.search(text, match.end())):
        instance = elsewhere[1]
    if instance is not None:
        columns["instance"] = instance
    return Body(text[match.end() :], columns, {} if user == "-" else {"user": user})


def nova_context(text: str) -> dict[str, str]:
    """What ids a plain text holds, wherever: `[req-... user project - - -] [instance: uuid]`."""
    found = {}
    if match := _REQUEST.search(text):
        found["request_id"] = match[1]
        if match[2] and match[2] != "-":
            found["project"] = match[2]
    if match := _INSTANCE.search(text):
        found["instance"] = match[1]
    return found


def _depth_over(value: object, limit: int) -> bool:
    """Whether lists and objects in `value` nest deeper than `limit`; what does could not be written out again."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return limit < 0 or any(_depth_over(child, limit - 1) for child in children)


def _finite(text: str) -> float | str:
    """A number of JSON; one too large for a float stays text, since JSON has no way to write infinity again."""
    number = float(text)
    return number if math.isfinite(number) else text


def _is_plain(key: str, value: object) -> bool:
    """Whether `value` can stand in the text column `key` as it is; others stay where they are, in the fields."""
    if key in FOLDED and isinstance(value, str) and (not value or SEPARATOR in value):
        return False
    return isinstance(value, str | int) and not isinstance(value, bool)
