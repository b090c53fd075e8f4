"""Results on their way from bench/results into README."""

from pathlib import Path

import pytest

from bench.report import with_results
from bench.result import Result, newest_results

MACHINE = {"cpu": "X", "cores": 2, "memory_gb": 8}


def _result(name: str, measured: str, cell: str) -> Result:
    return Result(
        name, f"About {name}", ["system", "msg/s"], [["one", cell]], {}, [], ["A note."], measured, "abc", MACHINE
    )


def test_newest_result_of_each_name_is_read_back(tmp_path: Path) -> None:
    for result in (
        _result("b", "2026-01-02T00:00:00Z", "2"),
        _result("b", "2026-01-01T00:00:00Z", "1"),
        _result("a", "2026-01-01T00:00:00Z", "3"),
    ):
        result.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "2026-01-01-a.json",
        "2026-01-01-b.json",
        "2026-01-02-b.json",
    ]
    assert [(found.name, found.rows) for found in newest_results(tmp_path)] == [
        ("a", [["one", "3"]]),
        ("b", [["one", "2"]]),
    ]


def test_results_take_the_place_of_what_stood_between_the_marks() -> None:
    text = "before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n"
    found = with_results(text, [_result("a", "2026-01-02T00:00:00Z", "12k")])
    assert found == (
        "before\n<!-- bench -->\n\n"
        "About a (2026-01-02; X, 2 cores, 8 GB; commit abc):\n\n"
        "| system | msg/s |\n| ------ | ----: |\n| one    |   12k |\n\n- A note.\n\n"
        "<!-- /bench -->\nafter\n"
    )
    assert with_results(found, []) == "before\n<!-- bench -->\n\n<!-- /bench -->\nafter\n"


def test_a_text_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="expected <!-- bench -->"):
        with_results("text", [])
