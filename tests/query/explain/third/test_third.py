"""A third set of failures of nova, written from what its source logs from Kilo to Ocata, before explain was asked.

Who wrote it knew the second set and what was wrong there, but neither explain's rules nor its signatures.
As it first came out, 15 of 20 were right, none vague or unknown, and 5 wrong: 06, 08, 09, 18 and 19. The truth of 08 had
to be put right: the catalogue has its cause. 06, 09 and 18 were mended by rules that the second set had called for, and
19 by another: a class of exceptions was taken for one cause that nova raises for several. 21 and 22 were added while that
was done. Half of the failures have causes that the catalogue lacks.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.query.explain.judged import NOT_KNOWN, Judged, judged

DIRECTORY = Path(__file__).parent


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Judged]:
    return judged(DIRECTORY, tmp_path_factory.mktemp("third"))


def test_of_a_third_set_all_are_explained_rightly(found: Mapping[str, Judged]) -> None:
    assert len(found) == 22
    assert {name: each.verdict for name, each in found.items() if each.verdict != "right"} == {}


def test_of_a_third_set_no_cause_is_named_where_the_catalogue_has_none(found: Mapping[str, Judged]) -> None:
    unknown = {name for name, each in found.items() if each.truth.cause == NOT_KNOWN}
    assert unknown == {"03", "04", "10", "14", "15", "17", "19", "20", "21", "22"}
    assert {name for name in unknown if (explanation := found[name].found) is None or explanation.causes} == set()


def test_of_a_third_set_the_line_that_tells_the_cause_is_mostly_the_first_error(found: Mapping[str, Judged]) -> None:
    assert {name for name, each in found.items() if not each.has_line_first} == {"07"}
