"""Numbers as ranges: what is in them, and their holes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.logs.collector.ranges import Ranges, ranges_of

PIECES = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 8)).map(lambda piece: (piece[0], sum(piece))), max_size=30
)


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ([], []),
        ([(3, 5)], [(3, 5)]),
        ([(3, 5), (6, 7)], [(3, 7)]),
        ([(6, 7), (3, 5)], [(3, 7)]),
        ([(3, 5), (7, 9)], [(3, 5), (7, 9)]),
        ([(3, 5), (7, 9), (6, 6)], [(3, 9)]),
        ([(3, 5), (9, 9), (1, 20)], [(1, 20)]),
        ([(1, 20), (3, 5)], [(1, 20)]),
    ],
)
def test_ranges_that_touch_become_one(added: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    assert list(Ranges(added)) == expected


@given(PIECES, PIECES)
@settings(max_examples=150, deadline=None)
def test_they_hold_what_a_set_would(pieces: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    ranges, expected = Ranges(pieces), {n for first, last in pieces for n in range(first, last + 1)}
    assert {n for first, last in ranges for n in range(first, last + 1)} == expected
    assert (ranges.count, ranges.last) == (len(expected), max(expected, default=0))
    assert [
        b for a, b in zip([last for _, last in ranges], [first for first, _ in ranges][1:], strict=False) if b <= a + 1
    ] == []
    numbers = np.arange(1, 75, dtype=np.uint64)
    assert ranges.contains(numbers).tolist() == [n in expected for n in range(1, 75)]
    for first, last in others:
        assert ranges.overlaps(first, last) == any(n in expected for n in range(first, last + 1))
    assert {n for first, last in ranges.holes(70) for n in range(first, last + 1)} == set(range(1, 71)) - expected
    both = ranges.union(Ranges(others))
    assert both.count == len(expected | {n for first, last in others for n in range(first, last + 1)})
    ascending = np.array(sorted(expected), np.uint64)
    assert ranges_of(ascending) == list(ranges)
