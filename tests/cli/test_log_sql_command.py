"""`cloud log sql` against a collector's HTTP."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloud.cli.log_sql import sql as command
from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.collector.batches import table_of
from tests.query.serving import Served

LINES = (
    b'<131>1 - compute-01 nova-api - - - @cee: {"message": "a \\u001b[31mred\\u001b[0m one, with \\"quotes\\"", "n": 1}',
    b"<134>1 - compute-02 nova-compute - - - two",
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    store = DuckDbStore(tmp_path_factory.mktemp("sql"))
    store.append(table_of(*LINES))
    with Served(store) as served:
        yield served.url
    store.close()


def run(url: str, *arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(command, [*arguments, "--url", url], input=text)


def test_a_table_shows_the_rows_and_no_control_codes(url: str) -> None:
    result = run(url, "SELECT hostname, message, NULL AS none, 1 AS none FROM logs ORDER BY row_id")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [cell.strip() for cell in lines[1].strip("|").split("|")] == ["hostname", "message", "none", "none_2"]
    assert "\x1b" not in result.stdout
    assert "\\x1b[31mred" in lines[3]
    assert len(lines) == 6


def test_json_has_an_object_a_line(url: str) -> None:
    result = run(url, "SELECT hostname, fields->'$.n' AS n FROM logs ORDER BY row_id", "--output", "json")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"hostname": "compute-01", "n": "1"},
        {"hostname": "compute-02", "n": None},
    ]


def test_csv_is_read_back_as_it_was(url: str) -> None:
    result = run(url, "SELECT message, hostname FROM logs ORDER BY row_id", "--output", "csv")
    rows = list(csv.reader(io.StringIO(result.stdout)))
    assert rows[0] == ["message", "hostname"]
    assert rows[1] == ['a \x1b[31mred\x1b[0m one, with "quotes"', "compute-01"]


def test_what_a_spreadsheet_would_compute_is_quoted_and_numbers_are_not(url: str) -> None:
    result = run(
        url, "SELECT '=HYPERLINK(1)' AS a, -1 AS b, -0.5::DOUBLE AS c, true AS d, NULL AS e", "--output", "csv"
    )
    assert result.stdout == "a,b,c,d,e\n'=HYPERLINK(1),-1,-0.5,true,\n"


CONTROL = "'a' || chr(27) || ']0;x' || chr(7) || chr(155) || 'b'"


@pytest.mark.parametrize("output", ["table", "json", "csv"])
def test_a_terminal_gets_no_control_codes(url: str, output: str) -> None:
    shown = on_terminal(url, f"SELECT {CONTROL} AS x", "--output", output)
    assert b"]0;x" in shown
    assert not re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]", shown)


def test_nor_does_it_in_an_error(url: str) -> None:
    shown = on_terminal(url, f"SELECT ({CONTROL})::INT")
    assert b"Could not convert string" in shown
    assert not re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]", shown)


def test_as_json_it_is_read_back_as_it_was(url: str) -> None:
    result = run(url, f"SELECT {CONTROL} AS x", "--output", "json")
    assert json.loads(result.stdout) == {"x": "a\x1b]0;x\x07\x9bb"}


def on_terminal(url: str, *arguments: str) -> bytes:
    """What the command writes to a terminal."""
    main, other = pty.openpty()
    command = [sys.executable, "-m", "cloud", "log", "sql", "--url", url, *arguments]
    with subprocess.Popen(command, stdin=other, stdout=other, stderr=other) as process:
        os.close(other)
        shown = b""
        with suppress(OSError):  # the last process that had it has ended
            while part := os.read(main, 1 << 16):
                shown += part
        process.wait(timeout=30)
    os.close(main)
    return shown


def test_a_statement_comes_from_stdin_too(url: str) -> None:
    result = run(url, "-", "--output", "csv", text="SELECT count(*) AS n\nFROM logs\n")
    assert (result.exit_code, result.stdout) == (0, "n\n2\n")


def test_what_is_cut_off_is_said_and_nothing_found_is_an_exit_code(url: str) -> None:
    cut = run(url, "FROM logs", "--max-rows", "1", "--output", "json")
    assert (cut.exit_code, len(cut.stdout.splitlines())) == (0, 1)
    assert "there are more rows than these 1" in cut.stderr
    assert run(url, "FROM logs WHERE false").exit_code == 1


WRONG = [
    ("a statement that is refused", ("DELETE FROM logs",), 2, "only one SELECT is answered here"),
    ("a column that there is not", ("SELECT x FROM logs",), 2, 'Referenced column "x" not found'),
    ("too long a time", ("SELECT 1", "--timeout", "2m"), 2, "60s at most"),
    ("too many rows", ("SELECT 1", "--max-rows", "10001"), 2, "10001 is not in the range"),
]


@pytest.mark.parametrize(("arguments", "code", "cause"), [pytest.param(*rest, id=name) for name, *rest in WRONG])
def test_what_is_wrong_is_said(url: str, arguments: tuple[str, ...], code: int, cause: str) -> None:
    result = run(url, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert cause in result.stderr


def test_a_collector_that_is_away_and_a_key_that_is_not_there_are_said(tmp_path: Path) -> None:
    assert run("http://127.0.0.1:1", "SELECT 1").exit_code == 3
    missing = run("http://127.0.0.1:1", "SELECT 1", "--key-file", str(tmp_path / "missing"))
    assert missing.exit_code == 3
    assert "cannot read key file" in missing.stderr
