"""A failure -> the causes of the catalogue that fit it, in its own lines and in those of the hosts around it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cloud.logs.query.explain.catalogue import Catalogue, Match, Said
from cloud.logs.query.explain.lines import Line
from cloud.logs.query.explain.suspects import Found, Suspect

AROUND = timedelta(seconds=10)
"""Before and behind an error what hosts say may be why."""
REPLY_S, MAX_REPLY_S = 60.0, 600.0
"""How long classic services wait for an answer, and how long any of ours is taken to have waited."""
_WAITED = re.compile(r"no reply in (?P<seconds>\d{1,6}(?:\.\d{1,6})?) s|Timed out waiting for a reply|MessagingTimeout")


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


def moments_of(found: Found) -> tuple[datetime, datetime]:
    """Between which two hosts have said what may have brought it about: about then, or while an answer was awaited."""
    line = found.first.line
    waited = _WAITED.search(line.text)
    waited_s = 0.0 if waited is None else min(float(waited["seconds"] or REPLY_S), MAX_REPLY_S)
    return line.time - timedelta(seconds=waited_s) - AROUND, line.time + AROUND


def own_causes(suspect: Suspect, place: Place, catalogue: Catalogue) -> list[Fitting]:
    """By what one line says, the words of its innermost exception first: the rest may quote other errors."""
    line, raised = suspect.line, suspect.raised
    exception = None if raised is None else raised.name
    if raised is not None:
        said = replace(_said(line, exception, place), text=str(raised), beside=line.text)
        if matches := catalogue.matches(said):
            return [Fitting(match, line) for match in matches]
    return [Fitting(match, line) for match in catalogue.matches(_said(line, exception, place))]


def _said(line: Line, exception: str | None, place: Place) -> Said:
    return Said(line.text, exception, line.service, line.event, place.step, place.procedure, line.host)
