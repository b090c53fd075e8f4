"""A session of an operator at a shell, as text: commands behind `$ `, what they print below them.

What differs from run to run is written by its kind, as long as it was, so that tables keep their shape:

    11111111-uuid-uuid-uuid-000000000001   a UUID, numbered in the order in which they appear
    2014-10-16T12:00:00Z                   any time
    instance-00000001, ************, #     a name that a hypervisor gets, a password, an id by order of arrival
    r-aaaaaaaa                             a reservation

UUIDs and names stand in the commands as well, once they were printed. Commands with a `&` between them run at once; what they print
is in alphabetical order. A line that begins with `# ` is a comment, some of which ask for something (asides.py).
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from tests.clients.program import Done, Program
from tests.clients.tables import UUID, settled

_HEX = re.compile(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{56}\b|\b[0-9a-f]{64}\b|\b[0-9a-f]{128}\b")
_TIME = re.compile(r"\b20\d\d-\d\d-\d\d([T ])\d\d:\d\d:\d\d(\.\d{6})?(Z|\+00:00)?")
_INSTANCE_NAME = re.compile(r"\binstance-[0-9a-f]{8}\b")
_RESERVATION = re.compile(r"\br-[0-9a-z]{8}\b")
_PASSWORD = re.compile(r"(?<=\| adminPass)(\s+\| )[A-Za-z0-9]{12}\b")
_ROW_ID = re.compile(r"(?<=\| ) *\d+ *(?= \| (?:nova-|compute-0))|(?<=\bid: )\d+")
_TIME_SHOWN = "2014-10-16{0}12:00:00"
_SHOWN = re.compile(r"\b(?:11111111-uuid-uuid-uuid-|instance-(?=\d{8}\b))(\d+)")


@dataclass(slots=True)
class Mask:
    """Hides what no two runs have alike; one for a whole session, so that the same thing looks the same."""

    secrets: Mapping[str, str] = field(default_factory=dict)
    """Texts of this run and what stands for each."""
    _seen: dict[str, int] = field(default_factory=dict)

    def __call__(self, text: str) -> str:
        text = settled(text, lambda row: self._hidden(row, self._seen_number))
        return self._hidden(text, self._number)

    def lifted(self, text: str) -> str:
        """`text` with what it has in this run; KeyError for a name that nothing printed so far had."""
        values = {number: value for value, number in self._seen.items()}
        return _SHOWN.sub(lambda match: values[int(match[1])], text)

    def _hidden(self, text: str, number_of: Callable[[str], int]) -> str:
        for secret, shown in self.secrets.items():
            text = text.replace(secret, shown)
        text = UUID.sub(lambda match: f"11111111-uuid-uuid-uuid-{number_of(match[0]):012}", text)
        text = _HEX.sub(lambda match: f"hex{number_of(match[0]):0{len(match[0]) - 3}}", text)
        text = _INSTANCE_NAME.sub(lambda match: f"instance-{number_of(match[0]):08}", text)
        text = _RESERVATION.sub("r-aaaaaaaa", text)
        text = _PASSWORD.sub(r"\1************", text)
        text = _ROW_ID.sub(lambda match: "#".ljust(len(match[0])), text)
        return _TIME.sub(_shown_time, text)

    def _number(self, value: str) -> int:
        return self._seen.setdefault(value, len(self._seen) + 1)

    def _seen_number(self, value: str) -> int:
        return self._seen.get(value, 0)


def _shown_time(match: re.Match[str]) -> str:
    fraction = ".000000" if match[2] else ""
    return _TIME_SHOWN.format(match[1]) + fraction + (match[3] or "")


@dataclass(frozen=True, slots=True)
class Step:
    """A command, or a comment that may ask for something, and what is printed."""

    command: str
    output: str = ""


def parse(text: str) -> list[Step]:
    steps: list[Step] = []
    for line in text.splitlines():
        if line.startswith(("$ ", "# ")):
            steps.append(Step(line))
        else:
            last = steps[-1]
            steps[-1] = Step(last.command, last.output + line + "\n")
    return [Step(step.command, step.output.rstrip("\n")) for step in steps]


def render(steps: Sequence[Step]) -> str:
    return "".join(f"{step.command}\n{step.output}\n\n" if step.output else f"{step.command}\n" for step in steps)


@dataclass(frozen=True, slots=True)
class Shell:
    """Where the commands run: only `programs`, with `environment`, in `directory`."""

    programs: Mapping[str, Program]
    environment: Mapping[str, str]
    directory: Path
    aside: Callable[[str], None]
    """Does what a comment asks for, if it does; raises when it takes too long."""

    def run(self, step: Step, mask: Mask) -> Step:
        """The step with what it printed now; a code other than 0 stands behind it."""
        asked = mask.lifted(step.command)
        if asked.startswith("# "):
            self.aside(asked)
            return Step(step.command)
        words = shlex.split(asked.removeprefix("$ "))
        commands = [list(group) for is_end, group in groupby(words, lambda word: word == "&") if not is_end]
        (name,) = {command[0] for command in commands}
        done = self.programs[name].run([command[1:] for command in commands], self.environment, self.directory)
        return Step(step.command, "\n".join(filter(None, sorted(_shown(each, mask) for each in done))))


def _shown(done: Done, mask: Mask) -> str:
    printed = mask(done.stdout + done.stderr)
    output = "\n".join(line.rstrip() for line in printed.splitlines() if line.strip())
    return output + (f"\n(exit {done.code})" if done.code else "")


def play(steps: Sequence[Step], shell: Shell, mask: Mask) -> Iterator[tuple[Step, Step]]:
    """Each step as it is written, and as it went now."""
    for step in steps:
        yield step, shell.run(step, mask)
