"""What has arrived and not every tail has sent yet: bounded in bytes and time, and who falls out of it is told what.

Rows are held once for all tails. A tail is a place in the window and nothing else, so a slow client costs no memory.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cloud.logs.query.tail.events import CHUNK_BYTES
from cloud.logs.query.where import Where

MAX_BYTES = 32 << 20
MAX_LATE_S = 15.0
"""A tail that is later than that, or behind by more than MAX_BYTES of wanted rows, skips to the present."""

Key = tuple[str, str]
Numbers = npt.NDArray[np.int64]
_NONE: Numbers = np.empty(0, dtype=np.int64)


def key_of(where: Where) -> Key:
    """What tails share that want the same lines. What narrows a member's question is part of its condition."""
    return where.sql, repr(sorted(where.parameters.items()))


@dataclass(frozen=True, slots=True)
class Portion:
    """Rows that arrived one after the other, as far as a tail wants them."""

    last_row_id: int
    """With it the portion ends, be it wanted or not."""
    row_ids: Numbers
    """Of the wanted rows, ascending."""
    events: Sequence[bytes]
    """Of the same rows."""
    wanted: Mapping[Key, Numbers]
    """For each condition the indices of what it wants in `row_ids` and `events`."""
    arrived_s: float
    """When it came into the window (monotonic)."""

    @property
    def size_bytes(self) -> int:
        indices = sum(found.nbytes for found in self.wanted.values())
        return sum(map(len, self.events)) + self.row_ids.nbytes + indices

    def behind(self, key: Key, row_id: int) -> Numbers:
        """The indices of what a condition wants behind `row_id`."""
        found = self.wanted.get(key, _NONE)
        return found[np.searchsorted(self.row_ids[found], row_id, side="right") :]


@dataclass(frozen=True, slots=True)
class Skipped:
    """What a tail does not get: it was too far behind."""

    first_row_id: int
    last_row_id: int
    lines: int | None
    """How many between these two it wanted; None where they could not be counted in time."""

    def and_(self, later: "Skipped") -> "Skipped":
        """Both, where nothing is between them."""
        lines = None if self.lines is None or later.lines is None else self.lines + later.lines
        return Skipped(self.first_row_id, later.last_row_id, lines)

    def as_json(self) -> dict[str, Any]:
        """`query` finds them all, as far as they are still stored, in a search whose time range begins before them."""
        rows = self.last_row_id - self.first_row_id + 1
        return {
            "first_row_id": self.first_row_id,
            "last_row_id": self.last_row_id,
            "lines": self.lines,
            "rows": rows,
            "query": f"row_id:[{self.first_row_id} TO {self.last_row_id}]",
        }


@dataclass(slots=True, eq=False)
class Place:
    """How far one tail has got."""

    where: Where
    row_id: int
    """What it wants up to this row it has got, or has been told of."""
    number: int
    """Of the portion that comes next."""
    key: Key = field(init=False)
    skipped: Skipped | None = None
    """To be told before anything else."""
    ended: str | None = None
    """Why there will be no more."""
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.key = key_of(self.where)


class Window:
    """Portions in order of arrival, each until all places are behind it. Of one event loop."""

    def __init__(self) -> None:
        self._portions: deque[Portion] = deque()
        self._first = 0
        """The number of the first portion that is held."""
        self._size_bytes = 0

    @property
    def end(self) -> int:
        """The number of the portion that will come next."""
        return self._first + len(self._portions)

    def put(self, portion: Portion, places: Iterable[Place]) -> None:
        """Add what has arrived; whoever of `places` is too far behind gets none of what is between."""
        self._portions.append(portion)
        self._size_bytes += portion.size_bytes
        self.let_go(places)
        while len(self._portions) > 1 and (
            self._size_bytes > MAX_BYTES or portion.arrived_s - self._portions[0].arrived_s > MAX_LATE_S
        ):
            for place in places:
                if place.number == self._first:
                    self._skip(place)
            self.let_go(places)

    def let_go(self, places: Iterable[Place]) -> None:
        """Forget what all of `places` are behind."""
        needed = min((place.number for place in places), default=self.end)
        while self._first < needed and self._portions:
            self._size_bytes -= self._portions.popleft().size_bytes
            self._first += 1

    def has_news(self, place: Place) -> bool:
        return place.skipped is not None or self._next_wanted(place) is not None

    def take(self, place: Place) -> bytes:
        """The next events for `place`, about CHUNK_BYTES of them, and none when there is nothing that it wants."""
        portion = self._next_wanted(place)
        if portion is None:
            return b""
        size, chosen = 0, []
        indices = portion.behind(place.key, place.row_id).tolist()
        for index in indices:
            chosen.append(portion.events[index])
            size += len(portion.events[index])
            if size >= CHUNK_BYTES:
                break
        place.row_id = int(portion.row_ids[indices[len(chosen) - 1]])
        if len(chosen) == len(indices):
            self._pass(place, portion)
        return b"".join(chosen)

    def behind_s(self, place: Place, now_s: float) -> float:
        """For how long the oldest of what `place` has not sent has been here."""
        number = place.number - self._first
        return now_s - self._portions[number].arrived_s if number < len(self._portions) else 0.0

    def _next_wanted(self, place: Place) -> Portion | None:
        """The first portion with something for `place`, which is moved there."""
        while place.number < self.end:
            portion = self._portions[place.number - self._first]
            if len(portion.behind(place.key, place.row_id)):
                return portion
            self._pass(place, portion)
        return None

    def _pass(self, place: Place, portion: Portion) -> None:
        place.row_id = max(place.row_id, portion.last_row_id)
        place.number += 1

    def _skip(self, place: Place) -> None:
        """Move `place` to the newest portion, and note what it misses."""
        missed = list(self._portions)[place.number - self._first : -1]
        lines = sum(len(portion.behind(place.key, place.row_id)) for portion in missed)
        first = place.row_id + 1
        for portion in missed:
            self._pass(place, portion)
        if lines or place.skipped is not None:
            skipped = Skipped(first, place.row_id, lines)
            place.skipped = skipped if place.skipped is None else place.skipped.and_(skipped)
