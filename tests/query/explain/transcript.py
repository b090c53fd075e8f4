"""Failures of nova from 2014 to 2017, written down as its log files had them, on their way into a store.

A transcript has sections, `## HOST SERVICE`, of lines in the formats of the loggers. What is expected of each is in
expected.toml. Odd numbers were worked with; even ones judge, and were not looked at when the signatures were written.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloud.logs.query.explain.explanation import Explanation, Verdict
from cloud.logs.replay.nova_log import read_records
from cloud.logs.replay.sender import ReplaySender

DIRECTORY = Path(__file__).parent / "transcripts"
NAMES = sorted(path.stem for path in DIRECTORY.glob("*.log"))
WORKED_WITH = [name for name in NAMES if int(name) % 2]
JUDGING = [name for name in NAMES if not int(name) % 2]
UNKNOWN = "unknown"

_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{3})")


@dataclass(frozen=True)
class Expected:
    """The right answer; `host` is where the first error was told."""

    subject: str
    cause: str
    host: str


def expected() -> Mapping[str, Expected]:
    values = tomllib.loads((DIRECTORY / "expected.toml").read_text())
    return {name: Expected(**each) for name, each in values.items()}


def one_a_line(name: str, directory: Path = DIRECTORY) -> list[bytes]:
    """Each line of the files as one message, as a host's rsyslogd sends them that reads the files."""
    found: list[bytes] = []
    for host, service, lines in _sections(directory / f"{name}.log"):
        time = "-"
        for line in lines:
            if said := _TIME.match(line):
                time = f"{said[1]}T{said[2]}Z"
            elif service == "kernel":  # which counts from its own start
                time = _time_of(directory / f"{name}.log")
            found.append(f"<{8 if service == 'kernel' else 142}>1 {time} {host} {service} - - - {line}".encode())
    return found


def joined(name: str) -> list[bytes]:
    """As `cloud log replay` sends them: a traceback in one record, with its ids; what is not nova's, as above."""
    found: list[bytes] = []
    for host, service, lines in _sections(DIRECTORY / f"{name}.log"):
        if not service.startswith("nova-"):
            continue
        taken = _Taken()
        sender = ReplaySender(taken, host, "a-replay")  # type: ignore[arg-type]
        sender.send(read_records(lines, service=service))
        found += taken.messages
    system = [each for each in one_a_line(name) if b" nova-" not in each[:80]]
    return found + system


def verdict_on(found: Explanation, right: Expected) -> str:
    """right, vague (among several, or right but of another line's host), unknown, or wrong."""
    named = [cause.id for cause in found.causes]
    if found.verdict is Verdict.KNOWN:
        return "right" if named == [right.cause] else "wrong"
    if found.verdict is Verdict.UNCLEAR:
        return "vague" if right.cause in named else "wrong"
    if right.cause == UNKNOWN:
        return "right" if found.failure is not None else "unknown"
    return "unknown"


class _Taken:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def send(self, message: bytes) -> None:
        self.messages.append(message)


def _sections(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    for section in path.read_text().split("\n## ")[1:]:
        head, _, body = section.partition("\n")
        host, _, service = head.partition(" ")
        yield host, service, body.rstrip("\n").split("\n")


def _time_of(path: Path) -> str:
    """Of the last line that has one: a kernel counts from its start."""
    times = _TIME.findall(path.read_text())
    day, time = max(times)
    return f"{day}T{time}Z"
