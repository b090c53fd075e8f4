"""From frames to rows. Whatever arrives becomes a row; what cannot be read is kept raw and counted by reason."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from cloud.logs.collector import rfc3164, rfc5424
from cloud.logs.collector.body import Body, BodyError, read_body
from cloud.logs.collector.framing import Message
from cloud.logs.collector.row import RECEIVED, SKEW_S, Flag, Row

_SURROGATE = re.compile(r"[\ud800-\udfff]")
UNPARSED_PRI = 13  # user.notice, for a message without a PRI (RFC 3164 section 4.3.3)
FAILURES = ("no_pri", "structured_data", "json", "timestamp", "utf8")
"""The reasons by which failures are counted; only no_pri leaves a row unparsed, the others cost it one part."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message, when (microseconds since 1970, UTC) and from whom it came."""

    message: Message
    observed_us: int
    peer: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """A batch ready for the store: one table row for each message, in the same order, and what went wrong."""

    table: pa.Table
    failures: Sequence[str]


def parse_batch(batch: Iterable[Received]) -> Parsed:
    """One row for each message, whatever it holds."""
    failures: list[str] = []
    rows = [parse(received, failures) for received in batch]
    return Parsed(
        pa.table({c.name: pa.array([getattr(row, c.name) for row in rows], c.arrow) for c in RECEIVED}), failures
    )


def parse(received: Received, failures: list[str]) -> Row:
    """The row of one message; what went wrong is added to `failures` as reasons of FAILURES."""
    payload = received.message.payload
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        text = payload.decode(errors="backslashreplace")
        failures.append("utf8")
    flags = Flag.TRUNCATED if received.message.is_truncated else Flag(0)
    parts = rfc5424.split_message(text) or rfc3164.split_message(text, received.observed_us)
    if parts is None:
        failures.append("no_pri")
        facility, severity = divmod(UNPARSED_PRI, 8)
        return Row(
            received.observed_us, received.peer, facility, severity, message=text, flags=flags | Flag.UNPARSED
        )
    return _row(received, parts, flags, failures)


def _row(received: Received, parts: rfc5424.Parts, flags: Flag, failures: list[str]) -> Row:
    try:
        body = read_body(parts.body)
    except BodyError:
        body = Body(parts.body)
        failures.append("json")
    fields: dict[str, Any] = dict(body.fields)
    if parts.bad_timestamp is not None:
        fields["timestamp_text"] = parts.bad_timestamp
        failures.append("timestamp")
    if parts.has_bad_structured_data:
        failures.append("structured_data")
    if body.is_truncated:
        flags |= Flag.TRUNCATED
    if parts.timestamp is not None and abs(parts.timestamp - received.observed_us) > SKEW_S * 1_000_000:
        flags |= Flag.SKEWED
    structured_data, line_id = rfc5424.take_line_id(parts.structured_data)
    facility, severity = divmod(parts.pri, 8)  # RFC 5424 section 6.2.1
    return Row(
        observed_timestamp=received.observed_us,
        peer=received.peer,
        facility=facility,
        severity=severity,
        timestamp=parts.timestamp,
        hostname=parts.hostname,
        app_name=parts.app_name,
        procid=parts.procid,
        msgid=parts.msgid,
        structured_data=structured_data,
        message=_valid_text(body.message),
        fields=_json(fields) if fields else None,
        host_start=line_id.start if line_id else None,
        sequence=line_id.sequence if line_id else None,
        flags=flags,
        **{key: _valid_text(value) for key, value in body.columns.items()},
    )


def _json(fields: dict[str, Any]) -> str:
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    # Two backslashes: with one it would be a lone surrogate again for whoever reads the JSON.
    return _SURROGATE.sub(lambda match: rf"\\u{ord(match[0]):04x}", text)


def _valid_text(text: str) -> str:
    """`text` with lone surrogates, which JSON may carry and UTF-8 may not, written as escapes."""
    return _SURROGATE.sub(lambda match: rf"\u{ord(match[0]):04x}", text)
