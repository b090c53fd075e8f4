"""From moments to latencies and counts."""

import pytest

from cloud.logs.canary.ledger import MAX_LATENCIES, MAX_TRACKED, Ledger, Line, Share, State, percentile


def test_what_arrives_in_time_is_timed_from_its_own_sending() -> None:
    ledger = Ledger(["local0", "local1"], timeout_s=10)
    ledger.sent("local0", 1, 1, 100.0)
    ledger.sent("local1", 2, 1, 100.25)
    assert ledger.arrived("local1", 2, 101.0) == Line(1, 2, "local1", State.ARRIVED, 0.75)
    assert ledger.arrived("local0", 1, 110.0) == Line(1, 1, "local0", State.ARRIVED, 10.0)
    assert ledger.shares() == [
        Share("local0", 1, 1, 0, 0, 10.0, 10.0, 10.0),
        Share("local1", 1, 1, 0, 0, 0.75, 0.75, 0.75),
    ]
    assert [share.missing for share in ledger.shares()] == [0, 0]


def test_a_line_that_comes_after_its_timeout_is_missing_and_then_late_and_arrived() -> None:
    ledger = Ledger(["local0"], timeout_s=10)
    ledger.sent("local0", 1, 1, 0.0)
    assert ledger.lines(1) == [Line(1, 1, "local0", State.MISSING)]
    (before,) = ledger.shares()
    assert (before.missing, before.arrived, before.late, before.max_s) == (1, 0, 0, None)
    assert ledger.arrived("local0", 1, 10.5) == Line(1, 1, "local0", State.LATE, 10.5)
    assert ledger.lines(1) == [Line(1, 1, "local0", State.LATE, 10.5)]
    assert ledger.shares() == [Share("local0", 1, 1, 1, 0, 10.5, 10.5, 10.5)]


def test_a_line_that_comes_again_is_doubled_and_its_first_latency_holds() -> None:
    ledger = Ledger(["local0"], timeout_s=1)
    ledger.sent("local0", 1, 1, 0.0)
    ledger.arrived("local0", 1, 0.5)
    assert ledger.arrived("local0", 1, 3.0) == Line(1, 1, "local0", State.DOUBLED, 3.0)
    assert ledger.shares() == [Share("local0", 1, 1, 0, 1, 0.5, 0.5, 0.5)]


def test_a_line_on_another_facility_than_it_was_sent_on_has_not_arrived() -> None:
    ledger = Ledger(["local0", "local1"], timeout_s=1)
    ledger.sent("local0", 1, 1, 0.0)
    assert ledger.arrived("local1", 1, 0.5) is None
    assert ledger.arrived("user", 1, 0.5) is None
    assert ledger.arrived("local0", 2, 0.5) is None
    assert [share.arrived for share in ledger.shares()] == [0, 0]


def test_numbers_are_never_given_twice() -> None:
    ledger = Ledger(["local0"], timeout_s=1)
    assert [ledger.next_number() for _ in range(3)] == [1, 2, 3]


def test_lines_of_a_round_are_in_the_order_of_the_facilities_whatever_was_sent_first() -> None:
    ledger = Ledger(["local0", "local1"], timeout_s=1)
    ledger.sent("local1", 1, 7, 0.0)
    ledger.sent("local0", 2, 7, 0.0)
    ledger.sent("local0", 3, 8, 0.0)
    assert [line.number for line in ledger.lines(7)] == [2, 1]


def test_memory_is_bounded_and_what_is_forgotten_stays_missing() -> None:
    ledger = Ledger(["local0"], timeout_s=1)
    for number in range(1, MAX_TRACKED + 2):
        ledger.sent("local0", number, number, 0.0)
    assert ledger.arrived("local0", 1, 0.5) is None
    assert ledger.arrived("local0", 2, 0.5) is not None
    (share,) = ledger.shares()
    assert (share.sent, share.arrived, share.missing) == (1001, 1, 1000)


def test_percentiles_are_those_of_the_last_arrivals_and_the_maximum_that_of_all() -> None:
    ledger = Ledger(["local0"], timeout_s=100)
    for number in range(MAX_LATENCIES + 1):
        ledger.sent("local0", number, number, 0.0)
        ledger.arrived("local0", number, 50.0 if number == 0 else 1.0)
    assert ledger.shares() == [Share("local0", 10_001, 10_001, 0, 0, 1.0, 1.0, 50.0)]


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 50, None),
        ([7.0], 50, 7.0),
        ([7.0], 99, 7.0),
        ([2.0, 1.0], 50, 1.0),
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([float(n) for n in range(100, 0, -1)], 50, 50.0),
        ([float(n) for n in range(100, 0, -1)], 99, 99.0),
        ([float(n) for n in range(1, 202)], 99, 199.0),
    ],
)
def test_percentile_is_the_nearest_rank(values: list[float], percent: int, expected: float | None) -> None:
    assert percentile(values, percent) == expected
