import csv
import io

from cloud.logs.query.export_end import end_of, read_end
from cloud.logs.query.tabular import aligned, as_csv


def test_columns_are_aligned_and_numbers_stand_at_the_right() -> None:
    assert aligned(("host", "count"), [["compute-01", 5], ["a", 12345]]) == [
        "HOST        COUNT",
        "compute-01      5",
        "a           12345",
    ]


def test_what_is_not_there_is_a_minus_and_a_table_of_nothing_is_its_head() -> None:
    assert aligned(("a", "b"), [[None, "x"]]) == ["A  B", "-  x"]
    assert aligned(("a", "b"), []) == ["A  B"]


def test_control_codes_and_line_ends_do_not_leave_their_cell() -> None:
    assert aligned(("a", "b"), [["x\x1b[2J", "one\ntwo\tthree"]])[1] == "x\\x1b[2J  one two three"


def test_only_the_last_column_is_as_long_as_it_is() -> None:
    [_, line] = aligned(("a", "b"), [["x" * 100, "y" * 100]])
    assert line == f"{'x' * 79}…  {'y' * 100}"


def test_csv_is_read_as_it_was() -> None:
    rows = [["a,b", 'q"q', "one\ntwo", 5, None, {"x": [1]}]]
    text = as_csv(("1", "2", "3", "4", "5", "6"), rows)
    assert list(csv.reader(io.StringIO(text, newline="")))[1:] == [["a,b", 'q"q', "one\ntwo", "5", "", '{"x": [1]}']]


def test_a_spreadsheet_computes_nothing() -> None:
    assert as_csv(("a",), [["=1+1"], ["-1"], ["@x"], ["+1"], ["\tx"], [-1], ["a=1"]], with_head=False).splitlines() == [
        "'=1+1", "'-1", "'@x", "'+1", "'\tx", "-1", "a=1",
    ]  # fmt: skip


def test_the_end_of_an_export_is_told_from_rows() -> None:
    assert read_end(end_of("ndjson", 5, None)) == {"rows": 5}
    assert read_end(end_of("csv", 5, "the store fails\nhere")) == {"rows": 5, "error": "the store fails\nhere"}
    assert end_of("csv", 1, "one\ntwo").count("\n") == 1
    for line in ('{"row_id": 1}', '{"export": 1}', '{"export": {"rows": "1"}}', "4711,a,b", "", "# x", '"x"', "[1]"):
        assert read_end(line) is None
