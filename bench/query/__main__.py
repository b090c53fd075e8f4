"""Questions to many rows: the product against raw SQL on the same files, over HTTP, and beside ingest.

python -m bench.query [--rows 20000000] [--rounds 5] [--rate 20000] [--seconds 60] [--data DIRECTORY] [--no-json]

The rows are made twice, as one day and over 30 days, and with --data kept for the next time. Each question is asked
as the routes ask it and in SQL, in turns; then over HTTP of a collector in its own process, idle and beside ingest. It
ends with 1 where an answer is another one than that of the SQL.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from bench.query.beside import Load, serve
from bench.query.data import LAYOUTS, Made, made
from bench.query.questions import questions
from bench.query.rounds import compare
from bench.query.table import Outcome, result_of, too_slow
from bench.result import as_text

ROWS, SEED = 20_000_000, 4
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--rate", type=float, default=20_000, help="messages a second beside the questions; 0: none")
    parser.add_argument("--seconds", type=float, default=60.0, help="of ingest, for each layout")
    parser.add_argument("--data", type=Path, help="where the rows are kept; default: a temporary directory")
    parser.add_argument("--layout", choices=[layout.name for layout in LAYOUTS], help="only this one; writes no JSON")
    parser.add_argument("--only", metavar="TEXT", help="questions with TEXT in their names; writes no JSON")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--no-json", action="store_true", help="write nothing to bench/results")
    options = parser.parse_args()
    started_s = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - started_s:7.1f} s  {text}", file=sys.stderr, flush=True)

    load = Load(options.rate, options.seconds) if options.rate else None
    directory = options.data or Path(tempfile.mkdtemp(prefix="b-"))
    outcomes = []
    try:
        for each in made(directory, options.rows, options.seed, tell):
            if options.layout in (None, each.layout.name):
                tell(f"{each.layout.name}: asking")
                outcomes.append(_asked(each, options.only or "", options.rounds, load))
    finally:
        if options.data is None:
            shutil.rmtree(directory, ignore_errors=True)
    result = result_of(outcomes, options.rounds, load)
    print(as_text(result))
    for slow in too_slow(outcomes):
        tell(f"too slow: {slow}")
    if not (options.no_json or options.only or options.layout):
        result.write()
    sys.exit(any(outcome.wrong for outcome in outcomes))


def _asked(made: Made, only: str, rounds: int, load: Load | None) -> Outcome:
    asked = [question for question in questions(made) if only in question.name]
    if not asked:
        sys.exit(f"cannot ask: no question has {only!r} in its name")
    compared = compare(made, asked, rounds)
    return Outcome(made, asked, compared, serve(made, asked, compared.answers, rounds, load))


if __name__ == "__main__":
    main()
