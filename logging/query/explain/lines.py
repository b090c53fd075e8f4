"""Rows of the store as explain reads them: structured lines of our services, and classic nova's plain ones."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from cloud.logs.emit.levels import SEVERITIES
from cloud.logs.events import RPC_TIMEOUT
from cloud.logs.query.search import FoundRows
from cloud.logs.query.time_range import TimeRange
from cloud.logs.query.where import Where

UUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
ERR, WARNING, INFO = 3, 4, 6
"""Severities: smaller numbers are worse."""

_LEVELS: Mapping[str, int] = {
    "TRACE": ERR, "CRITICAL": 2, "ERROR": ERR, "WARNING": WARNING, "AUDIT": 5, "INFO": INFO, "DEBUG": 7,
}  # fmt: skip
# [date time [process]] level logger [context] [instance] message
_CLASSIC = re.compile(
    rf"""
    (?P<time>\d{{4}}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{{1,6}})?)[ ]
    (?:(?P<process>\d{{1,10}})[ ])?
    (?P<level>DEBUG|INFO|AUDIT|WARNING|ERROR|CRITICAL|TRACE)[ ]
    (?P<logger>[A-Za-z_][\w.-]*)(?:[ ]|\Z)
    (?:\[(?P<context>-|(?:None[ ]|req-)[^\]]*)\](?:[ ]|\Z))?
    (?:\[instance:[ ](?P<instance>{UUID})\](?:[ ]|\Z))?
    """,
    re.VERBOSE | re.ASCII,
)
_TIME_BEFORE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+0000: \d+: (?P<level>error|warning|info|debug) : ")


class Lines(Protocol):
    """Where lines come from."""

    def newest(self, where: Where, time: TimeRange, limit: int) -> FoundRows:
        """Rows as the API gives them, at most `limit`, and fewer where they are very long."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row, or several where a classic traceback came as one a line; what is None was not said."""

    row_id: int
    time: datetime
    """The emitter's, or that of arrival where it gave none."""
    observed: datetime
    host: str | None
    service: str | None
    process: str | None
    severity: int
    message: str
    level: str | None = None
    logger: str | None = None
    request_id: str | None = None
    instance: str | None = None
    migration: str | None = None
    event: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    host_start: str | None = None
    sequence: int | None = None
    flags: tuple[str, ...] = ()
    has_time: bool = True
    """Whether the emitter said when."""
    is_classic: bool = False
    """Plain text in the format of nova's log files, or going on with such."""
    has_context: bool = False
    """Of a classic line: whether it has brackets with a request or a minus, which lines of a traceback have not."""
    has_user: bool = False
    """Whether somebody has asked for it: a periodic task has a request of its own, but no user."""

    @property
    def error(self) -> str:
        """What failed, in its own words; the message where the line has no such field."""
        if self.event == RPC_TIMEOUT:
            said = self.fields
            return f"cannot call {said.get('method')} of {said.get('target')}: no reply in {said.get('timeout_s')} s"
        return str(self.fields.get("error") or self.fields.get("exc_message") or self.message)

    @property
    def error_class(self) -> str | None:
        """The name of the exception's class where a field has it."""
        found = self.fields.get("cause") or self.fields.get("exc_type")
        return None if found is None else str(found)

    @property
    def text(self) -> str:
        """All that it says of an error, traceback included."""
        parts = [self.message, *(str(self.fields[name]) for name in _TEXTS if name in self.fields)]
        return "\n".join([*parts, self.error] if self.event == RPC_TIMEOUT else parts)


_TEXTS = ("error", "exc_message", "traceback")


def line_of(row: Mapping[str, Any]) -> Line:
    """A row as the API gives it."""
    observed = datetime.fromisoformat(row["observed_timestamp"])
    fields: Mapping[str, Any] = row.get("fields") or {}
    message = str(row["message"])
    severity = SEVERITIES.index(row["severity"])
    level, logger = row.get("level"), row.get("logger")
    if level is not None:
        severity = min(severity, _LEVELS.get(level, severity))
    line = Line(
        row_id=int(row["row_id"]),
        time=datetime.fromisoformat(row["timestamp"]) if "timestamp" in row else observed,
        observed=observed,
        host=row.get("hostname"),
        service=row.get("app_name"),
        process=row.get("procid"),
        severity=severity,
        message=message,
        level=level,
        logger=logger,
        request_id=row.get("request_id"),
        instance=row.get("instance"),
        migration=row.get("migration"),
        event=row.get("event"),
        fields=fields,
        host_start=row.get("host_start"),
        sequence=row.get("sequence"),
        flags=tuple(row.get("flags") or ()),
        has_time="timestamp" in row,
        is_classic="replay" in fields,
        has_context="replay" in fields and row.get("request_id") is not None,
        has_user=row.get("user") is not None or row.get("project") is not None,
    )
    return line if logger is not None and level is not None else _read_text(line)


def _read_text(line: Line) -> Line:
    """The same with what its text says, where that is a classic line of nova or one of libvirtd."""
    found = _CLASSIC.match(line.message)
    if found is None:
        libvirt = _TIME_BEFORE.match(line.message)
        if libvirt is None:
            return replace(line, is_classic=line.event is None and not line.fields)
        severity = {"error": ERR, "warning": WARNING}.get(libvirt["level"], INFO)
        return replace(line, severity=severity, message=line.message[libvirt.end() :])
    time = line.time if line.has_time else datetime.fromisoformat(found["time"].replace(",", ".")).replace(tzinfo=UTC)
    return replace(
        line,
        time=time,
        process=found["process"] or line.process,
        severity=_LEVELS[found["level"]],
        message=line.message[found.end() :],
        level=found["level"],
        logger=found["logger"],
        instance=line.instance or found["instance"],
        is_classic=True,
        has_context=found["context"] is not None,
        has_user=line.has_user or _has_user(found["context"] or ""),
    )


def _has_user(context: str) -> bool:
    """Of `req-... user project`, which has minuses or None in place of those that are not known."""
    return any(word not in ("-", "None") and not word.startswith("req-") for word in context.split())
