"""One procedure that an instance went through, as its lines tell: which, between which hosts, and how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from cloud.logs.events import BUILD, COMPLETED, FAILED, MIGRATION, PROCEDURES, RESIZE, STARTED, SUFFIXES, Procedure
from cloud.logs.query.explain.attempts import attempts_of, standing
from cloud.logs.query.explain.classic import destination_of, is_deleted, is_deletion, is_shelving, landmark_of
from cloud.logs.query.explain.lines import ERR, WARNING, Line
from cloud.logs.query.explain.places import Side

AROUND = timedelta(seconds=60)
"""Lines of the instance so long before and behind the events of a procedure are of it, too."""

_FAMILIES = {each.name: each for each in PROCEDURES}
_ROLLBACK = "rollback"
_BUILD_ROLLBACK = {"step started": STARTED, "step completed": "completed", "step failed": FAILED}
"""A build has no event of its rollback: the line's words tell."""
_GOOD = ("completed", "finished", "confirmed", "reverted")
_LAST = {MIGRATION.name: "post", BUILD.name: "spawn", RESIZE.name: "post"}
"""The step with which a classic procedure has done what it was asked for."""


class Ending(StrEnum):
    """How it ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """No line tells."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What one line tells of a step."""

    step: str
    suffix: str
    line: Line
    side: Side | None = None
    """What the line's host is, where a classic line tells."""


@dataclass(frozen=True, slots=True)
class Operation:
    """`lines` are those that carry its ids, `marks` what they tell of its steps, both in order of time."""

    procedure: Procedure | None
    """None for a request whose lines tell of no procedure."""
    migration: str | None
    instance: str | None
    lines: Sequence[Line]
    marks: Sequence[Mark]
    overcome: frozenset[int] = frozenset()
    """The numbers of classic lines that do not tell why it failed, or not of its own failure."""

    @property
    def name(self) -> str:
        """In a word, by its type where a field has it."""
        said = self.field("type")
        otherwise = "deletion" if self.is_deletion else "shelving" if self.is_shelving else "request"
        return str(said or (self.procedure.name if self.procedure else otherwise))

    @property
    def is_deletion(self) -> bool:
        """Whether a classic host has deleted its instance by it: the vocabulary has no such procedure."""
        return self.procedure is None and any(map(is_deletion, self.lines))

    @property
    def is_shelving(self) -> bool:
        """Whether a classic host has let go of its instance by it: the vocabulary does not have that, either."""
        return self.procedure is None and any(map(is_shelving, self.lines))

    @property
    def began(self) -> datetime:
        return self.lines[0].time

    @property
    def ended(self) -> datetime:
        return self.lines[-1].time

    @property
    def requests(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(line.request_id for line in self.lines if line.request_id))

    @property
    def is_classic(self) -> bool:
        return all(mark.line.is_classic for mark in self.marks)

    def field(self, *names: str) -> Any:
        """The last value that its lines give one of the fields."""
        for line in reversed(self.lines):
            for name in names:
                if line.fields.get(name) is not None:
                    return line.fields[name]
        return None

    @property
    def end_line(self) -> Line | None:
        """The line by which a conductor ends it."""
        ends = (line for line in reversed(self.lines) if line.message == "migration ended" and "status" in line.fields)
        return next(ends, None)

    @property
    def ending(self) -> Ending:
        """By its last word."""
        if (end := self.end_line) is not None:
            status = str(end.fields["status"])
            if status in _GOOD and "error" not in end.fields:
                return Ending.COMPLETED
            return Ending.CANCELLED if status == "cancelled" else Ending.FAILED
        events = [line.event for line in self.lines]
        if self.procedure is BUILD and "instance.create" in events:
            return Ending.COMPLETED
        if self.procedure is BUILD and "instance.error" in events:
            return Ending.FAILED
        if self.is_classic:
            return self._classic_ending()
        return Ending.FAILED if any(mark.suffix == FAILED for mark in self.marks) else Ending.UNKNOWN

    @property
    def last_success(self) -> Mark | None:
        """What tells that a classic procedure has done what it was asked for; None of one that never came to that."""
        return next((mark for mark in reversed(self.marks) if is_success(self.procedure, mark)), None)

    @property
    def standing_lines(self) -> Sequence[Line]:
        """Without what was overcome by another attempt, or came from aside."""
        return [line for line in self.lines if line.row_id not in self.overcome]

    @property
    def standing_marks(self) -> Sequence[Mark]:
        """As the lines that are standing."""
        return [mark for mark in self.marks if mark.line.row_id not in self.overcome]

    @property
    def is_aside(self) -> bool:
        """Whether nobody has asked for it, as for a periodic task: a host's classic errors that are of no procedure."""
        is_known = self.procedure is not None or self.is_deletion or self.is_shelving
        if is_known or not all(line.is_classic for line in self.lines):
            return False
        if not any(line.has_user for line in self.lines):
            return True
        return all(
            line.service == "nova-compute" and line.severity <= WARNING and ".rpc." not in (line.logger or "")
            for line in self.lines
        )

    def _classic_ending(self) -> Ending:
        """A success outdoes what failed before it: another host or attempt has brought it about."""
        failed = {mark.line.row_id for mark in self.marks if mark.suffix == FAILED}
        failures = [line for line in self.standing_lines if line.severity <= ERR or line.row_id in failed]
        success = self.last_success
        if success is not None and self._is_overcome(failures, success):
            return Ending.COMPLETED
        if failures:
            return Ending.FAILED
        if self.is_deletion:
            return Ending.COMPLETED if any(map(is_deleted, self.lines)) else Ending.UNKNOWN
        return Ending.UNKNOWN

    def _is_overcome(self, failures: Sequence[Line], success: Mark) -> bool:
        """What fails behind the transfer of a live migration is not tried again."""
        of_post = {mark.line.row_id for mark in self.marks if mark.step == "post" and mark.suffix == FAILED}
        last = (success.line.time, success.line.row_id)
        return all((line.time, line.row_id) < last and line.row_id not in of_post for line in failures)

    @property
    def hosts(self) -> Mapping[Side, tuple[str, ...]]:
        """Of each side the hosts, as far as known, the destination that was told last as the last.

        A build has been tried on several, perhaps; a host that was passed over is none.
        """
        found: dict[Side, dict[str, None]] = {side: {} for side in Side}
        destinations = found[Side.DESTINATION]
        marks = {mark.line.row_id: mark for mark in self.marks}
        for line in self.lines:
            mark = marks.get(line.row_id)
            if line.fields.get("source_compute"):
                found[Side.SOURCE][str(line.fields["source_compute"])] = None
            is_told = self.procedure is BUILD and (line.event is not None or mark is not None)
            built_on = line.fields.get("host") if is_told else None  # the host that a line is about may be any other
            if destination := line.fields.get("dest_compute") or built_on or destination_of(line):
                destinations.pop(str(destination), None)
                destinations[str(destination)] = None
            if mark is None or line.host is None:
                continue
            side = mark.side if line.is_classic else Side.CONTROLLER
            if line.row_id in self.overcome or side is Side.DESTINATION:
                destinations.pop(line.host, None)
            if line.row_id not in self.overcome and side is not None:
                found[side][line.host] = None
        return {side: tuple(hosts) for side, hosts in found.items()}

    @property
    def all_hosts(self) -> tuple[str, ...]:
        """Every host on its path, those that have written lines among them."""
        named = [host for hosts in self.hosts.values() for host in hosts]
        return tuple(dict.fromkeys([*named, *(line.host for line in self.lines if line.host)]))


def failed_before(operation: Operation) -> list[Sequence[Line]]:
    """What does not tell why a classic procedure failed in the end: for each host that it was tried on before."""
    if operation.procedure is BUILD:
        return [standing(attempt) for attempt in attempts_of(operation.lines)[:-1]]
    found: dict[str | None, list[Line]] = {}
    for mark in operation.marks:
        if mark.suffix == FAILED and mark.line.row_id in operation.overcome:
            found.setdefault(mark.line.host, []).append(mark.line)
    return list(found.values())


def is_success(procedure: Procedure | None, mark: Mark) -> bool:
    """Whether a classic procedure has done what it was asked for by that."""
    last = None if procedure is None else _LAST.get(procedure.name)
    return (mark.step, mark.suffix) == (last, COMPLETED)


def mark_of(line: Line) -> tuple[Procedure | None, Mark] | None:
    """What a line tells of a procedure; None where that is nothing."""
    if line.event is not None:
        family, _, rest = line.event.partition(".")
        step, _, suffix = rest.partition(".")
        procedure = _FAMILIES.get(family)
        if procedure is None or step not in procedure.steps or suffix not in SUFFIXES:
            return None
        return procedure, Mark(step, suffix, line)
    if line.fields.get("step") == _ROLLBACK and line.message in _BUILD_ROLLBACK:
        return BUILD, Mark(_ROLLBACK, _BUILD_ROLLBACK[line.message], line)
    landmark = landmark_of(line)
    return (
        None
        if landmark is None
        else (
            landmark.procedure,
            Mark(landmark.step, landmark.suffix, line, landmark.side),
        )
    )
