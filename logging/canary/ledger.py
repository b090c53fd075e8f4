"""What became of each canary: moments of sending and arrival -> latencies and counts. No clock and no I/O."""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

MAX_TRACKED = 1000
"""How many of a facility's last lines are still known when they come, or come again; older ones stay missing."""
MAX_LATENCIES = 10_000
"""Of how many of a facility's last arrivals p50 and p99 are taken."""


class State(StrEnum):
    """How a line stands at the moment of which it is told."""

    ARRIVED = "arrived"
    LATE = "late"
    """It came after its timeout."""
    DOUBLED = "doubled"
    """It came once more."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a round, and how it stands; `latency_s` is from sent to queryable, None for one that is missing."""

    round_: int
    number: int
    facility: str
    state: State
    latency_s: float | None = None
    is_sent: bool = True
    """False for one that is missing because nobody has taken it at the host's address yet."""


@dataclass(frozen=True, slots=True)
class Share:
    """The lines of a facility over all rounds; latencies are None where nothing arrived.

    `late` lines are among those that arrived, and in the latencies; of a line that came twice the first counts.
    """

    facility: str
    sent: int
    arrived: int
    late: int
    doubled: int
    p50_s: float | None
    p99_s: float | None
    max_s: float | None

    @property
    def missing(self) -> int:
        return self.sent - self.arrived


def percentile(values: Iterable[float], percent: int) -> float | None:
    """The smallest value that `percent` of 100 are not above (nearest rank); None of none."""
    ordered = sorted(values)
    return ordered[max(1, math.ceil(len(ordered) * percent / 100)) - 1] if ordered else None


class Ledger:
    """Keeps account of the lines of one run, which bear numbers from 1 on; its memory is bounded per facility."""

    def __init__(self, facilities: Sequence[str], timeout_s: float) -> None:
        self._accounts = {facility: _Account() for facility in facilities}
        self._timeout_s = timeout_s
        self._last_number = 0

    def next_number(self) -> int:
        """A number that no line has had."""
        self._last_number += 1
        return self._last_number

    def sent(self, facility: str, number: int, round_: int, at_s: float) -> None:
        """The line `number` left at `at_s`, on the clock of `arrived`."""
        account = self._accounts[facility]
        account.sent += 1
        account.tracked[number] = _Sent(round_, at_s)
        if len(account.tracked) > MAX_TRACKED:
            del account.tracked[next(iter(account.tracked))]

    def arrived(self, facility: str, number: int, at_s: float) -> Line | None:
        """How the line `number` stands now; None for one that was not sent on this facility, or is too long ago."""
        account = self._accounts.get(facility)
        sent = account.tracked.get(number) if account else None
        if account is None or sent is None:
            return None
        latency_s = at_s - sent.at_s
        if sent.latency_s is not None:
            account.doubled += 1
            return Line(sent.round_, number, facility, State.DOUBLED, latency_s)
        sent.latency_s = latency_s
        account.take(latency_s)
        state = self._state(latency_s)
        account.late += state is State.LATE
        return Line(sent.round_, number, facility, state, latency_s)

    def lines(self, round_: int) -> list[Line]:
        """The lines of a round that are still tracked, in the order of the facilities."""
        return [
            Line(round_, number, facility, self._state(sent.latency_s), sent.latency_s)
            for facility, account in self._accounts.items()
            for number, sent in account.tracked.items()
            if sent.round_ == round_
        ]

    def shares(self) -> list[Share]:
        """All so far, a share for each facility in their order."""
        return [account.share(facility) for facility, account in self._accounts.items()]

    def _state(self, latency_s: float | None) -> State:
        if latency_s is None:
            return State.MISSING
        return State.LATE if latency_s > self._timeout_s else State.ARRIVED


@dataclass(slots=True)
class _Sent:
    round_: int
    at_s: float
    latency_s: float | None = None


@dataclass(slots=True)
class _Account:
    """A facility's lines: the last ones each, all of them as numbers."""

    tracked: dict[int, _Sent] = field(default_factory=dict)
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_LATENCIES))
    max_s: float | None = None
    sent: int = 0
    arrived: int = 0
    late: int = 0
    doubled: int = 0

    def take(self, latency_s: float) -> None:
        self.arrived += 1
        self.latencies_s.append(latency_s)
        self.max_s = latency_s if self.max_s is None else max(self.max_s, latency_s)

    def share(self, facility: str) -> Share:
        p50_s, p99_s = (percentile(self.latencies_s, percent) for percent in (50, 99))
        return Share(facility, self.sent, self.arrived, self.late, self.doubled, p50_s, p99_s, self.max_s)
