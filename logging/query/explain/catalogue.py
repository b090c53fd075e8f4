"""The known causes, and which of them fit what an error says. What their files may have: cause_files.py."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MAX_TEXT = 20_000
"""Characters of an error that are looked at: its beginning and its end."""
MAX_CAUGHT = 200
HOST = "host"
"""The group of an error that names the host which must have said what explains it."""

_PLACE = re.compile(r"\{(\w+)\}")


class CatalogueError(ValueError):
    """A file of a cause that cannot be used; the message has the file and the key."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a signature is held against."""

    text: str
    exception: str | None = None
    """The class of the innermost exception."""
    service: str | None = None
    event: str | None = None
    step: str | None = None
    """The step that failed."""
    procedure: str | None = None
    host: str | None = None
    """Which has said it."""
    beside: str = ""
    """What else stands in the line: `none` counts there, too."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Conditions that must all hold; empty ones do. cause_files.py says what each means."""

    any_of: tuple[re.Pattern[str], ...] = ()
    all_of: tuple[re.Pattern[str], ...] = ()
    none_of: tuple[re.Pattern[str], ...] = ()
    exceptions: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    procedures: tuple[str, ...] = ()
    explains: re.Pattern[str] | None = None
    is_of_host: bool = False

    def match(self, said: Said) -> Mapping[str, str] | None:
        """What its groups have caught; None where it does not fit."""
        values = (
            (self.exceptions, said.exception),
            (self.services, said.service),
            (self.events, said.event),
            (self.steps, said.step),
            (self.procedures, said.procedure),
        )
        if any(wanted and value not in wanted for wanted, value in values):
            return None
        text = _ends_of(said.text)
        found = [pattern.search(text) for pattern in self.all_of]
        one = next((match for pattern in self.any_of if (match := pattern.search(text))), None)
        if None in found or (self.any_of and one is None) or any(map(self._forbids, (text, said.beside))):
            return None
        caught: dict[str, str] = {}
        for match in (*found, one):
            if match is not None:
                caught |= {name: value[:MAX_CAUGHT] for name, value in match.groupdict().items() if value is not None}
        return caught

    def _forbids(self, text: str) -> bool:
        return any(pattern.search(_ends_of(text)) for pattern in self.none_of)

    def can_explain(self, error: str, host: str | None) -> bool:
        """Whether what `host` has said can have brought `error` about; one that the error names must be that host."""
        if self.explains is None:
            return True
        return any(found.groupdict().get(HOST) in (None, host) for found in self.explains.finditer(error))


def _ends_of(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT // 2]}\n{text[-MAX_TEXT // 2 :]}"


@dataclass(frozen=True, slots=True)
class Cause:
    """A known one, and what is to be done about it."""

    id: str
    title: str
    meaning: str
    check: tuple[str, ...]
    remedy: tuple[str, ...]
    signatures: tuple[Signature, ...]
    over: tuple[str, ...] = ()

    def filled(self, caught: Mapping[str, str]) -> "Cause":
        """With what was caught in its texts."""

        def fill(text: str) -> str:
            return _PLACE.sub(lambda found: caught.get(found[1], "?"), text)

        return Cause(
            self.id,
            fill(self.title),
            fill(self.meaning),
            tuple(map(fill, self.check)),
            tuple(map(fill, self.remedy)),
            self.signatures,
            self.over,
        )


@dataclass(frozen=True, slots=True)
class Match:
    """A cause that fits, and what its signature has caught."""

    cause: Cause
    caught: Mapping[str, str]


class Catalogue:
    """All causes by id."""

    def __init__(self, causes: Iterable[Cause]) -> None:
        self.causes: Mapping[str, Cause] = {cause.id: cause for cause in causes}
        for cause in self.causes.values():
            if unknown := sorted(set(cause.over) - self.causes.keys()):
                raise CatalogueError(f"cannot load cause {cause.id}.toml: over: there is no cause {unknown[0]}")

    def matches(self, said: Said, *, is_of_host: bool = False, error: str = "") -> list[Match]:
        """Those that fit, but for those that another one of them is meant over.

        With `is_of_host` signatures for lines of hosts, and of these only what can have brought `error` about.
        """
        found = [
            match for cause in self.causes.values() if (match := _match(cause, said, error, is_of_host=is_of_host))
        ]
        outdone = {name for match in found for name in match.cause.over}
        return [match for match in found if match.cause.id not in outdone]


def _match(cause: Cause, said: Said, error: str, *, is_of_host: bool) -> Match | None:
    for signature in cause.signatures:
        if signature.is_of_host is not is_of_host:
            continue
        if not signature.can_explain(error, said.host):
            continue
        if (caught := signature.match(said)) is not None:
            return Match(cause.filled(caught), caught)
    return None
