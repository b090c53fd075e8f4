"""From an instance's name or id to what happened to it: its events and its errors, on whatever host."""

from dataclasses import dataclass
from typing import Any

from cloud.logs.emit.levels import SEVERITIES
from cloud.logs.query.explain.identity import Names, NotFoundError, names_of, resolve
from cloud.logs.query.explain.lines import Lines, line_of
from cloud.logs.query.explain.subject import Kind, ec2_id
from cloud.logs.query.time_range import TimeRange, emitted_at
from cloud.logs.query.where import Where

WARNING = SEVERITIES.index("warning")
NAMING_LINES = 500
"""Lines of an instance that are looked at for its other names."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The newest lines, in the order of the emitters' clocks."""

    names: Names
    rows: list[dict[str, Any]]
    is_cut: bool
    """Whether there are older ones beyond the limit."""


def timeline(text: str, lines: Lines, time: TimeRange, limit: int, *, is_every: bool = False) -> Timeline:
    """By uuid, `i-000015b9`, number, `instance-000015b9` or name; with `is_every` all lines rather than what matters.

    `SubjectError` and `NotFoundError` of explain's identity.
    """
    names = _names(text, lines, time)
    matters = Where() if is_every else Where(f"event IS NOT NULL OR severity <= {WARNING}")
    where = Where("instance = $uuid", {"uuid": names.uuid}).and_(matters)
    if names.domain is not None:  # hypervisors and kernels know no uuid
        of_domain = f"instance IS NULL AND severity <= {WARNING} AND contains(message, $domain)"
        where = Where(f"({where.sql}) OR ({of_domain})", {**where.parameters, "domain": names.domain})
    found = lines.newest(where, time, limit + 1)
    is_cut = found.is_full or len(found.rows) > limit
    return Timeline(names, sorted(found.rows[-limit:], key=emitted_at), is_cut=is_cut)


def _names(text: str, lines: Lines, time: TimeRange) -> Names:
    subject = None
    if text.isdecimal() and text.isascii():  # resolved as it is, a migration's id would come first
        try:
            subject = resolve(ec2_id(int(text)), lines, time)
        except NotFoundError:
            subject = None
    subject = subject or resolve(text, lines, time)
    if subject.kind is not Kind.INSTANCE:
        raise NotFoundError(f"cannot show the timeline of {text}: it is a {subject.kind}, no instance")
    own = lines.newest(subject.where(), time, NAMING_LINES).rows
    return names_of(subject.id, map(line_of, own))
