"""`cloud log backfill`: the table, and what the exit code says."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloud.cli.log import log
from cloud.logs.collector.lines import Run
from tests.backfill.collecting import LineCollector, line, lines

A, B = Run("compute-01", "A"), Run("compute-01", "B")


@pytest.fixture
def collector() -> Iterator[LineCollector]:
    with LineCollector() as started:
        yield started


def run(*arguments: str) -> Result:
    return CliRunner().invoke(log, ["backfill", *arguments])


def test_the_table_says_what_was_missing_and_what_still_is(collector: LineCollector, tmp_path: Path) -> None:
    collector.receive(line(A, 2), line(B, 1))
    (tmp_path / "nova.log").write_bytes(b"".join(each + b"\n" for each in [*lines(A, 2, 4), line(B, 1)]))
    arguments = ("--directory", str(tmp_path), "--url", collector.url)
    first = run(*arguments)
    assert first.output.splitlines() == [
        "+------------+-------+---------+-------+--------+---------------+-----------------------------+",
        "| Host       | Start | Missing | Found | Filled | Still missing | State                       |",
        "+------------+-------+---------+-------+--------+---------------+-----------------------------+",
        "| compute-01 | A     |       3 |     2 |      2 |             1 | unclosed: lines are missing |",
        "+------------+-------+---------+-------+--------+---------------+-----------------------------+",
    ]
    assert first.exit_code == 1
    assert run(*arguments, "--accept").exit_code == 0
    again = run(*arguments)
    assert (again.exit_code, again.output) == (0, "nothing is missing\n")


def test_a_collector_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "nova.log").write_bytes(line(A, 1) + b"\n")
    refused = run("--directory", str(tmp_path), "--url", "http://127.0.0.1:1")
    assert refused.exit_code == 1
    assert refused.output.startswith("Error: cannot ask the collector at http://127.0.0.1:1: ")
