"""Every kill of every step of every move, and which of them happen at once: who is killed is killed for all of them."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.kills.daemons import Daemon, Part, daemon_of
from tests.kills.moves import MOVES, At, Knob, Move

MAX_WAVE = 13


@dataclass(frozen=True, slots=True)
class Trial:
    """One kill in the middle of one step of one move."""

    move: Move
    at: At
    killed: Part

    def __str__(self) -> str:
        when = f" ({self.at.when})" if self.at.when else ""
        return f"{self.move.name}, {self.at.step}{when}, {self.killed}"

    def daemon(self, part: Part) -> Daemon:
        source, destination = self.move.hosts
        return daemon_of(part, source=source, destination=destination)

    @property
    def stopped(self) -> Daemon | None:
        """Who is stopped before the move begins, and keeps it at its step."""
        return self.daemon(self.at.kept_by) if isinstance(self.at.kept_by, Part) else None

    @property
    def is_quick(self) -> bool:
        """Whether nothing keeps it there."""
        return self.at.kept_by is None

    @property
    def knobs(self) -> Iterator[tuple[str, Knob]]:
        """Those that take their time, with their hosts."""
        if isinstance(self.at.kept_by, Knob):
            yield self.move.host_of(self.at.kept_by.part), self.at.kept_by


@dataclass(frozen=True, slots=True)
class Wave:
    """Moves that are under way together, when one daemon is killed."""

    killed: Daemon
    stopped: Daemon | None
    trials: Sequence[Trial]

    @property
    def is_quick(self) -> bool:
        return self.trials[0].is_quick


def every_trial(moves: Collection[str] = (), steps: Collection[str] = ()) -> Sequence[Trial]:
    """Of the moves and steps that are named, or all."""
    return [
        Trial(move, at, killed)
        for move in MOVES.values()
        if not moves or move.name in moves
        for at in move.at
        if not steps or at.step in steps
        for killed in at.killed
    ]


def waves_of(trials: Iterable[Trial]) -> Sequence[Wave]:
    """One that nothing keeps at its step is alone."""
    groups: dict[tuple[object, ...], list[Trial]] = {}
    for number, trial in enumerate(trials):
        alone = number if trial.is_quick else None
        key = (trial.daemon(trial.killed), trial.stopped, alone)
        groups.setdefault(key, []).append(trial)
    return [
        Wave(group[0].daemon(group[0].killed), group[0].stopped, group[first : first + MAX_WAVE])
        for group in groups.values()
        for first in range(0, len(group), MAX_WAVE)
    ]
