"""Rows as text for people and programs. Log text never reaches a terminal as control codes."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import click

Row = Mapping[str, Any]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_STYLES: Mapping[str, Mapping[str, Any]] = {
    "emerg": {"fg": "white", "bg": "red", "bold": True},
    "alert": {"fg": "white", "bg": "red", "bold": True},
    "crit": {"fg": "red", "bold": True},
    "err": {"fg": "red"},
    "warning": {"fg": "yellow"},
    "notice": {"fg": "cyan"},
    "info": {},
    "debug": {"dim": True},
}
_SHOWN_APART = ("traceback", "stack")
_HIDDEN = ("src", "exc_type", "exc_message", "replay")


def pretty(row: Row, *, colour: bool, utc: bool = False) -> str:
    """A line for people: local time, host, service, severity, message, ids and fields; a traceback below it."""
    fields = dict(row.get("fields", {}))
    blocks = [fields.pop(key) for key in _SHOWN_APART if isinstance(fields.get(key), str)]
    shown = {"request": row.get("request_id"), "instance": row.get("instance"), "event": row.get("event")}
    shown |= {key: value for key, value in fields.items() if key not in _HIDDEN}
    if flags := row.get("flags"):
        shown["flags"] = ",".join(flags)
    sender = row.get("app_name", "-") + (f"[{row['procid']}]" if "procid" in row else "")
    where = f"{local_time(row, utc=utc)} {row.get('hostname', row['peer'])} {sender}"
    details = " ".join(f"{key}={value}" for key, value in shown.items() if value is not None)
    severity = row["severity"].upper()
    head, text, tail = (printable(part).replace("\n", "\n    ") for part in (where, row["message"], details))
    if colour:
        style = _STYLES[row["severity"]]
        head, tail = click.style(head, dim=True), click.style(tail, dim=True)
        severity, text = click.style(severity, **style), click.style(text, **style)
    line = f"{head} {severity} {text}" + (f"  {tail}" if details else "")
    return "\n    ".join([line, *(printable(block.rstrip()).replace("\n", "\n    ") for block in blocks)])


def as_json(row: Row) -> str:
    """The row as the API gave it, on one line."""
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    return _CONTROL.sub(lambda match: rf"\u{ord(match[0]):04x}", text)


def raw(row: Row) -> str:
    """The message alone, and below it its traceback, as they were logged."""
    parts = (row["message"], row.get("fields", {}).get("traceback"))
    return "\n".join(part for part in parts if part and isinstance(part, str))


def formatter(output: str, *, terminal: bool, colour: bool, utc: bool = False) -> Callable[[Row], str]:
    """The function for `--output` pretty, json or raw; to a terminal raw text goes without its control codes."""
    if output == "json":
        return as_json
    if output == "raw":
        return (lambda row: printable(raw(row))) if terminal else raw
    return lambda row: pretty(row, colour=colour, utc=utc)


def local_time(row: Row, *, utc: bool = False) -> str:
    """The emitter's time, else that of arrival, in this machine's zone or in UTC, to the millisecond."""
    return shown_time(row.get("timestamp") or row["observed_timestamp"], utc=utc)


def shown_time(text: str, *, utc: bool) -> str:
    """A time of the API in this machine's zone or in UTC, to the millisecond."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC if utc else None)
    except (OverflowError, ValueError):  # in the first or the last hours that a date can have
        return text
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def printable(text: str) -> str:
    """`text` with control and text-direction characters, other than tab and newline, shown as escapes."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
