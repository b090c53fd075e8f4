"""What was sent: the numbers that stand in a host's own log, read without any of the code that is being judged."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.sender import MARKER

Line = tuple[str, int]
"""A start id and a number."""
_SPOOLED = re.compile(rb'start=\\?"([0-9A-F]+)\\?" n=\\?"([0-9]+)')
_IDENTITY = re.compile(rb'\[line@32473 host="([^"]+)" start="([^"]+)" n="([0-9]+)"\]')


@dataclass(frozen=True, slots=True)
class Sent:
    """The numbered lines that hosts have written down: all that can be asked for."""

    numbers: Mapping[str, set[int]] = field(default_factory=dict)
    """By the start id of the rsyslogd that gave them."""
    services_lines: int = 0
    """How many of them, numbered or not, come from the services."""

    @property
    def count(self) -> int:
        return sum(map(len, self.numbers.values()))


def sent(log_directories: Iterable[Path]) -> Sent:
    """As of now. A line that rsyslogd has not finished counts as soon as its number is there."""
    numbers: defaultdict[str, set[int]] = defaultdict(set)
    lines = 0
    for directory in log_directories:
        for path in directory.glob("nova.log*"):
            text = path.read_bytes()
            lines += text.count(MARKER.encode())
            for _, start, number in _IDENTITY.findall(text):
                numbers[start.decode()].add(int(number))
    return Sent(dict(numbers), lines)


def respooled(spool: Path) -> set[Line]:
    """The lines that stand behind later ones of the same start id in a stopped rsyslogd's spool.

    What it had taken from its queue and could not send, at most a batch, it puts at the queue's end when it stops.
    """
    highest: defaultdict[str, int] = defaultdict(int)
    late: set[Line] = set()
    for path in sorted(spool.glob("nova_fwd.????????")):
        for start_text, digits in _SPOOLED.findall(path.read_bytes()):
            start, number = start_text.decode(), int(digits)
            if number < highest[start]:
                late.add((start, number))
            highest[start] = max(highest[start], number)
    return late
