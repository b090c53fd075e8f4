"""Fuzz every target: `python -m tests.fuzz.run --seconds 60 --seed 1`.

An input that fails is kept among the seeds, where `test_seeds.py` finds it from then on.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.targets import TARGETS, add_seeds, seeds

ROOT = Path(__file__).parents[2]
WORDS = Path(__file__).parent / "words.dict"
LIMITS = ("-max_len=2048", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1")
"""Bytes of an input, seconds and memory that it may take."""
START_S = 60
KEEP_S = 600
_REACHED = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")
_RUNS = re.compile(r"stat::number_of_executed_units: (\d+)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How fuzzing a target went."""

    target: str
    log: str
    has_failed: bool
    executions: int
    reached: Sequence[tuple[int, int, int]]
    """Places in the code, combinations of them, and inputs that reach these: of the seeds, and at the end."""


def fuzz(target: str, *, seconds: int, seed: int, keep: bool = False) -> Outcome:
    """Fuzz for `seconds`; with `keep`, inputs that reach what no seed does become seeds."""
    with tempfile.TemporaryDirectory() as directory:
        found, known, failed = (Path(directory) / name for name in ("found", "known", "failed"))
        for each in (found, known, failed):
            each.mkdir()
        for number, data in enumerate(seeds(target)):
            (known / str(number)).write_bytes(data)
        options = [
            *LIMITS,
            f"-max_total_time={seconds}",
            f"-seed={seed}",
            f"-artifact_prefix={failed}/",
            f"-dict={WORDS}",
        ]
        ran = _python("tests.fuzz.engine", target, *options, str(found), str(known), timeout_s=seconds + START_S)
        add_seeds(target, [path.read_bytes() for path in failed.iterdir()])
        if keep and ran.returncode == 0:
            _python("tests.fuzz.keep", target, str(found), timeout_s=KEEP_S)
    reached = [(int(a), int(b), int(c)) for a, b, c in _REACHED.findall(ran.stdout)]
    executions = _RUNS.search(ran.stdout)
    said = "\n".join(line for line in ran.stdout.splitlines() if not line.startswith(("#", "INFO:")))
    return Outcome(
        target,
        said,
        ran.returncode != 0,
        int(executions[1]) if executions else 0,
        [reached[0], reached[-1]] if reached else [],
    )


def _python(module: str, *arguments: str, timeout_s: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="backslashreplace",
        timeout=timeout_s,
        check=False,
        cwd=ROOT,
    )


def main() -> int:
    """1 if any input failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--keep", action="store_true", help="make seeds of inputs that reach what no seed does")
    options = parser.parse_args()
    outcomes = [
        fuzz(target, seconds=options.seconds, seed=options.seed, keep=options.keep)
        for target in options.target or TARGETS
    ]
    for each in outcomes:
        if each.has_failed:
            sys.stderr.write(each.log)
        reached = " -> ".join(f"{places} places, {ways} ways, {inputs} inputs" for places, ways, inputs in each.reached)
        rate = each.executions // max(options.seconds, 1)
        verdict = "FAILED" if each.has_failed else "ok"
        sys.stdout.write(f"{each.target}: {verdict}, {each.executions} executions ({rate}/s), {reached}\n")
    return int(any(each.has_failed for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
