"""The soak's judgement: what is missing and what is there twice."""

from pathlib import Path

import duckdb

from bench.paced_sender import Sent
from bench.soak import compare
from bench.stored import Run, Stored, read_stored

SENT = Sent({"a": 3, "b": 2}, lines=6, seconds=1.0, behind_s=0.0)  # one line has no number
A, B = Run("a", "s", 3, 3, 1, 3), Run("b", "s", 2, 2, 1, 2)


def test_rows_of_all_files_are_counted_for_each_run(tmp_path: Path) -> None:
    days: dict[str, list[tuple[str, str | None, int | None]]] = {
        "logs-1": [("a", "s", 1), ("a", "s", 2), ("b", "s", 1)],
        "logs-2": [("a", "s", 2), ("a", "s", 4), ("a", None, None)],
    }
    for day, rows in days.items():
        with duckdb.connect(str(tmp_path / f"{day}.duckdb")) as connection:
            connection.execute("CREATE TABLE lines (hostname VARCHAR, host_start VARCHAR, sequence UBIGINT)")
            connection.executemany("INSERT INTO lines VALUES (?, ?, ?)", rows)
            connection.execute("CREATE VIEW logs AS SELECT * FROM lines")  # as the store has it
    stored = read_stored(tmp_path)
    assert stored == Stored((Run("a", "s", 4, 3, 1, 4), Run("b", "s", 1, 1, 1, 1)), unnumbered=1)
    assert (stored.runs[0].doubled, stored.runs[0].missing) == (1, 1)


def test_what_was_sent_and_is_there_once_is_neither_missing_nor_doubled() -> None:
    assert compare(SENT, Stored((A, B), 1)) == (0, 0)


def test_lost_lines_are_missing_also_at_the_end_of_a_run_and_without_a_number() -> None:
    assert compare(SENT, Stored((Run("a", "s", 2, 2, 1, 2), B), 1)) == (1, 0)
    assert compare(SENT, Stored((A,), 1)) == (2, 0)
    assert compare(SENT, Stored((A, B), 0)) == (1, 0)


def test_a_doubled_line_does_not_make_up_for_a_lost_one() -> None:
    assert compare(SENT, Stored((Run("a", "s", 3, 2, 1, 3), B), 1)) == (1, 1)
