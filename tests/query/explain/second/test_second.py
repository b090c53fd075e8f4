"""A second set of failures of nova, written by who had not seen the catalogue: how many are explained, and how well.

As it first came out, 25 of 40 were right, 1 vague, 8 unknown, and 6 wrong: those six led to general rules of how nova's
lines are read (tests/query/explain/test_classic.py has one story for each), which made others right, too. So it does
not judge any more as independently as it did. A general change may move a verdict, and the table with it; a signature
that is made for one of these transcripts would make the table worthless.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.query.explain.judged import Judged, judged

DIRECTORY = Path(__file__).parent

UNKNOWN = {"11", "12", "18", "21", "26"}
"""Nothing wrong is said, but the catalogue has more to say of them than it recognises."""
ANOTHER_LINE_FIRST = {"09", "10", "16", "17", "25", "26", "33"}
"""Where another line than the one that tells the cause is shown as the first error, though nothing said is wrong."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Judged]:
    return judged(DIRECTORY, tmp_path_factory.mktemp("second"))


def test_of_a_second_set_most_are_explained_rightly_and_none_wrongly(found: Mapping[str, Judged]) -> None:
    verdicts = {name: each.verdict for name, each in found.items()}
    assert {name: verdict for name, verdict in verdicts.items() if verdict in ("wrong", "vague")} == {}
    assert {name for name, verdict in verdicts.items() if verdict == "unknown"} == UNKNOWN
    assert len([verdict for verdict in verdicts.values() if verdict == "right"]) == 35


def test_of_a_second_set_the_line_that_tells_the_cause_is_mostly_the_first_error(found: Mapping[str, Judged]) -> None:
    assert {name for name, each in found.items() if not each.has_line_first} == ANOTHER_LINE_FIRST
