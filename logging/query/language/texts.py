"""Tests of columns of text as SQL: whole values, parts of the message, wildcards, regular expressions, order."""

import re
from typing import Final

from cloud.logs.query.language.order import all_of, check_ends, comparisons_of
from cloud.logs.query.language.parameters import Parameters, UnfitTestError
from cloud.logs.query.language.query import (
    Between,
    Compare,
    Exists,
    Number,
    Regex,
    Test,
    Text,
    Value,
    Wild,
    Wildcard,
)
from cloud.logs.query.language.regexes import check_regex

MAX_SOUGHT_CHARS: Final = 1_000
"""Of a word or phrase, or a text with wildcards: what is looked for inside of texts."""
MAX_NUMBER: Final = "1.7976931348623157e308::DOUBLE"
"""The largest that is neither infinite nor none at all, both of which DuckDB sorts behind it."""
MIN_NUMBER: Final = f"(-{MAX_NUMBER})"

_SIGN = re.compile(r"[!-/:-@\[-^`{-~]")


def text_test(column: str, test: Test, parameters: Parameters) -> str:
    """Whole values, whose case counts."""
    match test:
        case Text(text) | Number(text):
            return f"{column} = {parameters.add(text)}"
        case Wildcard():
            return _wildcard(column, test, parameters)
        case Regex(pattern):
            check_regex(pattern)
            return f"regexp_matches({column}, {parameters.add(pattern)})"
        case Exists():
            return f"{column} IS NOT NULL"
        case _:
            return order_test(column, test, parameters)


def caseless_test(column: str, test: Test, parameters: Parameters) -> str:
    """Whole values, whose case does not count, and which have no order."""
    match test:
        case Text(text) | Number(text):
            return f"regexp_full_match({column}, {parameters.add('(?is)' + sought(text))})"
        case Wildcard():
            return f"regexp_full_match({column}, {parameters.add('(?is)' + sought_wildcard(test))})"
        case Compare() | Between():
            raise UnfitTestError("levels have no order: write severity:>=err for errors and worse")
        case _:
            return text_test(column, test, parameters)


def message_test(column: str, test: Test, parameters: Parameters) -> str:
    """Parts of the text, in whatever case."""
    match test:
        case Text(text) | Number(text):
            return f"regexp_matches({column}, {parameters.add('(?is)' + sought(text))})"
        case Wildcard():
            return f"regexp_matches({column}, {parameters.add('(?is)' + sought_wildcard(test))})"
        case Compare() | Between():
            raise UnfitTestError("messages have no order: expected a text, or a regular expression between slashes")
        case _:
            return text_test(column, test, parameters)


def order_test(sql: str, test: Compare | Between, parameters: Parameters) -> str:
    """On one side of a value, or between two: by number where they are numbers, by character otherwise."""
    comparisons = comparisons_of(test)
    if not all(isinstance(value, Number) for _, value in comparisons):
        check_ends([value.text for _, value in comparisons])
        return all_of([f"{sql} {order} {parameters.add(value.text)}" for order, value in comparisons])
    check_ends([number_of(value) for _, value in comparisons])
    sql = f"try_cast({sql} AS DOUBLE)"
    clauses = [f"{sql} {order} {parameters.add(number_of(value))}::DOUBLE" for order, value in comparisons]
    return all_of([*clauses, f"{sql} BETWEEN {MIN_NUMBER} AND {MAX_NUMBER}"])


def number_of(value: Value) -> float:
    """The value of a number; `UnfitTestError` for one that is larger than numbers can be compared."""
    number = float(value.text)
    if number in (float("inf"), float("-inf")):
        raise UnfitTestError(f"{value.text[:40]} is too large to compare numbers with")
    return number


def sought(text: str) -> str:
    """A regular expression of RE2 that matches `text` alone."""
    if len(text) > MAX_SOUGHT_CHARS:
        raise UnfitTestError(f"a text to look for has at most {MAX_SOUGHT_CHARS} characters, this one has {len(text)}")
    return _SIGN.sub(r"\\\g<0>", text)


def sought_wildcard(wildcard: Wildcard, one: str = ".") -> str:
    """A regular expression of RE2 that matches what `wildcard` does, with `one` for each unknown character."""
    if sum(len(part) for part in wildcard.parts if isinstance(part, str)) > MAX_SOUGHT_CHARS:
        raise UnfitTestError(f"a text to look for has at most {MAX_SOUGHT_CHARS} characters")
    signs = {Wild.ONE: one, Wild.MANY: f"{one}*"}
    return "".join(signs[part] if isinstance(part, Wild) else sought(part) for part in wildcard.parts)


def _wildcard(column: str, wildcard: Wildcard, parameters: Parameters) -> str:
    """By the start of the value alone where that is all there is to know: it costs the least."""
    match wildcard.parts:
        case (str(start), Wild.MANY):
            return f"starts_with({column}, {parameters.add(start)})"
        case (Wild.MANY, str(end)):
            return f"ends_with({column}, {parameters.add(end)})"
        case (Wild.MANY, str(part), Wild.MANY):
            return f"contains({column}, {parameters.add(part)})"
        case _:
            return f"regexp_full_match({column}, {parameters.add('(?s)' + sought_wildcard(wildcard))})"
