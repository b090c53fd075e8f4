"""Numbers as ranges: what is in them, and their holes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.logs.collector.ranges import Ranges, coarser, ranges_of

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


COARSER = [
    ("as few as asked for", [(1, 1), (3, 3), (6, 6), (8, 8)], [], 2, [(1, 3), (6, 8)]),
    ("what is known separates nothing", [(1, 1), (9, 9), (12, 12)], [(2, 8)], 2, [(1, 9), (12, 12)]),
    ("the least that is missing goes first", [(1, 1), (9, 9), (13, 13)], [(2, 6)], 2, [(1, 9), (13, 13)]),
    ("known on both sides too", [(1, 1), (9, 9)], [(1, 20)], 1, [(1, 9)]),
    ("few already", [(1, 1), (9, 9)], [], 5, [(1, 1), (9, 9)]),
    ("few, and nothing between", [(1, 1), (9, 9)], [(2, 8)], 5, [(1, 9)]),
    ("none", [], [], 3, []),
]


@pytest.mark.parametrize(
    ("pieces", "known", "most", "expected"), [case[1:] for case in COARSER], ids=[case[0] for case in COARSER]
)
def test_ranges_become_coarser(
    pieces: list[tuple[int, int]], known: list[tuple[int, int]], most: int, expected: list[tuple[int, int]]
) -> None:
    assert list(coarser(Ranges(pieces), Ranges(known), most)) == expected


@given(PIECES, PIECES, st.integers(1, 8))
@settings(max_examples=100, deadline=None)
def test_coarser_ranges_hold_what_there_was_and_are_few(
    pieces: list[tuple[int, int]], known: list[tuple[int, int]], most: int
) -> None:
    before, after = Ranges(pieces), coarser(Ranges(pieces), Ranges(known), most)
    assert len(after) <= most
    assert before.union(after).count == after.count
    for first, last in known:
        inside = {n for a, b in pieces for n in range(a, b + 1)} & set(range(first, last + 1))
        assert before.count_within(first, last) == len(inside)
