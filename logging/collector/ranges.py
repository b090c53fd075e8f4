"""Sets of whole numbers as disjoint ranges: what a run's numbers look like, whose holes are few."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Self

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.uint64]


class Ranges:
    """A set of whole numbers, kept as ranges (first, last), both inclusive, that neither overlap nor touch."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._count = 0
        for first, last in ranges:
            self.add(first, last)

    @property
    def count(self) -> int:
        """How many numbers are in it."""
        return self._count

    @property
    def last(self) -> int:
        """The highest number; 0 while empty."""
        return self._lasts[-1] if self._lasts else 0

    def add(self, first: int, last: int) -> None:
        """Take in the numbers from `first` to `last`, of which any may be there already."""
        begin = bisect_left(self._lasts, first - 1)  # the first range that touches, and the one behind the last
        end = bisect_right(self._firsts, last + 1)
        if begin < end:
            joined = zip(self._firsts[begin:end], self._lasts[begin:end], strict=True)
            self._count -= sum(b - a + 1 for a, b in joined)
            first = min(first, self._firsts[begin])
            last = max(last, self._lasts[end - 1])
        self._firsts[begin:end] = [first]
        self._lasts[begin:end] = [last]
        self._count += last - first + 1

    def overlaps(self, first: int, last: int) -> bool:
        """Whether any number from `first` to `last` is in it."""
        at = bisect_left(self._lasts, first)
        return at < len(self._firsts) and self._firsts[at] <= last

    def contains(self, numbers: Numbers) -> npt.NDArray[np.bool_]:
        """For each of `numbers` whether it is in it."""
        if not self._firsts:
            return np.zeros(len(numbers), np.bool_)
        at = np.searchsorted(np.array(self._firsts, np.uint64), numbers, "right")
        # Before the first range `at` is 0, and 0 - 1 would name the last one: no number is below its first.
        return (at > 0) & (numbers <= np.array(self._lasts, np.uint64)[at - 1])

    def holes(self, last: int) -> Iterator[tuple[int, int]]:
        """What of 1 to `last` is not in it, as ranges in order."""
        expected = 1
        for first, range_last in self:
            if first > last:
                break
            if first > expected:
                yield expected, first - 1
            expected = range_last + 1
        if expected <= last:
            yield expected, last

    def count_within(self, first: int, last: int) -> int:
        """How many of the numbers from `first` to `last` are in it."""
        begin, end = bisect_left(self._lasts, first), bisect_right(self._firsts, last)
        inside = zip(self._firsts[begin:end], self._lasts[begin:end], strict=True)
        return sum(min(b, last) - max(a, first) + 1 for a, b in inside)

    def union(self, other: "Ranges") -> "Ranges":
        smaller, larger = sorted((self, other), key=len)
        joined = larger.copy()
        for first, last in smaller:
            joined.add(first, last)
        return joined

    def copy(self) -> Self:
        copied = type(self)()
        copied._firsts, copied._lasts, copied._count = self._firsts.copy(), self._lasts.copy(), self._count
        return copied

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """The ranges in order."""
        return zip(self._firsts, self._lasts, strict=True)

    def __len__(self) -> int:
        """How many ranges there are."""
        return len(self._firsts)

    def __bool__(self) -> bool:
        return bool(self._firsts)


def coarser(ranges: Ranges, known: Ranges, most: int) -> Ranges:
    """`ranges` as `most` at most: joined where only what is `known` lies between, then where the least does."""
    pieces = list(ranges)
    between = [b[0] - a[1] - 1 - known.count_within(a[1] + 1, b[0] - 1) for a, b in pairwise(pieces)]
    widest = sorted(range(len(between)), key=between.__getitem__, reverse=True)[: most - 1]
    cuts = sorted(place for place in widest if between[place])
    begins, ends = [0, *(cut + 1 for cut in cuts)], [*cuts, len(pieces) - 1]
    return Ranges((pieces[begin][0], pieces[end][1]) for begin, end in zip(begins, ends, strict=True) if pieces)


def ranges_of(ascending: Numbers) -> list[tuple[int, int]]:
    """The ranges of numbers that ascend, each of which stands there once."""
    if not len(ascending):
        return []
    ends = np.flatnonzero(np.diff(ascending) != 1)
    firsts = ascending[np.concatenate(([0], ends + 1))]
    lasts = ascending[np.concatenate((ends, [len(ascending) - 1]))]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))
