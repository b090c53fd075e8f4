"""Tests of counters and times as SQL."""

import re
from typing import Final

from cloud.logs.query.language.moments import moment_of
from cloud.logs.query.language.order import all_of, check_ends, comparisons_of
from cloud.logs.query.language.parameters import Parameters, UnfitTestError
from cloud.logs.query.language.query import Between, Compare, Exists, Number, Order, Test, Text, Value
from cloud.logs.query.time_range import sql_time

MAX_COUNTER: Final = 2**64 - 1
_DIGITS = re.compile(r"[0-9]{1,20}")


def counter_test(column: str, test: Test, parameters: Parameters) -> str:
    """Whole numbers from 0."""
    match test:
        case Text() | Number():
            return f"{column} = {parameters.add(_counter(test))}"
        case Exists():
            return f"{column} IS NOT NULL"
        case Compare() | Between():
            comparisons = comparisons_of(test)
            check_ends([_counter(value) for _, value in comparisons])
            return all_of([f"{column} {order} {parameters.add(_counter(value))}" for order, value in comparisons])
        case _:
            raise UnfitTestError("expected a whole number", ("a whole number",))


def time_test(column: str, test: Test, parameters: Parameters) -> str:  # noqa: ARG001 - times are constants
    """Times of any precision. They are part of the SQL: only constants let DuckDB leave out what lies elsewhere."""
    match test:
        case Text() | Number():
            moment = moment_of(test.text)
            return f"({column} >= {sql_time(moment.start)} AND {column} < {sql_time(moment.end)})"
        case Exists():
            return f"{column} IS NOT NULL"
        case Compare() | Between():
            comparisons = comparisons_of(test)
            check_ends([moment_of(value.text).start.timestamp() for _, value in comparisons])
            return all_of([_time_comparison(column, order, value) for order, value in comparisons])
        case _:
            raise UnfitTestError("expected a time, such as 2027-01-31 or 2027-01-31T14:05", ("a time",))


def _counter(value: Value) -> int:
    number = int(value.text) if _DIGITS.fullmatch(value.text) else -1
    if not 0 <= number <= MAX_COUNTER:
        raise UnfitTestError(f"{value.text[:40]!r} is no whole number from 0 to {MAX_COUNTER}", ("a whole number",))
    return number


def _time_comparison(column: str, order: Order, value: Value) -> str:
    """What is after a day is after all of it, and what is not after it may be within."""
    moment = moment_of(value.text)
    edge = moment.end if order in (Order.GREATER, Order.AT_MOST) else moment.start
    return f"{column} {'>=' if order in (Order.GREATER, Order.AT_LEAST) else '<'} {sql_time(edge)}"
