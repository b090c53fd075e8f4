"""A cloud of hundreds of compute hosts on this machine: boots, then migrations, and whether every line of them arrived.

python -m bench.sim [--hosts 500] [--boots 5000] [--migrations 500] [--seed 1] [--processes 4] [--no-json]

The daemons are those of every cloud, with simulated hypervisors; hundreds of nova-compute and nova-network share a
process. The bus is a redis as `cloud up` runs it, or what --transport-url names; the database a PostgreSQL of our own,
or with --database sqlite a file. It ends with 1 where an instance runs on two hosts, a claim leaks, a task_state
sticks, an event is missing or twice, or a line was logged and is not stored.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from bench.result import as_text
from bench.sim.plan import BUILDS, CONDUCTORS, SCHEDULERS, Plan
from bench.sim.run import Servers, simulate
from bench.sim.table import result_of


def main() -> None:
    defaults = Plan()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=defaults.hosts)
    parser.add_argument("--boots", type=int, default=defaults.boots)
    parser.add_argument("--migrations", type=int, default=defaults.migrations)
    parser.add_argument("--failing", type=int, help="of the migrations, those that are made to fail; default: a tenth")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="which instance migrates how, and fails how")
    parser.add_argument("--processes", type=int, default=defaults.processes, help="that are many hosts each")
    parser.add_argument("--conductors", type=int, default=CONDUCTORS)
    parser.add_argument("--schedulers", type=int, default=SCHEDULERS)
    parser.add_argument("--builds", type=int, default=BUILDS, help="that a conductor has under way at a time")
    parser.add_argument("--idle", type=float, default=defaults.idle_s, help="seconds without work that are measured")
    parser.add_argument("--transport-url", default=os.environ.get("CLOUD_TRANSPORT_URL"), help="a bus that is there")
    parser.add_argument("--database", default="postgresql", help="postgresql, sqlite, or the URL of an empty database")
    parser.add_argument("--directory", type=Path, help="for all files; default: the system's temporary one")
    parser.add_argument("--keep", action="store_true", help="leave the files where they are")
    parser.add_argument("--no-json", action="store_true", help="write nothing to bench/results")
    options = parser.parse_args()
    plan = Plan(
        hosts=options.hosts,
        boots=options.boots,
        migrations=options.migrations,
        failing=options.failing,
        seed=options.seed,
        processes=options.processes,
        conductors=options.conductors,
        schedulers=options.schedulers,
        builds=options.builds,
        idle_s=options.idle,
    )
    started_s = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - started_s:7.1f} s  {text}", flush=True)

    directory = Path(tempfile.mkdtemp(prefix="b-", dir=options.directory))  # short, for sockets are in it
    try:
        outcome = simulate(plan, directory, Servers(options.transport_url, options.database), tell)
    finally:
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)
    result = result_of(plan, outcome)
    print(as_text(result))
    if not options.no_json:
        result.write()
    sys.exit(bool(outcome.wrong))


if __name__ == "__main__":
    main()
