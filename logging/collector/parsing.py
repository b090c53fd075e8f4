"""From a message to a row, the readable way: the reference for what `columns` reads in batches, and its fallback."""

import json
import re
from dataclasses import dataclass
from typing import Any

from cloud.logs.collector import rfc3164, rfc5424
from cloud.logs.collector.batch import Source
from cloud.logs.collector.body import Body, BodyError, read_body
from cloud.logs.collector.framing import Message
from cloud.logs.collector.row import SEPARATOR, SKEW_S, Flag, Row

_SURROGATE = re.compile(r"[\ud800-\udfff]")
UNPARSED_PRI = 13  # user.notice, for a message without a PRI (RFC 3164 section 4.3.3)
FAILURES = ("no_pri", "structured_data", "json", "timestamp", "utf8")
"""The reasons by which failures are counted; only no_pri leaves a row unparsed, the others cost it one part."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message, when (microseconds since 1970, UTC) and from whom it came."""

    message: Message
    observed_us: int
    source: Source


def parse(received: Received, failures: list[str]) -> tuple[Row, rfc5424.LineId | None]:
    """The row of one message and the identity that its host's rsyslogd gave it.

    What went wrong is added to `failures` as reasons of FAILURES.
    """
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
        if not is_verified(received.source, None, None):
            flags |= Flag.HOST_UNVERIFIED
        flags |= Flag.UNPARSED
        return Row(received.observed_us, received.source.peer, facility, severity, message=text, flags=flags), None
    return _row(received, parts, flags, failures)


def _row(
    received: Received, parts: rfc5424.Parts, flags: Flag, failures: list[str]
) -> tuple[Row, rfc5424.LineId | None]:
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
    if not is_verified(received.source, parts.hostname, line_id.host if line_id else None):
        flags |= Flag.HOST_UNVERIFIED
    facility, severity = divmod(parts.pri, 8)  # RFC 5424 section 6.2.1
    row = Row(
        observed_timestamp=received.observed_us,
        peer=received.source.peer,
        facility=facility,
        severity=severity,
        timestamp=parts.timestamp,
        hostname=parts.hostname,
        app_name=parts.app_name and of_header(parts.app_name),
        procid=parts.procid,
        msgid=parts.msgid and of_header(parts.msgid),
        structured_data=structured_data,
        message=_valid_text(body.message),
        fields=json_of(fields) if fields else None,
        host_start=of_header(line_id.start) if line_id else None,
        sequence=line_id.sequence if line_id else None,
        flags=flags,
        **{key: _valid_text(value) for key, value in body.columns.items()},
    )
    return row, line_id


def of_header(text: str) -> str:
    """`text` as it may stand in the stored header, whose separator is a control character that RFC 5424 forbids."""
    return text.replace(SEPARATOR, "\\x1f")


def is_verified(source: Source, hostname: str | None, inventory_host: str | None) -> bool:
    """Whether a certificate, where one was asked for, bears the names that the line says it comes from."""
    if source.names is None:
        return True
    named = (hostname or "",) if inventory_host is None else (hostname or "", inventory_host)
    return all(name.lower() in source.names for name in named)


def json_of(fields: dict[str, Any]) -> str:
    """`fields` as the column of that name has them."""
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    # Two backslashes: with one it would be a lone surrogate again for whoever reads the JSON.
    return _SURROGATE.sub(lambda match: rf"\\u{ord(match[0]):04x}", text)


def _valid_text(text: str) -> str:
    """`text` with lone surrogates, which JSON may carry and UTF-8 may not, written as escapes."""
    return _SURROGATE.sub(lambda match: rf"\u{ord(match[0]):04x}", text)
