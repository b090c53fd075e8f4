"""Where an instance is after its last procedure, as far as lines show it, and whether exactly one host has it.

A host is certain only where a line says how the procedure ended, or that the instance has arrived; what follows from
other lines is likely, and all else is not known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from cloud.logs.events import BUILD, EVACUATE, INSTANCE, MIGRATION, RESIZE
from cloud.logs.query.explain.explanation import Position
from cloud.logs.query.explain.lines import Line
from cloud.logs.query.explain.operation import Operation
from cloud.logs.query.explain.whereabouts.build import after_build
from cloud.logs.query.explain.whereabouts.classic import after_classic, after_request
from cloud.logs.query.explain.whereabouts.course import CERTAIN, Course
from cloud.logs.query.explain.whereabouts.evacuation import after_evacuation
from cloud.logs.query.explain.whereabouts.live import after_live
from cloud.logs.query.explain.whereabouts.resize import after_resize

_AT_HOST = ("instance.start", "instance.stop", "instance.reboot")
_AFTER: Mapping[str, Callable[[Course], Position]] = {
    MIGRATION.name: after_live,
    RESIZE.name: after_resize,
    EVACUATE.name: after_evacuation,
    BUILD.name: after_build,
}


def position_of(operations: Sequence[Operation], lines: Sequence[Line]) -> Position | None:
    """Of the instance that all of these are about; None where no line tells anything of it."""
    found = _position(operations, lines)
    kept = [
        f"host {line.host} keeps a copy of it, {line.fields.get('copy')}, since {_at(line)}"
        for line in lines
        if line.event == INSTANCE.event("keep") and line.host is not None
    ]
    if found is None or not kept:
        return found
    return replace(found, copies=(*found.copies, *kept), doctor=tuple(dict.fromkeys([*found.doctor, "copy-kept"])))


def _position(operations: Sequence[Operation], lines: Sequence[Line]) -> Position | None:
    positions = [found for operation in operations if (found := _after(operation)) is not None]
    last = operations[-1].ended if operations else None
    later = [
        line
        for line in lines
        if line.event and line.event.startswith("instance.") and (last is None or line.time >= last)
    ]
    for line in reversed(later):
        if line.event == INSTANCE.event("delete"):
            return Position(None, CERTAIN, True, f"the instance is deleted: {_at(line)}")
        if line.event in _AT_HOST and line.host is not None:
            return Position(line.host, CERTAIN, None, f"host {line.host} has said {line.event} of it: {_at(line)}")
    return positions[-1] if positions else None


def _after(operation: Operation) -> Position | None:
    if operation.procedure is None:
        return after_request(operation)
    if operation.is_classic:
        return after_classic(operation)
    return _AFTER[operation.procedure.name](Course(operation))


def _at(line: Line) -> str:
    return line.time.isoformat(sep=" ", timespec="seconds")
