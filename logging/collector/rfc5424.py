"""The parts of an RFC 5424 message (section 6), leniently where real senders are."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_HEADER = re.compile(r"<(\d{1,3})>1 (\S+) (\S+) (\S+) (\S+) (\S+) ", re.ASCII)
_ELEMENT = re.compile(r'\[[^\s="\]]{1,255}(?: [^\s="\]]{1,255}="(?:[^"\\]|\\.)*")*\]', re.DOTALL | re.ASCII)
_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))\Z", re.IGNORECASE | re.ASCII
)
_LINE_ID = "[line@32473 "
_PARAMETER = re.compile(r' ([^\s="\]]+)="((?:[^"\\]|\\.)*)"', re.DOTALL | re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,18}\Z")
_ESCAPED = re.compile(r'\\(["\\\]])')
_TO_ESCAPE = re.compile(r'["\\\]]')
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_PRI = 191
MAX_SEQUENCE = 2**63
MAX_ID = 255
"""Of a host or a start id, in characters: what is longer numbers no line, since each is kept."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A message taken apart; None for NIL. `timestamp` is microseconds since 1970, UTC."""

    pri: int
    timestamp: int | None
    hostname: str | None
    app_name: str | None
    procid: str | None
    msgid: str | None
    structured_data: str | None
    body: str
    bad_timestamp: str | None = None
    """The timestamp's text where it is not a legal one; nothing else of the message is lost for it."""
    has_bad_structured_data: bool = False
    """What stands in its place is none, and begins the body."""


def split_message(text: str) -> Parts | None:
    """The parts of `text`, or None when it is not RFC 5424: then it is another format's, or nobody's."""
    match = _HEADER.match(text)
    if match is None or (pri := int(match[1])) > MAX_PRI:
        return None
    time_text, hostname, app_name, procid, msgid = (None if value == "-" else value for value in match.groups()[1:])
    timestamp = None if time_text is None else parse_timestamp(time_text)
    end = _structured_data_end(text, match.end())
    if end is None and time_text is not None and timestamp is None:
        return None  # neither fits: a text of the older format that begins with a 1
    structured_data = None if end is None else text[match.end() : end]
    return Parts(
        pri=pri,
        timestamp=timestamp,
        hostname=hostname,
        app_name=app_name,
        procid=procid,
        msgid=msgid,
        structured_data=None if structured_data == "-" else structured_data,
        body=text[match.end() if end is None else end + 1 :].removeprefix("\ufeff"),
        bad_timestamp=time_text if timestamp is None else None,
        has_bad_structured_data=end is None,
    )


def parse_timestamp(text: str) -> int | None:
    """Microseconds since 1970 of an RFC 3339 timestamp; None for one that is not legal (section 6.2.3)."""
    match = _TIMESTAMP.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    offset = timedelta()
    if match[8]:
        offset = timedelta(hours=int(match[9]), minutes=int(match[10])) * (-1 if match[8] == "-" else 1)
        if int(match[9]) > 23 or int(match[10]) > 59:
            return None
    try:
        moment = datetime(year, month, day, hour, minute, second, int((match[7] or "0")[:6].ljust(6, "0")), UTC)
        return (moment - offset - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):  # the offset may lead out of the years 1 to 9999, where nobody could read it
        return None


@dataclass(frozen=True, slots=True)
class LineId:
    """Which line of which run of which host's rsyslogd this is."""

    host: str
    start: str
    sequence: int


def take_line_id(structured_data: str | None) -> tuple[str | None, LineId | None]:
    """`structured_data` without the identity that a host's rsyslogd gave the line, and that identity.

    The last such element counts: it is the one that rsyslogd appended, whatever a program wrote before it.
    """
    if structured_data is None or _LINE_ID not in structured_data:
        return structured_data, None
    start = end = 0
    while match := _ELEMENT.match(structured_data, end):  # from the first on: a name or a value may hold a bracket
        start, end = match.span()
    if end != len(structured_data) or not structured_data.startswith(_LINE_ID, start):
        return structured_data, None
    values = {name: _ESCAPED.sub(r"\1", value) for name, value in _PARAMETER.findall(structured_data, start)}
    names = values.get("host", ""), values.get("start", "")
    if not all(0 < len(name) <= MAX_ID for name in names) or not _NUMBER.match(values.get("n", "")):
        return structured_data, None
    if (sequence := int(values["n"])) >= MAX_SEQUENCE:
        return structured_data, None
    return structured_data[:start] or None, LineId(values["host"], values["start"], sequence)


def map_parameters(structured_data: str, change: Callable[[list[tuple[str, str]]], list[str]]) -> str | None:
    """`structured_data` with other values: `change` is given each element's names and values, and gives its new values.

    Values are without their escapes. What does not change stays as it is written. None where `structured_data` is none.
    """
    written = []
    end = 0
    while match := _ELEMENT.match(structured_data, end):
        end = match.end()
        parameters = list(_PARAMETER.finditer(structured_data, match.start(), end))
        values = [_ESCAPED.sub(r"\1", each[2]) for each in parameters]
        changed = change([(each[1], value) for each, value in zip(parameters, values, strict=True)])
        at = match.start()
        for parameter, old, new in zip(parameters, values, changed, strict=True):
            written.append(structured_data[at : parameter.start(2)])
            written.append(parameter[2] if new == old else _TO_ESCAPE.sub(r"\\\g<0>", new))
            at = parameter.end(2)
        written.append(structured_data[at:end])
    return "".join(written) if end == len(structured_data) else None


def _structured_data_end(text: str, start: int) -> int | None:
    """Where STRUCTURED-DATA ends; None when what stands there is none. A space or the end must follow."""
    end = start + 1 if text.startswith("-", start) else start
    if end == start:
        while match := _ELEMENT.match(text, end):
            end = match.end()
    return end if end > start and text[end : end + 1] in ("", " ") else None
