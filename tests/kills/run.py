"""`python -m tests.kills.run`: kill -9 of every daemon that has a part in a step, at every step of every move."""

import argparse
import random
import signal
import sys
import time
from collections.abc import Sequence

from bench.sim.servers import database
from tests.kills.campaign import Campaign
from tests.kills.moves import MOVES
from tests.kills.site import Site
from tests.kills.table import line_of, missed_line, table_of
from tests.kills.trials import every_trial
from tests.kills.wave import Outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all that was killed has left nothing wrong behind."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills.run", description=__doc__)
    steps = sorted({at.step for move in MOVES.values() for at in move.at})
    parser.add_argument("--moves", nargs="+", default=(), choices=list(MOVES), metavar="MOVE", help=", ".join(MOVES))
    parser.add_argument("--steps", nargs="+", default=(), choices=steps, metavar="STEP", help=", ".join(steps))
    parser.add_argument("--seed", type=int, help="in another order, by chance that can be repeated")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as an error: what was started ends
    trials = list(every_trial(given.moves, given.steps))
    if not trials:
        parser.error("none of these moves has any of these steps")
    if given.seed is not None:
        random.Random(given.seed).shuffle(trials)  # noqa: S311 - see above
    started_s = time.monotonic()
    with database(given.database) as server, Site.running(server.url) as site:
        _say(f"the cloud is up after {time.monotonic() - started_s:.0f} s")
        campaign = Campaign(site, _tell)
        outcomes, missed = campaign.run(trials)
        campaign.judge_with_all_hosts(outcomes)
    _say("\n".join(table_of(outcomes)))
    for trial in missed:
        _say(missed_line(trial))
    wrong = sum(not outcome.is_good for outcome in outcomes)
    _say(
        f"{len(outcomes)} kills, {wrong} with something wrong, {len(missed)} missed, "
        f"{time.monotonic() - started_s:.0f} s on {given.database}"
    )
    return 1 if wrong or missed else 0


def _tell(outcome: Outcome) -> None:
    _say(line_of(outcome))
    for text in outcome.wrong:
        _say(f"  wrong: {text} (instance {outcome.uuid})")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
