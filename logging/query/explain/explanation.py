"""What explain answers: plain data, which output.py writes as text or markdown and the API as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cloud.logs.query.explain.operation import Ending


class Verdict(StrEnum):
    """What is known of why."""

    KNOWN = "known"
    """One cause of the catalogue fits."""
    UNCLEAR = "unclear"
    """Several fit, and none is meant over the others."""
    UNKNOWN = "unknown"
    """None fits: the first error stands for itself."""
    NO_FAILURE = "no failure"
    """No line tells of one."""


class Certainty(StrEnum):
    """How far lines go."""

    CERTAIN = "certain"
    """A line says so, and none says otherwise."""
    LIKELY = "likely"
    """It follows from lines, but none says it."""
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Quote:
    """One line, as far as it is shown."""

    row_id: int
    time: datetime
    host: str | None
    service: str | None
    level: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Rung:
    """One stage of the ladder; what is None no line tells."""

    step: str
    attempt: int
    side: str | None
    hosts: tuple[str, ...]
    began: datetime | None
    took_s: float | None
    outcome: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownCause:
    """Of the catalogue."""

    id: str
    title: str
    meaning: str
    check: tuple[str, ...]
    remedy: tuple[str, ...]
    certainty: Certainty
    """LIKELY where it stands behind the error in what a host said, without naming the instance."""
    seen_in: Quote
    """The line in which it was found."""


@dataclass(frozen=True, slots=True)
class Failure:
    """`first` is the first causal error, `error` its innermost words; echoes tell the same failure again."""

    step: str | None
    hosts: tuple[str, ...]
    error: str
    first: Quote
    echoes: tuple[Quote, ...]
    others: tuple[Quote, ...]
    """Errors of the same time that are not known to be the same failure."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where the instance is, as far as lines go."""

    host: str | None
    certainty: Certainty
    is_safe: bool | None
    """Whether exactly one host has it; None where lines do not show that."""
    reason: str
    copies: tuple[str, ...] = ()
    """What hosts may have of it beside that, in sentences."""
    doctor: tuple[str, ...] = ()
    """The kinds of findings by which `cloud doctor` would tell of it, should it be so."""


@dataclass(frozen=True, slots=True)
class Other:
    """Another procedure of the same subject, in a word."""

    name: str
    migration: str | None
    began: datetime
    ending: Ending
    requests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One procedure of a subject: the last that failed, or where none did the last."""

    asked: str
    kind: str
    """What that was taken for: migration, instance or request."""
    id: str
    note: str | None
    procedure: str
    migration: str | None
    instance: str | None
    instance_names: tuple[str, ...]
    """What else it is called: instance-000015b9, i-000015b9, its owner's name for it."""
    requests: tuple[str, ...]
    source: str | None
    destination: str | None
    controllers: tuple[str, ...]
    began: datetime
    ended: datetime
    ending: Ending
    verdict: Verdict
    causes: tuple[KnownCause, ...]
    """One where the verdict is known, several where it is unclear."""
    failure: Failure | None
    earlier_failures: tuple[Failure, ...]
    """Of other attempts."""
    position: Position | None
    ladder: tuple[Rung, ...]
    not_seen: tuple[str, ...]
    """What could not be seen, in sentences."""
    others: tuple[Other, ...]

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it, times in RFC 3339."""
        converted: dict[str, Any] = _plain(asdict(self))
        return converted


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case StrEnum():
            return str(value)
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
    return value


def found_causes(causes: Sequence[KnownCause], failure: Failure | None) -> Verdict:
    """What to call so many."""
    if failure is None:
        return Verdict.NO_FAILURE
    return (Verdict.UNKNOWN, Verdict.KNOWN)[len(causes)] if len(causes) < 2 else Verdict.UNCLEAR
