"""What waits for the tails: bounded, and whoever falls out of it is told to the row what it misses."""

import numpy as np
import pytest

from cloud.logs.query.tail import window
from cloud.logs.query.tail.window import Place, Portion, Skipped, Window
from cloud.logs.query.where import Where

EVERYTHING = Where()
EVEN = Where("row_id % 2 = 0")


def portion(first: int, last: int, arrived_s: float = 0.0) -> Portion:
    """Rows `first` to `last`, as two tails want them."""
    row_ids = np.arange(first, last + 1)
    wanted = {
        window.key_of(EVERYTHING): np.arange(len(row_ids)),
        window.key_of(EVEN): np.flatnonzero(row_ids % 2 == 0),
    }
    return Portion(last, row_ids, [b"%d " % row_id for row_id in row_ids], wanted, arrived_s)


def test_a_portion_is_held_until_all_are_behind_it() -> None:
    held, fast, slow = Window(), Place(EVERYTHING, 0, 0), Place(EVEN, 0, 0)
    held.put(portion(1, 4), [fast, slow])
    assert held.take(fast) == b"1 2 3 4 "
    held.let_go([fast, slow])
    assert (held.take(fast), held.has_news(slow)) == (b"", True)
    assert held.take(slow) == b"2 4 "
    held.let_go([fast, slow])
    assert not held._portions
    late = Place(EVERYTHING, 6, held.end)
    held.put(portion(5, 8), [late])
    assert held.take(late) == b"7 8 "


def test_who_is_too_late_skips_to_the_newest_portion_and_is_told_of_the_rest_once() -> None:
    held, slow = Window(), Place(EVEN, 0, 0)
    late_s = window.MAX_LATE_S + 1
    held.put(portion(1, 9), [slow])
    held.put(portion(10, 19, 1.0), [slow])
    held.put(portion(20, 29, late_s), [slow])
    assert slow.skipped == Skipped(1, 19, 9)
    held.put(portion(30, 39, late_s + 1), [slow])
    held.put(portion(40, 49, 2 * late_s + 2), [slow])
    assert slow.skipped == Skipped(1, 39, 19)
    assert slow.skipped.as_json() == {
        "first_row_id": 1, "last_row_id": 39, "lines": 19, "rows": 39, "query": "row_id:[1 TO 39]",
    }  # fmt: skip
    slow.skipped = None
    assert held.take(slow) == b"40 42 44 46 48 "


def test_a_window_has_a_size_and_what_was_sent_of_a_portion_is_not_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", 4)
    held, slow, sparse = Window(), Place(EVERYTHING, 0, 0), Place(Where("false"), 0, 0)
    held.put(portion(1, 9), [slow, sparse])
    assert held.take(slow) == b"1 2 "
    monkeypatch.setattr(window, "MAX_BYTES", portion(10, 19).size_bytes)
    held.put(portion(10, 19), [slow, sparse])
    assert (slow.skipped, sparse.skipped, sparse.row_id) == (Skipped(3, 9, 7), None, 9)
