"""Tests of order: comparisons and ranges alike, as the comparisons that all must hold."""

from collections.abc import Sequence

from cloud.logs.query.language.parameters import UnfitTestError
from cloud.logs.query.language.query import Between, Compare, Order, Value


def comparisons_of(test: Compare | Between) -> list[tuple[Order, Value]]:
    """One for each end that there is, the low one first."""
    if isinstance(test, Compare):
        return [(test.order, test.value)]
    found: list[tuple[Order, Value]] = []
    if test.low is not None:
        found.append((Order.AT_LEAST if test.with_low else Order.GREATER, test.low))
    if test.high is not None:
        found.append((Order.AT_MOST if test.with_high else Order.LESS, test.high))
    return found


def check_ends(ends: Sequence[float] | Sequence[str]) -> None:
    """`UnfitTestError` where nothing can lie between the first and the last of `ends`."""
    if sorted(ends) != list(ends):
        raise UnfitTestError("nothing lies between: the first value is above the second")


def all_of(clauses: Sequence[str]) -> str:
    return "(" + " AND ".join(clauses) + ")"
