"""Why something failed: from what is asked about to an explanation. Nothing of HTTP, and nothing but lines is read.

Subject -> its lines -> its procedures -> the ladder of one -> the first error -> its cause; and where the instance is
now, and what could not be seen.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from cloud.logs.events import FAILED
from cloud.logs.query.explain.blind import Asking, Skews, not_seen, skews_of
from cloud.logs.query.explain.catalogue import Catalogue
from cloud.logs.query.explain.cause_files import shipped
from cloud.logs.query.explain.causes import Place, causes_of, moments_of, own_causes
from cloud.logs.query.explain.explanation import Explanation, KnownCause, found_causes
from cloud.logs.query.explain.gather import Gathered, Window, around, arrival_of, gather
from cloud.logs.query.explain.identity import NotFoundError, Subject, names_of, resolve
from cloud.logs.query.explain.ladder import Outcome, Stage, failures_of, ladder_of, refusals_of
from cloud.logs.query.explain.lines import Line, Lines
from cloud.logs.query.explain.missing import Accounts, NoAccounts
from cloud.logs.query.explain.operation import Ending, Operation, failed_before
from cloud.logs.query.explain.operations import operations_of
from cloud.logs.query.explain.places import Side
from cloud.logs.query.explain.showing import known_cause, names_in_short, other_of, rung_of, shown_failure
from cloud.logs.query.explain.subject import Kind
from cloud.logs.query.explain.suspects import Found, Suspect, first_error
from cloud.logs.query.explain.whereabouts.position import position_of
from cloud.logs.query.time_range import TimeRange

BEFORE, BEHIND = timedelta(seconds=10), timedelta(seconds=10)
"""Around the step that failed its hosts' lines are counted."""
MAX_OTHERS = 20

_ELSEWHERE = ("schedule", "claim")
"""A build that fails there after other failures fails for those: no further host was left to try."""


def explain(
    subject: str,
    lines: Lines,
    *,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
    catalogue: Catalogue | None = None,
    accounts: Accounts | None = None,
) -> Explanation:
    """SubjectError for what nobody can ask about, NotFoundError where lines know of no such thing, or of several."""
    time = TimeRange(since, until)
    found = resolve(subject, lines, time)
    gathered = gather(found, lines, time)
    skews = skews_of(gathered.lines)
    in_order = sorted(map(skews.corrected, gathered.lines), key=lambda line: (line.time, line.row_id))
    operations = operations_of(in_order)
    about = [each for each in operations if _is_about(each, found)]
    if not about:
        raise NotFoundError(f"cannot explain {subject}: its lines tell of no procedure, and of no error")
    asking = Asking(lines, time, now, accounts or NoAccounts())
    return _Case(subject, found, gathered, operations, about, asking, catalogue or shipped()).explanation()


def _is_about(operation: Operation, subject: Subject) -> bool:
    match subject.kind:
        case Kind.MIGRATION:
            return operation.migration == subject.id
        case Kind.REQUEST:
            return subject.id in operation.requests
        case Kind.INSTANCE:
            return operation.instance in (None, subject.id)


class _Case:
    """One question on its way to its answer."""

    def __init__(
        self,
        asked: str,
        subject: Subject,
        gathered: Gathered,
        operations: Sequence[Operation],
        about: Sequence[Operation],
        asking: Asking,
        catalogue: Catalogue,
    ) -> None:
        self._asked = asked
        self._subject = subject
        self._gathered = gathered
        self._operations = operations
        self._about = about
        self._asking = asking
        self._catalogue = catalogue

    def explanation(self) -> Explanation:
        operation = self._chosen()
        ladder = ladder_of(operation)
        failures = list(self._failures(operation, ladder))
        chosen = failures[0] if failures else None
        window = _window(operation, chosen[0] if chosen else None)
        skews = self._skews(operation)
        nearby, is_crowded = self._nearby(operation, chosen[1], skews) if chosen else ([], False)
        hosts = operation.hosts
        causes: list[KnownCause] = []
        if chosen is not None:
            stage, error = chosen
            causes = list(map(known_cause, causes_of(error, nearby, _place(operation, stage), self._catalogue)))
        failure = shown_failure(*chosen) if chosen else None
        own = [each for each in self._operations if each.instance in (None, operation.instance)]
        names = names_of(operation.instance, self._gathered.lines) if operation.instance else None
        return Explanation(
            asked=self._asked,
            kind=str(self._subject.kind),
            id=self._subject.id,
            note=self._subject.note,
            procedure=operation.name,
            migration=operation.migration,
            instance=operation.instance,
            instance_names=names_in_short(names),
            requests=operation.requests,
            source=next(iter(hosts[Side.SOURCE]), None),
            destination=next(reversed(hosts[Side.DESTINATION]), None),
            controllers=hosts[Side.CONTROLLER],
            began=operation.began,
            ended=operation.ended,
            ending=operation.ending,
            verdict=found_causes(causes, failure),
            causes=tuple(causes),
            failure=failure,
            earlier_failures=tuple(shown_failure(*each) for each in failures[1:]),
            position=position_of(own, self._gathered.lines),
            ladder=tuple(map(rung_of, ladder)),
            not_seen=not_seen(operation, ladder, self._gathered, skews, window, self._asking, is_crowded=is_crowded),
            others=tuple(other_of(each) for each in self._about if each is not operation)[-MAX_OTHERS:],
        )

    def _skews(self, operation: Operation) -> Skews:
        """By its lines as they came, and the last ones of its hosts."""
        found = map(self._asking.last_of, operation.all_hosts)
        return skews_of([*self._gathered.lines, *(line for line in found if line is not None)])

    def _nearby(self, operation: Operation, error: Found, skews: Skews) -> tuple[list[Line], bool]:
        """What its hosts said around the failure, and whether there is more than is read.

        Those whose clocks are off are asked for other times.
        """
        since, until = moments_of(error)
        window = Window(since, until, arrival_of(operation.lines))
        by_skew: dict[timedelta, list[str]] = {}
        for host in operation.all_hosts:
            by_skew.setdefault(skews.of(host), []).append(host)
        found: list[Line] = []
        is_cut = False
        for skew, hosts in by_skew.items():
            lines, is_more = around(hosts, window.shifted(skew), self._asking.lines)
            is_cut = is_cut or is_more
            found += map(skews.corrected, lines)
        return found, is_cut

    def _chosen(self) -> Operation:
        """The last that failed, or was given up; where none was, the last.

        What happens aside alters nothing of how a procedure before it has ended.
        """
        ended = [each for each in self._about if each.procedure is not None and each.ending is not Ending.UNKNOWN]
        first = min((each.began for each in ended), default=None)
        about = [each for each in self._about if first is None or each.began < first or not each.is_aside]
        for ending in (Ending.FAILED, Ending.CANCELLED):
            if found := [each for each in about if each.ending is ending]:
                return found[-1]
        return about[-1]

    def _failures(self, operation: Operation, ladder: Sequence[Stage]) -> Iterator[tuple[Stage | None, Found]]:
        """The one to be explained, then those of other attempts in order; none where it did not fail."""
        if operation.ending is Ending.COMPLETED:
            return
        stages = failures_of(ladder) or [stage for stage in ladder if stage.outcome is Outcome.OPEN and stage.failed]
        stages = [stage for stage in stages if not _is_overcome(stage, operation)]
        if operation.ending is Ending.UNKNOWN and not stages:
            return
        if operation.is_classic or not stages:
            stage = _first_told(stages)
            found = self._first_error(operation, stage, None)
            if found is not None:
                yield _stage_of(found, ladder) or stage, found
                if operation.is_classic:
                    yield from self._earlier(operation, ladder)
            return
        first = stages[-1]
        if first.step in _ELSEWHERE and len(stages) > 1:
            first = next((stage for stage in stages if stage.step not in _ELSEWHERE), first)
        for stage in [first, *(each for each in stages if each is not first), *refusals_of(ladder)]:
            found = self._first_error(operation, stage, stage.failed)
            if found is not None:
                yield stage, found

    def _earlier(self, operation: Operation, ladder: Sequence[Stage]) -> Iterator[tuple[Stage | None, Found]]:
        """Of hosts that a classic procedure was tried on before, or that were passed over."""
        has_cause = self._has_cause(operation, None)
        for lines in failed_before(operation):
            found = first_error(lines, None, operation.all_hosts, operation.began, has_cause)
            if found is not None:
                yield _stage_of(found, ladder), found

    def _first_error(self, operation: Operation, stage: Stage | None, failed: Line | None) -> Found | None:
        since = operation.began
        lines = list(operation.standing_lines if operation.is_classic else operation.lines)
        if failed is not None and stage is not None:
            since = (stage.began or failed.time) - timedelta(milliseconds=1)
            later = [each.began for each in ladder_of(operation) if each.began is not None and each.began > failed.time]
            rollbacks = [each for each in ladder_of(operation) if each.step == "rollback" and each.began in later]
            behind = [each for each in later if each not in [rollback.began for rollback in rollbacks]]
            lines = [line for line in lines if not behind or line.time < min(behind)]
        hosts = stage.hosts if stage is not None and not operation.is_classic else operation.all_hosts
        return first_error(lines, failed, hosts, since, self._has_cause(operation, stage))

    def _has_cause(self, operation: Operation, stage: Stage | None) -> Callable[[Suspect], bool]:
        place = _place(operation, stage)
        return lambda suspect: bool(own_causes(suspect, place, self._catalogue))


def _place(operation: Operation, stage: Stage | None) -> Place:
    return Place(stage.step if stage else None, operation.procedure.name if operation.procedure else None)


def _is_overcome(stage: Stage, operation: Operation) -> bool:
    """Whether all that it failed by does not count."""
    failures = [mark.line.row_id for mark in stage.marks if mark.suffix == FAILED]
    return bool(failures) and operation.overcome.issuperset(failures)


def _first_told(stages: Sequence[Stage]) -> Stage | None:
    """That a request has failed only sums up what a step has told."""
    return next((stage for stage in stages if stage.step != "request"), stages[0] if stages else None)


def _stage_of(found: Found, ladder: Sequence[Stage]) -> Stage | None:
    """The stage that a classic error is of; behind the transfer of a live migration it is what follows that."""
    line = found.first.line
    of_it = (stage for stage in ladder if any(mark.line.row_id == line.row_id for mark in stage.marks))
    open_post = (
        stage
        for stage in ladder
        if stage.step == "post" and stage.began is not None and stage.began <= line.time and line.is_classic
    )
    return next(of_it, None) or next(open_post, None)


def _window(operation: Operation, stage: Stage | None) -> Window:
    begin = stage.began if stage is not None and stage.began is not None else operation.began
    end = stage.ended if stage is not None and stage.ended is not None else operation.ended
    return Window(begin - BEFORE, end + BEHIND, arrival_of(operation.lines))
