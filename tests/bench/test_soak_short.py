"""A small share of `make soak`: a real collector under a steady load, and its files judged line by line."""

from pathlib import Path

import duckdb
import pytest

from bench.soak import compare, soak
from bench.stored import read_stored

pytestmark = pytest.mark.server

RATE, SECONDS = 10_000, 5.0
TAKEN = 37


def test_each_line_of_a_steady_load_is_stored_once_and_one_that_is_gone_is_missed(tmp_path: Path) -> None:
    outcome = soak(tmp_path, RATE, SECONDS)
    assert outcome.sent.lines > RATE * SECONDS / 2
    assert compare(outcome.sent, outcome.stored) == (0, 0)
    assert all(sample.rss_bytes > 0 for sample in outcome.samples)
    assert outcome.disk_bytes / outcome.sent.lines < 100

    [file, *_] = (tmp_path / "data").rglob("logs-*.duckdb")
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            f"DELETE FROM lines WHERE row_id IN (SELECT row_id FROM lines WHERE sequence > 9 LIMIT {TAKEN})"  # noqa: S608 - a number
        )
    assert compare(outcome.sent, read_stored(tmp_path / "data")) == (TAKEN, 0)
