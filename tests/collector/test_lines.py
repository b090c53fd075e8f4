"""Each numbered line once, and the ones that never came by name."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.logs.collector import lines
from cloud.logs.collector.lines import (
    Fresh,
    LineAccounts,
    LinesMissingError,
    Mark,
    MarkKind,
    Run,
    RunState,
    identity_of,
)
from cloud.logs.collector.rfc5424 import split_message, take_line_id

A, B, C = Run("compute-01", "A"), Run("compute-01", "B"), Run("compute-02", "C")
RUNS = (A, B, C)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def fresh(accounts: LineAccounts, *rows: tuple[Run | None, int]) -> Fresh:
    order = [RUNS.index(run) if run else -1 for run, _ in rows]
    return accounts.fresh(RUNS, np.array(order, np.int32), np.array([number for _, number in rows], np.uint64))


def store(accounts: LineAccounts, run: Run, *numbers: int) -> None:
    accounts.committed(fresh(accounts, *((run, number) for number in numbers)).marks)


def states(accounts: LineAccounts) -> dict[str, str]:
    return {report.run.start: report.state for report in accounts.report()}


def gaps(accounts: LineAccounts, run: Run, *, in_flight: bool = True) -> Sequence[tuple[int, int]]:
    [found] = [report.gaps for report in accounts.report(run.host, in_flight=in_flight) if report.run == run]
    return found


def test_a_block_of_each_run_is_kept_whole_and_marked_once() -> None:
    made = fresh(LineAccounts([]), (A, 1), (C, 7), (A, 2), (None, 0), (C, 8), (A, 3))
    assert made.keep is None
    assert list(made.marks) == [Mark(A, 1, 3), Mark(C, 7, 8)]


def test_a_line_that_is_stored_or_came_before_in_the_batch_is_dropped() -> None:
    accounts = LineAccounts([Mark(A, 1, 3)])
    made = fresh(accounts, (A, 3), (A, 4), (None, 0), (A, 6), (A, 4), (None, 0))
    assert made.keep is not None
    assert made.keep.tolist() == [False, True, True, True, False, True]
    assert (list(made.marks), made.duplicates) == ([Mark(A, 4, 4), Mark(A, 6, 6)], 2)


def test_a_run_that_stands_among_the_runs_twice_is_one() -> None:
    rows = np.array([0, 2, 1, -1, 0], np.int64), np.array([1, 1, 2, 0, 2], np.int64)
    made = LineAccounts([]).fresh([A, B, Run("compute-01", "A")], *rows)
    assert made.keep is not None
    assert (made.keep.tolist(), list(made.marks)) == ([True, False, True, True, True], [Mark(A, 1, 2), Mark(B, 2, 2)])


def test_what_is_not_committed_changes_nothing() -> None:
    accounts = LineAccounts([])
    assert fresh(accounts, (A, 1)).keep is None
    assert fresh(accounts, (A, 1)).keep is None


def test_a_batch_that_brings_nothing_new_has_no_marks() -> None:
    made = fresh(LineAccounts([Mark(A, 1, 9)]), (A, 2), (A, 3))
    assert made.keep is not None
    assert (made.keep.tolist(), list(made.marks), made.duplicates) == ([False, False], [], 2)


ROWS = st.lists(st.tuples(st.sampled_from([None, *RUNS]), st.integers(1, 40)), max_size=40)
BLOCKS = st.lists(st.tuples(st.sampled_from([None, *RUNS]), st.integers(1, 40), st.integers(1, 9)), max_size=6).map(
    lambda blocks: [(run, first + n) for run, first, length in blocks for n in range(length)]
)


@given(st.lists(st.tuples(st.one_of(ROWS, BLOCKS), st.booleans()), max_size=8))
@settings(max_examples=200, deadline=None)
def test_each_number_of_each_run_is_kept_once_in_any_order(
    batches: list[tuple[list[tuple[Run | None, int]], bool]],
) -> None:
    accounts, stored, committed = LineAccounts([]), set[tuple[Run, int]](), list[Mark]()
    for rows, is_stored in batches:
        made = fresh(accounts, *rows)
        seen = set(stored)
        expected = []
        for run, number in rows:
            expected.append(run is None or (run, number) not in seen)
            if run is not None:
                seen.add((run, number))
        assert (made.keep is None) == all(expected)
        assert made.keep is None or made.keep.tolist() == expected
        marked = [(mark.run, n) for mark in made.marks for n in range(mark.first, mark.last + 1)]
        assert sorted(marked) == sorted(seen - stored)
        if is_stored:
            accounts.committed(made.marks)
            committed += made.marks
            stored = seen
    for report in LineAccounts(committed).report(in_flight=True):  # as after a restart
        numbers = {number for run, number in stored if run == report.run}
        missing = {n for first, last in report.gaps for n in range(first, last + 1)}
        assert missing == set(range(1, max(numbers) + 1)) - numbers


def test_holes_are_gaps_from_the_first_number_on() -> None:
    accounts = LineAccounts([])
    store(accounts, A, 3, 4, 8, 9, 11)
    [report] = accounts.report(in_flight=True)
    assert report.gaps == [(1, 2), (5, 7), (10, 10)]
    assert (report.missing, report.stored, report.last) == (6, 5, 11)


def test_a_hole_is_a_gap_once_it_had_time_to_be_filled() -> None:
    clock = Clock()
    accounts = LineAccounts([], settle_s=30, now_s=clock)
    store(accounts, A, 1, 2, 5)
    clock.now_s += 29
    store(accounts, A, 9)
    assert gaps(accounts, A, in_flight=False) == []
    clock.now_s += 1
    assert gaps(accounts, A, in_flight=False) == [(3, 4)]
    clock.now_s += 29
    assert gaps(accounts, A, in_flight=False) == [(3, 4), (6, 8)]
    store(accounts, A, 3, 4, 6, 7, 8)
    assert gaps(accounts, A, in_flight=False) == []


def test_under_steady_traffic_a_hole_shows_after_twice_the_time_at_most() -> None:
    clock = Clock()
    accounts = LineAccounts([], settle_s=30, now_s=clock)
    store(accounts, A, 1)
    clock.now_s += 5
    for number in range(3, 63):
        store(accounts, A, number)
        clock.now_s += 1
    assert gaps(accounts, A, in_flight=False) == [(2, 2)]


def test_a_new_run_leaves_the_one_before_unclosed_until_its_end_is_confirmed() -> None:
    accounts = LineAccounts([])
    store(accounts, A, 1, 2, 3)
    assert states(accounts) == {"A": RunState.CURRENT}
    store(accounts, B, 1)
    store(accounts, C, 1)
    assert states(accounts) == {"A": RunState.UNCLOSED, "B": RunState.CURRENT, "C": RunState.CURRENT}
    with pytest.raises(LinesMissingError, match="cannot close run A of compute-01 at 5: 2 of its lines are not stored"):
        accounts.closing(A, 5)
    store(accounts, A, 4, 5)
    marks = accounts.closing(A, 5)
    assert list(marks) == [Mark(A, 1, 5, MarkKind.CLOSED)]
    accounts.committed(marks)
    assert states(accounts) == {"A": RunState.CLOSED, "B": RunState.UNCLOSED, "C": RunState.CURRENT}
    store(accounts, B, 2)
    assert states(accounts)["B"] == RunState.CURRENT


def test_lines_of_a_run_that_is_known_to_be_over_do_not_make_it_the_current_one() -> None:
    accounts = LineAccounts([Mark(B, 1, 3)])
    accounts.ended(A)
    store(accounts, A, 1, 2)
    assert states(accounts) == {"B": RunState.CURRENT, "A": RunState.UNCLOSED}


def test_after_a_restart_the_last_run_that_is_not_closed_is_current() -> None:
    marks = [Mark(A, 1, 3), Mark(B, 1, 3), Mark(A, 1, 3, MarkKind.CLOSED)]
    assert states(LineAccounts(marks)) == {"A": RunState.CLOSED, "B": RunState.CURRENT}
    marks = [Mark(A, 1, 3), Mark(B, 1, 3), Mark(B, 1, 3, MarkKind.CLOSED)]
    assert states(LineAccounts(marks)) == {"A": RunState.CURRENT, "B": RunState.CLOSED}


def test_a_closed_run_whose_file_was_lost_has_its_lines_as_gaps_again() -> None:
    [report] = LineAccounts([Mark(A, 4, 6), Mark(A, 1, 9, MarkKind.CLOSED)]).report()
    assert (report.state, report.gaps) == (RunState.CLOSED, [(1, 3), (7, 9)])


def test_what_was_in_a_file_that_the_store_has_lost_is_missing_again() -> None:
    accounts = LineAccounts([Mark(A, 1, 9), Mark(B, 1, 2)])
    accounts.reload([Mark(A, 1, 4), Mark(A, 8, 9)])
    assert (gaps(accounts, A), states(accounts)) == ([(5, 7)], {"A": RunState.CURRENT})


def test_a_line_beyond_the_confirmed_end_opens_the_run_again() -> None:
    accounts = LineAccounts([Mark(A, 1, 3), Mark(A, 1, 3, MarkKind.CLOSED)])
    store(accounts, A, 5)
    assert states(accounts) == {"A": RunState.CURRENT}
    assert gaps(accounts, A) == [(4, 4)]


def test_expired_lines_are_not_stored_again_and_waived_ones_are_missed_no_more_but_stored() -> None:
    accounts = LineAccounts([Mark(A, 1, 3, MarkKind.EXPIRED), Mark(A, 4, 6, MarkKind.WAIVED), Mark(A, 7, 9)])
    assert gaps(accounts, A) == []
    made = fresh(accounts, (A, 2), (A, 5), (A, 8))
    assert made.keep is not None
    assert (made.keep.tolist(), list(made.marks)) == ([False, True, False], [Mark(A, 5, 5)])


def test_a_run_in_too_many_pieces_is_stored_without_account_and_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_RUN_RANGES", 3)
    accounts = LineAccounts([])
    store(accounts, A, 1, 3, 5)
    made = fresh(accounts, (A, 3), (A, 7), (A, 9), (A, 7))
    assert made.keep is not None
    assert made.keep.tolist() == [False, True, True, False]
    assert (list(made.marks), made.untracked) == ([Mark(A, 7, 9, MarkKind.WAIVED)], 2)
    accounts.committed(made.marks)
    made = fresh(accounts, (A, 2), (A, 4))  # closes holes, which there is always room for
    assert (made.keep, list(made.marks)) == (None, [Mark(A, 2, 2), Mark(A, 4, 4)])
    accounts.committed(made.marks)
    assert gaps(accounts, A) == [(6, 6)]


def test_the_bound_on_all_ranges_holds_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_RANGES", 2)
    accounts = LineAccounts([])
    store(accounts, A, 1)
    store(accounts, C, 1)
    made = fresh(accounts, (B, 1), (A, 2))
    assert (made.keep, made.untracked) == (None, 1)
    assert list(made.marks) == [Mark(A, 2, 2), Mark(B, 1, 1, MarkKind.WAIVED)]


def test_what_is_missing_between_many_waived_numbers_stays_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_RUN_RANGES", 8)
    accounts = LineAccounts([])
    accounts.committed([Mark(A, 1, 100), Mark(A, 104, 300)])
    accounts.committed([Mark(A, n, n, MarkKind.WAIVED) for n in range(2, 300, 2)])
    assert gaps(accounts, A) == [(101, 101), (103, 103)]  # 102 is waived
    accounts.committed([Mark(A, n, n, MarkKind.WAIVED) for n in range(1000, 1100, 2)])
    assert (301, 999) in gaps(accounts, A)


def test_waived_numbers_count_for_the_bound_on_all_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_RANGES", 10)
    accounts = LineAccounts([])
    for run in (A, B, C):
        accounts.committed([Mark(run, n, n, MarkKind.WAIVED) for n in range(1, 100, 2)])
    assert accounts._ranges <= 12  # one of each run at least
    assert sum(len(account.waived) for account in accounts._accounts.values()) == accounts._ranges


def test_a_host_with_too_many_runs_forgets_its_own_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_HOST_RUNS", 2)
    accounts = LineAccounts([Mark(C, 1, 1), Mark(A, 1, 1), Mark(B, 1, 1)])
    accounts.committed([Mark(Run("compute-01", "D"), 1, 1)])
    assert sorted(states(accounts)) == ["B", "C", "D"]
    assert accounts.forgotten == 1


def test_beyond_the_bound_on_runs_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_RUNS", 2)
    assert sorted(states(LineAccounts([Mark(C, 1, 1), Mark(A, 1, 1), Mark(B, 1, 1)]))) == ["A", "B"]


IDENTITY = b'[line@32473 host="compute-01" start="A" n="17"]'
HEAD = b"<142>1 2026-01-31T12:00:00Z compute-01 nova-api 81 - "


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (HEAD + IDENTITY + b" text", 17),
        (HEAD + IDENTITY, 17),
        (HEAD + b'[x@1 a="\\"]" b=""]' + IDENTITY + b" text\nand more \xff\xfe", 17),
        (HEAD + b"[x]" + IDENTITY + b' [line@32473 host="h" start="s" n="3"]', 17),
        (HEAD + b"- " + IDENTITY + b" quoted", None),
        (HEAD + b'[x a="b"] ' + IDENTITY, None),
        (HEAD + b'[x a="' + IDENTITY.replace(b'"', b'\\"') + b'"] text', None),
        (HEAD + IDENTITY + b'[x a="b"] text', None),
        (HEAD + b'[line@32473 host="compute-01" start="A" n="0"] text', None),
        (HEAD + b'[line@32473 host="compute-01" start="A" n="9999999999999999999"] text', None),
        (HEAD + b'[line@32473 host="%s" start="A" n="1"] text' % (b"h" * 256), None),
        (IDENTITY, None),
        (b"", None),
        (HEAD + b"[" * 2000, None),
        (HEAD + b'[a b="c"]' * 2000, None),
    ],
)
def test_the_identity_is_the_last_element_and_no_text_can_fake_it(line: bytes, number: int | None) -> None:
    assert identity_of(line) == (None if number is None else (A, number))


@given(
    st.lists(
        st.sampled_from([b"[x]", b'[x a="b"]', b'[x a="\\"]"]', IDENTITY, b" ", b"-", b'"', b"]", b"\\"]), max_size=8
    )
)
@settings(max_examples=300, deadline=None)
def test_the_identity_is_the_one_that_the_parser_finds(parts: list[bytes]) -> None:
    line = HEAD + b"".join(parts)
    split = split_message(line.decode())
    _, expected = take_line_id(split.structured_data if split else None)
    found = identity_of(line)
    assert (found is not None) == (expected is not None)
