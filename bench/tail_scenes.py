"""Who tails in the measurement of the live tail, and what they ask, in our language and in SQL."""

from collections.abc import Sequence
from dataclasses import dataclass

SLOW_LINES_PER_S = 200.0
SLOW_S = 30.0
"""So long the slow client's scene lasts at least: it is to fall behind by more than the collector keeps for it."""
QUESTIONS: tuple[tuple[str, str], ...] = (
    ("host:compute-{n:02}", "hostname = 'compute-{n:02}'"),
    ("host:compute-{n:02} severity:>=warning", "hostname = 'compute-{n:02}' AND severity <= 4"),
    ("service:nova-compute -host:compute-{n:02}", "app_name = 'nova-compute' AND hostname <> 'compute-{n:02}'"),
    ("message:volume{n}", "contains(lower(message), 'volume{n}')"),
    ("instance:* sequence:>{n}00", "instance IS NOT NULL AND sequence > {n}00"),
)
"""What the clients of the crowd ask, each with numbers of its own, and the same in SQL."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Who tails while how much is sent."""

    name: str
    rate: float
    seconds: float
    questions: Sequence[tuple[str, str]]
    """Of each client its query, and the same in SQL."""
    lines_per_s: float | None = None
    """How fast the clients read."""


def scenes(seconds: float, clients: int) -> list[Scene]:
    everything = ("", "true")
    asked = [QUESTIONS[number % len(QUESTIONS)] for number in range(clients)]
    crowd = [(query.format(n=number), sql.format(n=number)) for number, (query, sql) in enumerate(asked)]
    return [
        Scene("nobody", 5000, seconds / 3, []),
        Scene("one client", 5000, seconds, [everything]),
        Scene("a slow client, 200 lines/s", 5000, max(SLOW_S, seconds / 2), [everything], SLOW_LINES_PER_S),
        Scene("nobody", 1000, seconds / 6, []),
        Scene(f"{clients} clients, each its query", 1000, seconds / 4, crowd),
    ]
