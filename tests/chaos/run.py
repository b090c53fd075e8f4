"""`python -m tests.chaos.run`: every fault in turn, and a table of what became of what was sent."""

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict

from bench.result import Result, as_text
from tests.chaos.faults import faults
from tests.chaos.trial import Outcome, try_fault

KILLS = 100
SHORT_KILLS = 5
COLUMNS = ("fault", "sent", "missing before backfill", "missing after", "doubled", "out of order", "not by rsyslogd")


def main() -> int:
    """0 when every line of every fault is stored once and in order."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description=__doc__)
    parser.add_argument("--fault", action="append", metavar="NAME", help="only this one; may repeat")
    parser.add_argument("--kills", type=int, help=f"how often the collector is killed ({KILLS})")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help=f"{SHORT_KILLS} kills, and no result is written")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as an error: what was started and mounted is taken away
    kills = given.kills or (SHORT_KILLS if given.short else KILLS)
    every = faults(kills)
    names = [fault.name for fault in every]
    if unknown := sorted(set(given.fault or ()) - set(names)):
        parser.error(f"unknown fault {', '.join(unknown)}: expected some of {', '.join(names)}")
    outcomes = []
    for fault in every:
        if given.fault is None or fault.name in given.fault:
            outcome = try_fault(fault, given.seed)
            outcomes.append(outcome)
            _say(f"{fault.title}: {'good' if outcome.is_good else 'NOT GOOD'}, {outcome.seconds:.0f} s")
            for complaint in outcome.complaints:
                _say(f"  {complaint}")
    result = _result(outcomes, kills, given.seed)
    _say(as_text(result))
    if not given.short and given.fault is None:
        _say(f"written to {result.write().name}")
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


def _result(outcomes: Sequence[Outcome], kills: int, seed: int) -> Result:
    rows, samples = [], []
    for outcome in outcomes:
        for account in outcome.accounts:
            name = outcome.fault.title + (", plain TCP" if account.protocol == "tcp" else "")
            doubled = max(account.before.doubled, account.after.doubled)
            out_of_order = max(account.before.out_of_order, account.after.out_of_order)
            unexplained = max(account.before.unexplained, account.after.unexplained)
            figures = (
                account.sent, account.before.missing, account.after.missing, doubled, out_of_order, unexplained,
            )  # fmt: skip
            rows.append((name, *(f"{figure:,}" for figure in figures)))
            samples.append(
                {
                    "fault": outcome.fault.name,
                    **asdict(account),
                    "seconds": round(outcome.seconds, 1),
                    "recovery_s": round(outcome.recovery_s, 1),
                    "unwritten": outcome.unwritten,
                    "complaints": list(outcome.complaints),
                }
            )
    unwritten = ", ".join(f"{each.fault.title}: {each.unwritten:,}" for each in outcomes if each.unwritten)
    notes = [
        "Sent: what stands, numbered, in the hosts' own nova.log.",
        "Out of order: stored, other than by backfill, after a higher number of the same start id.",
        "Not by rsyslogd: of these, those that no stopped rsyslogd had itself put behind later ones in its spool.",
        "Missing before backfill: what died with a rsyslogd, in kernel buffers (plain TCP), or with a file.",
    ]
    if unwritten:
        notes.append(f"Lines that an rsyslogd, or only its socket, had when it ended, and nova.log never: {unwritten}.")
    slowest = max(outcomes, key=lambda outcome: outcome.recovery_s, default=None)
    if slowest is not None:
        notes.append(f"Longest until nothing more came: {slowest.recovery_s:.0f} s ({slowest.fault.title}).")
    return Result("chaos", "What becomes of log lines", COLUMNS, rows, {"kills": kills, "seed": seed}, samples, notes)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
