"""What became of the trials, for people."""

from collections.abc import Iterator, Sequence

from tests.kills.trials import Trial, every_trial
from tests.kills.wave import Outcome

COLUMNS = ("move", "step", "daemon killed", "outcome", "seconds", "verdict")


def line_of(outcome: Outcome) -> str:
    """One line."""
    return ", ".join(_cells(outcome))


def missed_line(trial: Trial) -> str:
    """Of one that could not be killed in time."""
    return f"missed: {trial}"


def table_of(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """By move and step as these are listed; then the causes of what failed."""
    order = {trial: number for number, trial in enumerate(every_trial())}
    ordered = sorted(outcomes, key=lambda outcome: order[outcome.trial])
    rows = [COLUMNS, *map(_cells, ordered)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    for outcome in ordered:
        if outcome.error is not None:
            yield f"{outcome.trial}: {outcome.error}"
        for text in outcome.wrong:
            yield f"{outcome.trial}: WRONG: {text}"


def _cells(outcome: Outcome) -> tuple[str, ...]:
    trial = outcome.trial
    step = f"{trial.at.step} ({trial.at.when})" if trial.at.when else trial.at.step
    verdict = "good" if outcome.is_good else "WRONG"
    return trial.move.name, step, str(trial.killed), str(outcome.status), f"{outcome.seconds:.1f}", verdict
