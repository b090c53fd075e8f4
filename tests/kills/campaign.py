"""All waves on one site, one after another."""

from collections.abc import Callable, Sequence

from tests.kills.instances import Instances
from tests.kills.site import Site
from tests.kills.trials import Trial, Wave, waves_of
from tests.kills.wave import Outcome, Waves

ROUNDS = 3
"""For trials whose moment was missed, which come again with others."""
SPARES = 1
SPARES_OF_QUICK = 4
"""Instances for each evacuation beyond the first: none can be booted where hosts have failed."""


class Campaign:
    """Says of each trial how it went as soon as it is known."""

    def __init__(self, site: Site, tell: Callable[[Outcome], None]) -> None:
        self._site = site
        self._tell = tell
        self._instances = Instances(site)
        self._waves = Waves(site, self._instances)

    def run(self, trials: Sequence[Trial]) -> tuple[Sequence[Outcome], Sequence[Trial]]:
        """Every outcome, and what was missed each time."""
        evacuations = [trial for trial in trials if trial.move.is_evacuation]
        if evacuations:
            self._instances.prepare(trial.move for trial in evacuations for _ in range(1 + _spares(trial)))
            self._site.fail_hosts()
        self._instances.prepare(trial.move for trial in trials if not trial.move.is_evacuation)
        self._site.wait_until_known_down()
        outcomes = self._rounds(trials)
        done = {outcome.trial for outcome in outcomes}
        return outcomes, [trial for trial in trials if trial not in done]

    def judge_with_all_hosts(self, outcomes: Sequence[Outcome]) -> None:
        """Once more, when failed hosts are back, which know nothing of what has become of their guests."""
        good = [outcome for outcome in outcomes if outcome.is_good and outcome.trial.move.is_evacuation]
        if not good:
            return
        self._site.revive_hosts()
        self._waves.judge(good)
        for outcome in good:
            if not outcome.is_good:
                outcome.wrong = [f"since its host is back: {text}" for text in outcome.wrong]
                self._tell(outcome)

    def _rounds(self, trials: Sequence[Trial]) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        left = list(trials)
        for _ in range(ROUNDS):
            missed: list[Trial] = []
            for wave in waves_of(left):
                outcomes += self._run(wave, missed)
            left = missed
        return outcomes

    def _run(self, wave: Wave, missed: list[Trial]) -> Sequence[Outcome]:
        outcomes, missed_now = self._waves.run(wave)
        missed += missed_now
        for outcome in outcomes:
            self._tell(outcome)
        return outcomes


def _spares(trial: Trial) -> int:
    return SPARES_OF_QUICK if trial.is_quick else SPARES
