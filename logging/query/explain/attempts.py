"""Lines of a classic procedure -> the attempts that it took, and the errors of those that others have overcome."""

from collections.abc import Iterable, Sequence

from cloud.logs.events import FAILED
from cloud.logs.query.explain.classic import is_start, is_tried_again, landmark_of
from cloud.logs.query.explain.lines import ERR, WARNING, Line
from cloud.logs.query.explain.places import Side

_BEFORE, _BEYOND = ("schedule", "claim", "dest_check"), ("pre", "transfer", "post")
"""Of a move, the steps in which a host may be passed over, and those that only the host takes part in that is not."""

_Source = tuple[str | None, str | None]


def attempts_of(lines: Iterable[Line]) -> list[list[Line]]:
    """Of a build in order of time, each on a host of its own; what a host says is of its own last one."""
    attempts: list[list[Line]] = [[]]
    of_hosts: dict[str | None, list[Line]] = {}
    current: str | None = None
    for line in lines:
        if is_start(line):
            if current not in (None, line.host):
                attempts.append([])
            current = line.host
            of_hosts[current] = attempts[-1]
        of_hosts.get(line.host, attempts[-1]).append(line)
    return attempts


def standing(lines: Sequence[Line]) -> list[Line]:
    """Without those that are overcome."""
    gone = overcome(lines)
    return [line for line in lines if line.row_id not in gone]


def overcome(lines: Sequence[Line]) -> frozenset[int]:
    """The numbers of those that are; `lines` are in order of time.

    Errors of an attempt are overcome where its host says that it is made once more: it begins where that host last said
    of the request that a step began or ended. Those of a host that was passed over are where later steps have lines, or
    where the next destination fails, too; and those of a build where another host begins it.
    """
    found: set[int] = set()
    refused: dict[_Source, set[int]] = {}
    destinations: set[_Source] = set()
    since: dict[_Source, list[int]] = {}
    for line in lines:
        source = (line.host, line.request_id)
        landmark = landmark_of(line)
        is_refusal = landmark is not None and landmark.step in _BEFORE and landmark.suffix == FAILED
        is_by_destination = is_refusal and landmark is not None and landmark.side is Side.DESTINATION
        is_beyond = landmark is not None and landmark.step in _BEYOND
        for passed in list(refused):
            if is_beyond or (is_by_destination and passed in destinations and passed != source):
                found.update(refused.pop(passed), since.pop(passed, ()))
        if line.is_classic and line.severity <= ERR:
            since.setdefault(source, []).append(line.row_id)
        if is_tried_again(line):
            found.update(since.pop(source, ()))
        elif landmark is not None and landmark.suffix != FAILED:
            since.pop(source, None)
        elif is_refusal:
            refused.setdefault(source, set()).add(line.row_id)
            if is_by_destination:
                destinations.add(source)
    for attempt in attempts_of(lines)[:-1]:
        found.update(line.row_id for line in attempt if _tells_a_failure(line))
    return frozenset(found)


def _tells_a_failure(line: Line) -> bool:
    landmark = landmark_of(line)
    return line.severity <= WARNING or (landmark is not None and landmark.suffix == FAILED)
