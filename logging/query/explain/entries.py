"""Lines in order -> entries: a traceback that came as one line for each of its lines is one entry with its error."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from cloud.logs.query.explain.lines import Line

MAX_JOINED = 400
"""Lines of one entry; what is more stands on its own."""
_APART = timedelta(seconds=2)
"""Between lines of one traceback: they are written at once."""


def entries_of(lines: Iterable[Line]) -> list[Line]:
    """Each line once, in order of time; those that go on with one above are part of its message."""
    ordered = sorted({line.row_id: line for line in lines}.values(), key=lambda line: (line.time, line.row_id))
    heads: list[Line] = []
    parts: dict[int, list[Line]] = {}
    last: dict[tuple[str | None, ...], Line] = {}
    for line in ordered:
        source = (line.host, line.service, line.process)
        head = last.get(source)
        if head is not None and len(parts[head.row_id]) < MAX_JOINED and _goes_on(line, parts[head.row_id][-1], head):
            parts[head.row_id].append(line)
            continue
        heads.append(line)
        parts[line.row_id] = [line]
        last[source] = line
    return [_joined(head, parts[head.row_id]) for head in heads]


def _goes_on(line: Line, before: Line, head: Line) -> bool:
    if not (line.is_classic and head.is_classic) or line.time - before.time > _APART:
        return False
    if line.level is None:  # a line break within a message
        return line.event is None and head.level is not None
    is_traceback = line.level == "TRACE" or (line.level == "ERROR" and not line.has_context)
    return is_traceback and line.logger == head.logger


def _joined(head: Line, parts: Sequence[Line]) -> Line:
    if len(parts) == 1:
        return head
    message = "\n".join(part.message for part in parts)
    severity = min(part.severity for part in parts)
    instance = head.instance or next((part.instance for part in parts if part.instance), None)
    return replace(head, message=message, severity=severity, instance=instance)
