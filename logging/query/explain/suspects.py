"""The lines around a failure -> the first causal error, its echoes, and what else went wrong then.

The ranking, from the first rule that decides:

1. Only lines that carry an id of the procedure, or the hypervisor's name of its instance, can be the first error.
   What a host says without naming anybody (its kernel, its libvirtd) is never that; the catalogue may find in it what
   lies behind the error (causes.py).
2. Lines that tell the same failure are one: those whose innermost error stands in one another's text, and what a
   classic service says of its own accord at once before the traceback of the same request.
3. Where an event says which step failed, the failure is the one that the event tells, unless the failed step's host
   has reported another error of that step before. Warnings count only when they tell the same failure, say that a
   step or a request has failed, which nova tells as mere news, too, or have a cause where no error has failed a step.
4. Else the failure that is told first. Hosts' clocks may differ by SLACK: within that the failed step's host is first.
5. Of the lines of one failure, one with a traceback on the failed step's host, then one with a traceback, then one of
   that host, then the earliest. All others are its echoes.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cloud.logs.events import FAILED, RPC_TIMEOUT
from cloud.logs.query.explain.classic import is_refusal, landmark_of
from cloud.logs.query.explain.exceptions import Raised, innermost
from cloud.logs.query.explain.lines import ERR, WARNING, Line

_REMOTE = re.compile(r"([A-Za-z_]\w*): (.*)", re.DOTALL)

SLACK = timedelta(seconds=2)
AT_ONCE = timedelta(seconds=1)
"""Between what a service says of an error and the traceback of that."""
MIN_TOLD = 12
"""Characters of an error that are enough to know it again in another line."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A line that tells an error."""

    line: Line
    raised: Raised | None
    """The innermost exception that it tells."""

    @property
    def told(self) -> str:
        """The error in the fewest words that it is known by."""
        if self.raised is not None and self.raised.text:
            return self.raised.text
        error = self.line.error
        head, _, rest = error.partition(": ")
        return rest if self.line.is_classic and rest and len(head) <= 60 else error

    @property
    def first_line(self) -> str:
        return str(self.raised) if self.raised is not None else self.line.error


@dataclass(frozen=True, slots=True)
class Found:
    """`first` is the first causal error, `echoes` tell it again, `others` are not known to be the same."""

    first: Suspect
    echoes: tuple[Suspect, ...] = ()
    others: tuple[Suspect, ...] = ()


def suspect_of(line: Line) -> Suspect:
    raised = innermost(line.text)
    if raised is None and line.error_class is not None:
        raised = Raised(line.error_class, line.error)
    if raised is not None and raised.name == "RemoteError" and (remote := _REMOTE.match(raised.text)):
        raised = Raised(remote[1], remote[2])  # another service's, which has no class of its own here
    return Suspect(line, raised)


def first_error(
    lines: Sequence[Line],
    failed: Line | None,
    hosts: Collection[str],
    since: datetime,
    has_cause: Callable[[Suspect], bool],
) -> Found | None:
    """`lines` carry an id of the procedure; `failed` is the event of the step that failed, which `hosts` worked on.

    Nothing before `since`, when that step began, is looked at. `has_cause` tells whether the catalogue knows a line.
    """
    suspects = [suspect_of(line) for line in lines if line.time >= since and _is_error(line)]
    told = None if failed is None else suspect_of(failed)
    suspects = [each for each in suspects if _counts(each, told, has_cause)]
    mere = _mere_warnings(suspects) if told is None else []
    left_out = {each.line.row_id for each in mere}
    groups = _groups([each for each in suspects if each.line.row_id not in left_out])
    if not groups:
        return None if told is None else Found(told)
    chosen = _chosen(groups, told, hosts)
    first = min(chosen, key=lambda each: _rank(each, hosts))
    echoes = tuple(each for each in chosen if each is not first)
    others = tuple(each for group in groups if group is not chosen for each in group)
    later = tuple(each for each in others if _only_sums_up(each.line))
    return Found(first, (*echoes, *later), (*(each for each in others if each not in later), *mere))


def is_same(one: Suspect, other: Suspect) -> bool:
    """Whether they tell one failure."""
    first, second = one.told.strip(), other.told.strip()
    if first == second:
        return True
    return (len(first) >= MIN_TOLD and first in other.line.text) or (
        len(second) >= MIN_TOLD and second in one.line.text
    )


def _is_error(line: Line) -> bool:
    return line.severity <= WARNING or line.event == RPC_TIMEOUT or bool(line.fields.get("error")) or is_refusal(line)


def _counts(suspect: Suspect, told: Suspect | None, has_cause: Callable[[Suspect], bool]) -> bool:
    if told is not None and is_same(suspect, told):
        return True
    if suspect.line.severity <= ERR or is_refusal(suspect.line):
        return True
    return told is None and (suspect.raised is not None or has_cause(suspect))


def _mere_warnings(suspects: Sequence[Suspect]) -> list[Suspect]:
    """Those that are no reason, since an error tells its own, and they do not tell the same."""
    errors = [each for each in suspects if each.line.severity <= ERR and (each.raised or _fails(each.line))]
    warnings = [each for each in suspects if each.line.severity > ERR and not (each.raised or _fails(each.line))]
    return [each for each in warnings if errors and not any(is_same(each, error) for error in errors)]


def _fails(line: Line) -> bool:
    """Whether it says that a step or a request has failed."""
    landmark = landmark_of(line)
    return is_refusal(line) or (landmark is not None and landmark.suffix == FAILED)


def _groups(suspects: Sequence[Suspect]) -> list[list[Suspect]]:
    groups: list[list[Suspect]] = []
    for suspect in sorted(suspects, key=lambda each: (each.line.time, each.line.row_id)):
        group = next((group for group in groups if any(is_same(each, suspect) for each in group)), None)
        before = groups[-1] if groups else []
        if group is None and before and all(_leads_to(each, suspect) for each in before):
            group = before
        if group is None:
            groups.append([suspect])
        else:
            group.append(suspect)
    return groups


def _leads_to(one: Suspect, other: Suspect) -> bool:
    """Whether the first was said on the way to the traceback of the other: by one service, of one request, at once."""
    if not (one.line.is_classic and other.line.is_classic) or one.raised is not None or other.raised is None:
        return False
    first, second = one.line, other.line
    source = (first.host, first.service, first.process, first.request_id)
    is_one = source == (second.host, second.service, second.process, second.request_id)
    return is_one and first.severity <= ERR and first.request_id is not None and second.time - first.time <= AT_ONCE


def _chosen(groups: Sequence[list[Suspect]], told: Suspect | None, hosts: Collection[str]) -> list[Suspect]:
    """The failure that counts."""
    if told is not None:
        its_own = next((group for group in groups if any(is_same(each, told) for each in group)), None)
        for group in groups:
            is_before = group[0].line.time <= told.line.time
            if group is not its_own and is_before and group[0].line.host in hosts and not _only_sums_up(group[0].line):
                return group
        if its_own is not None:
            return its_own
    earliest = groups[0][0].line.time
    within = [group for group in groups if group[0].line.time - earliest <= SLACK and not _only_sums_up(group[0].line)]
    return next((group for group in within if group[0].line.host in hosts), within[0] if within else groups[0])


def _rank(suspect: Suspect, hosts: Collection[str]) -> tuple[bool, bool, datetime, int]:
    has_traceback = suspect.raised is not None and "Traceback (most recent call last)" in suspect.line.text
    return (not has_traceback, suspect.line.host not in hosts, suspect.line.time, suspect.line.row_id)


def _only_sums_up(line: Line) -> bool:
    """Whether a line only says that something failed which others have told."""
    if (line.event or "").endswith((f"rollback.{FAILED}", "instance.error")):
        return True
    return line.message.startswith(_SUMS) and "Traceback (most recent call last)" not in line.text


_SUMS = (
    "migration ended",
    "instance is in error",
    "cannot undo step",
    "move is interrupted, and will be taken up",
    "Migration operation has aborted",
    "Migration operation was cancelled",
    "Setting instance vm_state to ERROR",
    "Setting instance to ERROR state",
)
