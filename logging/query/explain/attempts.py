"""Lines of a classic procedure -> those that count: errors of attempts that were repeated do not tell why it failed."""

from collections.abc import Sequence

from cloud.logs.events import FAILED
from cloud.logs.query.explain.classic import is_tried_again, landmark_of
from cloud.logs.query.explain.lines import ERR, Line


def standing(lines: Sequence[Line]) -> list[Line]:
    """In order of time; without the errors of an attempt behind which its host says that it is made once more.

    An attempt begins where its host last said of the request that a step began or ended.
    """
    overcome: set[int] = set()
    since: dict[tuple[str | None, str | None], list[int]] = {}
    for line in lines:
        source = (line.host, line.request_id)
        if line.is_classic and line.severity <= ERR:
            since.setdefault(source, []).append(line.row_id)
        if is_tried_again(line):
            overcome.update(since.pop(source, ()))
        elif (landmark := landmark_of(line)) is not None and landmark.suffix != FAILED:
            since.pop(source, None)
    return [line for line in lines if line.row_id not in overcome]
