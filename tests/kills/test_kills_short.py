"""A small share of `python -m tests.kills.run`: one kill of the conductor, in the middle of every kind of move."""

import pytest

from tests.kills.campaign import Campaign
from tests.kills.daemons import Part
from tests.kills.moves import MOVES
from tests.kills.site import Site
from tests.kills.table import table_of
from tests.kills.trials import every_trial
from tests.kills.wave import Outcome

pytestmark = pytest.mark.server

CHOSEN = {
    "live-block": "transfer",
    "live-shared": "post",
    "cold": "pre",
    "cold-confirm": "confirm",
    "cold-revert": "revert",
    "resize": "post",
    "resize-confirm": "confirm",
    "resize-revert": "revert",
    "evacuate-image": "spawn",
    "evacuate-shared": "spawn",
}


def test_every_move_goes_on_where_a_killed_conductor_has_left_it() -> None:
    trials = [
        next(trial for trial in every_trial([name], [step]) if trial.killed is Part.CONDUCTOR)
        for name, step in CHOSEN.items()
    ]
    said: list[Outcome] = []
    with Site.running() as site:
        outcomes, missed = Campaign(site, said.append).run(trials)
    assert (missed, [outcome for outcome in outcomes if not outcome.is_good]) == ([], []), "\n".join(table_of(outcomes))
    assert {outcome.trial.move.name: outcome.status for outcome in outcomes} == {
        name: move.good for name, move in MOVES.items()
    }
