"""What was found -> the plain data of an explanation: short, on one line, and without what only explain needs."""

from cloud.logs.query.explain.causes import Fitting
from cloud.logs.query.explain.explanation import Certainty, Failure, KnownCause, Other, Quote, Rung
from cloud.logs.query.explain.identity import Names
from cloud.logs.query.explain.ladder import Outcome, Stage
from cloud.logs.query.explain.lines import Line
from cloud.logs.query.explain.operation import Operation
from cloud.logs.query.explain.suspects import Found

MAX_QUOTES = 20
MAX_QUOTE = 600


def known_cause(fitting: Fitting) -> KnownCause:
    cause = fitting.match.cause
    certainty = Certainty.LIKELY if fitting.is_behind else Certainty.CERTAIN
    return KnownCause(cause.id, cause.title, cause.meaning, cause.check, cause.remedy, certainty, _quote(fitting.line))


def shown_failure(stage: Stage | None, found: Found) -> Failure:
    hosts = stage.hosts if stage is not None else ()
    return Failure(
        step=None if stage is None else stage.step,
        hosts=hosts or ((found.first.line.host,) if found.first.line.host else ()),
        error=_short(found.first.first_line),
        first=_quote(found.first.line),
        echoes=tuple(_quote(each.line) for each in found.echoes[:MAX_QUOTES]),
        others=tuple(_quote(each.line) for each in found.others[:MAX_QUOTES]),
    )


def _quote(line: Line) -> Quote:
    text = line.message
    said = line.error
    if said != text and said not in text:
        text = f"{text}: {said}"
    return Quote(line.row_id, line.time, line.host, line.service, line.level, _short(text))


def _short(text: str) -> str:
    """Its beginning and its end, where the cause stands, on one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= MAX_QUOTE else f"{flat[: MAX_QUOTE // 2]} ... {flat[-MAX_QUOTE // 2 :]}"


def rung_of(stage: Stage) -> Rung:
    notes = []
    if stage.is_resumed:
        notes.append("taken up again")
    if stage.is_seen and not stage.has_start:
        notes.append("no line of its beginning")
    if stage.progress:
        notes.append(f"{stage.progress} lines of progress")
    side = None if stage.side is None else str(stage.side)
    took_s = None if stage.outcome in (Outcome.NOT_SEEN, Outcome.NOT_REACHED) else stage.took_s
    return Rung(stage.step, stage.attempt, side, stage.hosts, stage.began, took_s, str(stage.outcome), tuple(notes))


def other_of(operation: Operation) -> Other:
    return Other(operation.name, operation.migration, operation.began, operation.ending, operation.requests)


def names_in_short(names: Names | None) -> tuple[str, ...]:
    if names is None:
        return ()
    return tuple(name for name in (names.display_name, names.domain, names.ec2_id) if name is not None)
