"""The little language of extra specs: what is wanted, what there is, and whether that will do."""

import pytest

from cloud.services.scheduler.filters.extra_specs import is_met

CASES = [
    # A text.
    ("true", "true", True),
    ("true", "True", False),
    ("two words", "two words", True),
    ("", "", True),
    ("", "x", False),
    # Numbers.
    ("= 2", "2", True),
    ("= 2", "3", True),
    ("= 2", "1.5", False),
    ("== 2", "2.0", True),
    ("== 2", "3", False),
    ("!= 2", "3", True),
    ("!= 2", "2", False),
    (">= 10", "9", False),
    (">= 10", "10", True),
    ("<= 10", "9", True),
    ("<= 10", "11", False),
    (">= 10", "many", False),
    (">= many", "10", False),
    ("!= 2", "many", False),
    # Texts by their order.
    ("s== abc", "abc", True),
    ("s== abc", "abcd", False),
    ("s!= abc", "abcd", True),
    ("s!= abc", "abc", False),
    ("s< b", "a", True),
    ("s< b", "b", False),
    ("s<= b", "b", True),
    ("s> b", "c", True),
    ("s>= b", "b", True),
    ("s>= b", "a", False),
    # Parts and choices.
    ("<in> sse4", "mmx sse4 avx", True),
    ("<in> sse5", "mmx sse4 avx", False),
    ("<all-in> sse4 avx", "mmx sse4 avx", True),
    ("<all-in> sse4 avx2", "mmx sse4 avx", False),
    ("<or> 10 <or> 20", "20", True),
    ("<or> 10 <or> 20", "30", False),
    ("<or> 10", "10", True),
    # Halves.
    ("=", "1", False),
    ("s==", "", False),
    ("<in>", "x", False),
    ("<all-in>", "x", False),
    ("<or>", "", False),
    # No operator.
    ("> 3", "4", False),
    ("> 3", "> 3", True),
    ("=2", "2", False),
]


@pytest.mark.parametrize(("wanted", "value", "met"), CASES)
def test_extra_spec_is_met_or_not(wanted: str, value: str, met: bool) -> None:
    assert is_met(wanted, value) is met
