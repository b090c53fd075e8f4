import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.lines import Mark, Run
from cloud.logs.query.filter import Filter
from cloud.logs.query.reader import Reader
from tests.collector.dying_writer import LINES, MIDNIGHT_US

MANY = 100


def write(data: Path, commits: int) -> tuple[int, str]:
    """Exit code and output of a writer that is killed behind `commits` commits."""
    command = [sys.executable, "-m", "tests.collector.dying_writer", str(data), str(commits)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout


@pytest.mark.parametrize(("commits", "stored"), [(0, []), (1, [1, 2, 3])])
def test_a_batch_over_midnight_is_stored_once_by_whoever_was_killed_between_its_commits(
    tmp_path: Path, commits: int, stored: list[int]
) -> None:
    data = tmp_path / "data"
    assert write(data, commits) == (-signal.SIGKILL, "")
    assert numbers(data) == stored
    assert write(data, MANY) == (0, "told\n")
    assert numbers(data) == list(range(1, LINES + 1))
    assert {path.name[:15] for path in data.glob("*.duckdb")} == {"logs-2027-01-15", "logs-2027-01-16"}


def numbers(data: Path) -> list[int]:
    """What is stored, in order; `Mark`s must agree with it."""
    store = DuckDbStore(data, now_s=lambda: MIDNIGHT_US / 1e6)
    rows = Reader(store).newest(Filter(), MANY, store.committed_row_id)
    found = [int(row["message"]) for row in rows]
    run = Run("compute-01", "A")
    assert list(store.marks()) == ([Mark(run, found[0], found[-1])] if found else [])
    store.close()
    return found
