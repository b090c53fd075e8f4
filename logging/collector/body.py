"""The body of a message: plain text, or `@cee:` JSON whose known keys become columns and whose rest stays together."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

COOKIE = "@cee:"
COLUMN_KEYS = ("level", "logger", "request_id", "instance", "project", "event", "migration")
MESSAGE_KEYS = ("message", "msg")
MAX_DEPTH = 64
TRUNCATED_KEY = "truncated"  # set by the sender that cut the text


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
        return Body(text)
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
    columns = {key: str(content.pop(key)) for key in COLUMN_KEYS if _is_plain(content.get(key))}
    return Body(text if message is None else message, columns, content, is_truncated)


def _depth_over(value: object, limit: int) -> bool:
    """Whether lists and objects in `value` nest deeper than `limit`; what does could not be written out again."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return limit < 0 or any(_depth_over(child, limit - 1) for child in children)


def _finite(text: str) -> float | str:
    """A number of JSON; one too large for a float stays text, since JSON has no way to write infinity again."""
    number = float(text)
    return number if math.isfinite(number) else text


def _is_plain(value: object) -> bool:
    """Whether `value` can stand in a text column as it is; others stay where they are, in the fields."""
    return isinstance(value, str | int) and not isinstance(value, bool)
