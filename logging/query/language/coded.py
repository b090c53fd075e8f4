"""Tests of columns that hold numbers for names: severities, facilities and flags as SQL.

A value has the column's own type in SQL, or each row's would be made one of the value's. It is a number of ours and
stands in the text: what users typed is in none of it, and a statement without parameters is planned sooner.
"""

import re
from collections.abc import Sequence

from cloud.logs.collector.row import Flag
from cloud.logs.emit.levels import SEVERITIES, severity_number
from cloud.logs.facilities import facility_name
from cloud.logs.query.language.order import all_of, check_ends, comparisons_of
from cloud.logs.query.language.parameters import Parameters, UnfitTestError
from cloud.logs.query.language.query import (
    Between,
    Compare,
    Exists,
    Number,
    Order,
    Test,
    Text,
    Value,
    Wild,
    Wildcard,
)

FACILITIES = tuple(facility_name(number) for number in range(24))
"""By number; those that have no name there are called by it."""
FLAGS = tuple(flag.name.lower() for flag in Flag if flag.name)
_WORSE = {Order.AT_LEAST: "<=", Order.GREATER: "<", Order.AT_MOST: ">=", Order.LESS: ">"}  # worse ones have less
_WILD = {Wild.ONE: ".", Wild.MANY: ".*"}


def severity_test(column: str, test: Test, _: Parameters) -> str:
    """By name or number; above a severity are the worse ones, as operators read it."""
    match test:
        case Text():
            return f"{column} = {_severity(test)}::UTINYINT"
        case Compare() | Between():
            comparisons = comparisons_of(test)
            check_ends([-_severity_in_order(value) for _, value in comparisons])
            return all_of([f"{column} {_WORSE[order]} {_severity(value)}::UTINYINT" for order, value in comparisons])
        case _:
            return _coded_test(column, test, SEVERITIES, "severity")


def facility_test(column: str, test: Test, _: Parameters) -> str:
    """By name or number; they have no order."""
    if isinstance(test, Compare | Between):
        raise UnfitTestError("facilities have no order: write facility:(local0 OR local1), or facility:local*")
    return _coded_test(column, test, FACILITIES, "facility")


def flags_test(column: str, test: Test, _: Parameters) -> str:
    """Whether a row has a flag, or with `*` any."""
    match test:
        case Text(text) if text.lower() in FLAGS:
            return f"({column} & {Flag[text.lower().upper()].value}::UTINYINT) <> 0"
        case Exists():
            return f"{column} <> 0"
        case _:
            raise UnfitTestError(f"expected one of {', '.join(FLAGS)}", FLAGS)


def _coded_test(column: str, test: Test, names: Sequence[str], what: str) -> str:
    """That the value is the one, or one of those, of `names` (by number) that fit."""
    match test:
        case Exists():
            return f"{column} IS NOT NULL"
        case Text(text) if text.lower() in names:
            return f"{column} = {names.index(text.lower())}::UTINYINT"
        case Number(text) if text in map(str, range(len(names))):
            return f"{column} = {int(text)}::UTINYINT"
        case Wildcard(parts):
            pattern = "".join(_WILD[part] if isinstance(part, Wild) else re.escape(part.lower()) for part in parts)
            numbers = [number for number, name in enumerate(names) if re.fullmatch(pattern, name)]
            if numbers:
                return f"{column} IN ({', '.join(f'{number}::UTINYINT' for number in numbers)})"
    raise UnfitTestError(f"expected a {what}: one of {', '.join(names)}", tuple(names))


def _severity(value: Value) -> int:
    try:
        return severity_number(value.text)
    except ValueError:
        raise UnfitTestError(f"expected a severity: one of {', '.join(SEVERITIES)}", SEVERITIES) from None


def _severity_in_order(value: Value) -> int:
    if isinstance(value, Number):
        raise UnfitTestError(
            "numbers of severities count down as they get worse: write a name, severity:>=err", SEVERITIES
        )
    return _severity(value)
