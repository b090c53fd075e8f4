"""What a tail says beside its lines."""

import pytest

from cloud.cli.log_hearing import Said

SKIPPED = {"lines": 3, "rows": 9, "query": "row_id:[2 TO 10]"}


def test_lines_that_are_left_out_are_found_behind_the_last_one_that_was_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = Said()
    said.hearing().skipped(SKIPPED)
    said.last_arrived = "2027-01-15T12:00:00Z"
    said.hearing().skipped({**SKIPPED, "lines": None})
    first, second = capsys.readouterr().err.splitlines()
    assert "too far behind: 3 lines left out, of the 9 that have come meanwhile" in first
    assert first.endswith("; cloud log search finds them with --since 7d and row_id:[2 TO 10] beside the query")
    assert "an unknown number of lines left out" in second
    assert second.endswith(" with --since 2027-01-15T12:00:00Z and row_id:[2 TO 10] beside the query")
