"""A session of an operator at a shell, as text: commands behind `$ `, what they print below them.

What differs from run to run is written by its kind, as long as it was, so that tables keep their shape:

    11111111-uuid-uuid-uuid-000000000001   a UUID, numbered in the order in which they appear
    2014-10-16T12:00:00Z                   any time
    instance-00000001, ************, #     a name that a hypervisor gets, a password, an id by order of arrival
    r-aaaaaaaa                             a reservation
    a line `# until NAME is STATE`         waits for that server to be in that state, `booted` or `gone`
"""

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

COMMAND_TIMEOUT_S = 60
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_HEX = re.compile(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{56}\b|\b[0-9a-f]{64}\b|\b[0-9a-f]{128}\b")
_TIME = re.compile(r"\b20\d\d-\d\d-\d\d([T ])\d\d:\d\d:\d\d(\.\d{6})?(Z|\+00:00)?")
_INSTANCE_NAME = re.compile(r"\binstance-[0-9a-f]{8}\b")
_RESERVATION = re.compile(r"\br-[0-9a-z]{8}\b")
_PASSWORD = re.compile(r"(?<=\| adminPass)(\s+\| )[A-Za-z0-9]{12}\b")
_ROW_ID = re.compile(r"(?<=\| ) *\d+ *(?= \| (?:nova-|compute-0))")
_TIME_SHOWN = "2014-10-16{0}12:00:00"
_UNTIL = re.compile(r"# until (?P<name>\S+) is (?P<state>\S+)")


@dataclass(slots=True)
class Mask:
    """Hides what no two runs have alike; one for a whole session, so that the same thing looks the same."""

    secrets: Mapping[str, str] = field(default_factory=dict)
    """Texts of this run and what stands for each."""
    _seen: dict[str, str] = field(default_factory=dict)

    def __call__(self, text: str) -> str:
        for secret, shown in self.secrets.items():
            text = text.replace(secret, shown)
        text = _UUID.sub(lambda match: self._named(match[0], "11111111-uuid-uuid-uuid-{:012}"), text)
        text = _HEX.sub(lambda match: self._named(match[0], "hex{:0" + str(len(match[0]) - 3) + "}"), text)
        text = _INSTANCE_NAME.sub(lambda match: self._named(match[0], "instance-{:08}"), text)
        text = _RESERVATION.sub("r-aaaaaaaa", text)
        text = _PASSWORD.sub(r"\1************", text)
        text = _ROW_ID.sub(lambda match: "#".ljust(len(match[0])), text)
        return _TIME.sub(_shown_time, text)

    def _named(self, value: str, pattern: str) -> str:
        return self._seen.setdefault(value, pattern.format(len(self._seen) + 1))


def _shown_time(match: re.Match[str]) -> str:
    fraction = ".000000" if match[2] else ""
    return _TIME_SHOWN.format(match[1]) + fraction + (match[3] or "")


@dataclass(frozen=True, slots=True)
class Step:
    """A command, or a comment that may be a wait, and what is printed."""

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
    """Where the commands run: only programs of `bin`, with `environment`, in `directory`."""

    bin: Path
    environment: Mapping[str, str]
    directory: Path
    wait: Callable[[str, str], None]
    """Returns when the server of that name is in that state; raises when it takes too long."""

    def run(self, step: Step, mask: Mask) -> Step:
        """The step with what it printed now; a code other than 0 stands behind it."""
        if step.command.startswith("# "):
            if match := _UNTIL.fullmatch(step.command):
                self.wait(match["name"], match["state"])
            return Step(step.command)
        program, *arguments = shlex.split(step.command.removeprefix("$ "))
        done = subprocess.run(
            [self.bin / program, *arguments], cwd=self.directory, env=dict(self.environment),
            capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False,
        )  # fmt: skip
        printed = mask(done.stdout + done.stderr)
        output = "\n".join(line.rstrip() for line in printed.splitlines() if line.strip())
        return Step(step.command, output + (f"\n(exit {done.returncode})" if done.returncode else ""))


def play(steps: Sequence[Step], shell: Shell, mask: Mask) -> Iterator[tuple[Step, Step]]:
    """Each step as it is written, and as it went now."""
    for step in steps:
        yield step, shell.run(step, mask)
