"""Errors that came along with the lines of a classic procedure, and are not of its failure."""

import re
from collections.abc import Sequence

from cloud.logs.query.explain.classic import is_refusal, landmark_of
from cloud.logs.query.explain.lines import UUID, WARNING, Line
from cloud.logs.query.explain.operation import Operation, is_success, mark_of
from cloud.logs.query.explain.suspects import AT_ONCE, is_same, suspect_of

_UUIDS = re.compile(UUID)
_IN_ERROR = "Setting instance to ERROR state"
_DRIVERS = "nova.virt"


def strays_of(operation: Operation) -> frozenset[int]:
    """The numbers of errors that a periodic task may have told: of no request, and no step is known by them.

    One that tells the same as the procedure's own errors is none, but where the procedure has done its work.
    """
    if operation.procedure is None:
        return frozenset()
    strays = [line for line in operation.lines if _may_be_stray(line)]
    if not strays:
        return frozenset()
    own = [
        suspect_of(line)
        for line in operation.lines
        if line.severity <= WARNING and not _may_be_stray(line) and line.row_id not in operation.overcome
    ]
    is_done = operation.last_success is not None
    return frozenset(
        line.row_id for line in strays if is_done or not any(is_same(suspect_of(line), each) for each in own)
    )


def _may_be_stray(line: Line) -> bool:
    """A driver waits for guests outside of any request, and only nova's own format tells who said it."""
    return (
        line.is_classic
        and line.request_id is None
        and line.severity <= WARNING
        and line.logger is not None
        and not line.logger.startswith(_DRIVERS)
        and landmark_of(line) is None
    )


def without_others(about: Sequence[Line], instance: str, request: str, lines: Sequence[Line]) -> list[Line]:
    """Of what a request of several instances tells of `instance`, or of none, that which is not another one's failure.

    None is its own where it names another one, where that is put into error at once, where a host says it that has told
    only of others, or where the instance has got what was asked for.
    """
    told = [line for line in lines if line.request_id in (request, None) and line.instance is not None]
    of_it = [line for line in told if line.instance == instance]
    hosts = {line.host for line in of_it}
    others_hosts = {line.host for line in told} - hosts
    others = {line.instance for line in told} - {instance}
    put_in_error = [line for line in told if line.message.startswith(_IN_ERROR)]
    is_done = any(found is not None and is_success(*found) for found in map(mark_of, of_it))

    def is_anothers(line: Line) -> bool:
        if line.instance is not None or not (line.severity <= WARNING or is_refusal(line)):
            return False
        named = set(_UUIDS.findall(line.message))
        if instance in named or named & others:
            return instance not in named
        behind = (each for each in put_in_error if each.host == line.host and each.time >= line.time)
        follows = next(behind, None)
        if follows is not None and follows.time <= line.time + AT_ONCE:
            return follows.instance != instance
        return is_done or (line.service == "nova-compute" and line.host in others_hosts)

    return [line for line in about if not is_anothers(line)]
