"""Classic nova log files into records: the lines of a file in, one record for each entry with its traceback out."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import PurePath
from typing import Final

MAX_RECORD_CHARS: Final = 4 * 1024 * 1024
MAX_RECORD_LINES: Final = 10_000


@dataclass(frozen=True, slots=True)
class NovaRecord:
    """One entry of a log file. `lines` says how many lines of the input it took; `message` has them joined by newlines.

    `level` is the file's own word, so AUDIT and TRACE occur. What the file gives as `-` or leaves out is None.
    """

    service: str
    timestamp: datetime
    process: int | None
    level: str
    logger: str
    request_id: str | None
    user: str | None
    project: str | None
    instance: str | None
    message: str
    lines: int


def read_records(
    lines: Iterable[str], *, service: str | None = None, file_name: str | None = None, zone: tzinfo = UTC
) -> Iterator[NovaRecord]:
    """The records of `lines`, in their order; every line is part of exactly one, so their `lines` add up to the input.

    A record goes on with lines that have no header, and with the lines of a traceback: TRACE, or from 2015 on ERROR
    without a request context at the very same time, each of the same process and logger. One that would pass
    `MAX_RECORD_CHARS` or `MAX_RECORD_LINES` is followed by another with the same header.

    Lines without a header at the very beginning are a record of their own, with level INFO, logger `nova` and the time
    of the first header below them (the epoch if there is none). Timestamps are read in `zone` and given in UTC.
    The service is the one that the line's file prefix names, else `service`, else the one of `file_name`, else the
    one whose code the logger belongs to.
    """
    given = service or _service_of_file(file_name or "")
    entry: _Entry | None = None
    for raw in lines:
        line = raw.rstrip("\r\n")
        header = _read_header(line, given, zone)
        if entry is None:
            entry = _Entry(header, header.message) if header else _Entry(_headless(given), line)
        elif header is None:
            text = line.removeprefix(f"{entry.header.file} ") if entry.header.file else line
            if entry.has_room(text):
                entry.add(text)
            else:
                yield entry.record()
                entry = _Entry(entry.header, text)
        elif header.continues(entry.header) and entry.has_room(header.message):
            entry.add(header.message)
        else:
            yield entry.record(before=header)
            entry = _Entry(header, header.message)
    if entry is not None:
        yield entry.record()


@dataclass(frozen=True, slots=True)
class _Header:
    file: str | None
    service: str
    timestamp: datetime | None
    process: int | None
    level: str
    logger: str
    has_context: bool
    request_id: str | None
    user: str | None
    project: str | None
    instance: str | None
    message: str

    def continues(self, above: "_Header") -> bool:
        same_source = (self.service, self.process, self.logger) == (above.service, above.process, above.logger)
        is_traceback = self.level == "TRACE" or (
            self.level == "ERROR" and not self.has_context and self.timestamp == above.timestamp
        )
        return same_source and is_traceback and above.timestamp is not None


@dataclass(slots=True)
class _Entry:
    """A record while its lines come in."""

    header: _Header
    first: str
    rest: list[str] = field(default_factory=list)
    chars: int = 0

    def has_room(self, text: str) -> bool:
        return len(self.first) + self.chars + len(text) < MAX_RECORD_CHARS and len(self.rest) + 1 < MAX_RECORD_LINES

    def add(self, text: str) -> None:
        self.rest.append(text)
        self.chars += len(text) + 1

    def record(self, before: _Header | None = None) -> NovaRecord:
        header = self.header
        return NovaRecord(
            service=header.service,
            timestamp=header.timestamp or (before and before.timestamp) or datetime.fromtimestamp(0, UTC),
            process=header.process,
            level=header.level,
            logger=header.logger,
            request_id=header.request_id,
            user=header.user,
            project=header.project,
            instance=header.instance,
            message="\n".join([self.first, *self.rest]),
            lines=1 + len(self.rest),
        )


# [file name, a space or grep's colon] date time [process] level logger [context] [instance] message
_HEADER = re.compile(
    r"""
    (?:(?P<file>(?=\S*?\.log)[^\s:]\S*?)(?::(?=\d{4}-\d\d-\d\d[ ])|(?<!:\d{4}-\d\d-\d\d)[ ]))?
    (?P<time>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?)[ ]
    (?:(?P<process>\d{1,10})[ ])?
    (?P<level>DEBUG|INFO|AUDIT|WARNING|ERROR|CRITICAL|TRACE)[ ]
    (?P<logger>[A-Za-z_][\w.-]*)(?:[ ]|\Z)
    (?:\[(?P<context>-|(?:None[ ]|req-)[^\]]*)\](?:[ ]|\Z))?
    (?:\[instance:[ ](?P<instance>[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12})\](?:[ ]|\Z))?
    """,
    re.VERBOSE | re.ASCII,
)


def _read_header(line: str, given: str | None, zone: tzinfo) -> _Header | None:
    match = _HEADER.match(line)
    if match is None:
        return None
    try:
        timestamp = datetime.fromisoformat(match["time"]).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):  # the 31st of February; a year that the zone moves out of range
        return None
    request_id, user, project = _read_context(match["context"])
    return _Header(
        file=match["file"],
        service=_service_of_file(match["file"] or "") or given or _service_of_logger(match["logger"]),
        timestamp=timestamp,
        process=int(match["process"]) if match["process"] else None,
        level=match["level"],
        logger=match["logger"],
        has_context=match["context"] is not None,
        request_id=request_id,
        user=user,
        project=project,
        instance=match["instance"],
        message=line[match.end() :],
    )


def _headless(given: str | None) -> _Header:
    return _Header(
        file=None,
        service=given or "nova",
        timestamp=None,
        process=None,
        level="INFO",
        logger="nova",
        has_context=False,
        request_id=None,
        user=None,
        project=None,
        instance=None,
        message="",
    )


def _read_context(context: str | None) -> tuple[str | None, str | None, str | None]:
    """Request id, user, project of `req-1 user project - - -`; a global request id may stand before the local one."""
    words = [None if word in {"-", "None"} else word for word in (context or "").split()]
    if len(words) > 1 and (words[1] or "").startswith("req-"):
        words = words[1:]
    request_id, user, project = (*words, None, None, None)[:3]
    return request_id, user, project


def _service_of_file(name: str) -> str | None:
    """`nova-api` for `/var/log/nova/nova-api.log.1.2017-05-16`; None for `nova.log`, which holds several services."""
    stem = PurePath(name).name.partition(".log")[0]
    return stem if stem.startswith("nova-") else None


# The longest match counts: nova.compute.api runs in nova-api.
_SERVICES: Final = {
    "nova.api": "nova-api",
    "nova.cert": "nova-cert",
    "nova.compute": "nova-compute",
    "nova.compute.api": "nova-api",
    "nova.conductor": "nova-conductor",
    "nova.console": "nova-novncproxy",
    "nova.consoleauth": "nova-consoleauth",
    "nova.ec2": "nova-api",
    "nova.metadata": "nova-api",
    "nova.network": "nova-network",
    "nova.objectstore": "nova-objectstore",
    "nova.osapi": "nova-api",
    "nova.osapi_compute": "nova-api",
    "nova.scheduler": "nova-scheduler",
    "nova.virt": "nova-compute",
    "nova.wsgi": "nova-api",
}


def _service_of_logger(logger: str) -> str:
    parts = logger.split(".")[:3]
    for end in range(len(parts), 0, -1):
        service = _SERVICES.get(".".join(parts[:end]))
        if service is not None:
            return service
    return "nova"
