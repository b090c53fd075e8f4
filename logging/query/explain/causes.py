"""A failure -> the causes of the catalogue that fit it, in its own lines and in those of the hosts around it."""

from collections.abc import Sequence
from dataclasses import dataclass

from cloud.logs.query.explain.catalogue import Catalogue, Match, Said
from cloud.logs.query.explain.lines import Line
from cloud.logs.query.explain.suspects import Found, Suspect


@dataclass(frozen=True, slots=True)
class Fitting:
    """A cause and the line that it was found in; `is_behind` where that is a host's, which makes it likely at best."""

    match: Match
    line: Line
    is_behind: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Which step failed, and of what."""

    step: str | None
    procedure: str | None


def causes_of(found: Found, around: Sequence[Line], place: Place, catalogue: Catalogue) -> list[Fitting]:
    """The first line of the failure that the catalogue knows decides; its echoes are asked where that is silent.

    What a host has said around it counts where the failure's own lines have no cause, or one that it is meant over.
    What other errors say does not count.
    """
    own: list[Fitting] = []
    for suspect in (found.first, *found.echoes):
        if own := own_causes(suspect, place, catalogue):
            break
    error = "\n".join(each.line.text for each in (found.first, *found.echoes))
    behind: dict[str, Fitting] = {}
    for line in around:
        for match in catalogue.matches(_said(line, None, place), is_of_host=True, error=error):
            behind.setdefault(match.cause.id, Fitting(match, line, is_behind=True))
    outdone = {name for each in behind.values() for name in each.match.cause.over}
    left = [each for each in own if each.match.cause.id not in outdone]
    return left or list(behind.values())


def own_causes(suspect: Suspect, place: Place, catalogue: Catalogue) -> list[Fitting]:
    """By what one line says, the words of its innermost exception first: the rest may quote other errors."""
    line, raised = suspect.line, suspect.raised
    exception = None if raised is None else raised.name
    if raised is not None:
        said = Said(str(raised), exception, line.service, line.event, place.step, place.procedure)
        if matches := catalogue.matches(said):
            return [Fitting(match, line) for match in matches]
    return [Fitting(match, line) for match in catalogue.matches(_said(line, exception, place))]


def _said(line: Line, exception: str | None, place: Place) -> Said:
    return Said(line.text, exception, line.service, line.event, place.step, place.procedure)
