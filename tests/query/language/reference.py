"""What a condition says of a row, in plain Python: slow, and short enough to be believed."""

import json
import operator
import re
from collections.abc import Callable, Mapping

from cloud.logs.query.language.names import COLUMNS, Kind
from cloud.logs.query.language.query import (
    And,
    Between,
    Compare,
    Condition,
    Exists,
    Name,
    Not,
    Number,
    Or,
    Order,
    Regex,
    Term,
    Test,
    Text,
    Value,
    Wild,
    Wildcard,
)

SEVERITIES = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"]
FACILITIES = {"kern": 0, "user": 1, "daemon": 3, "authpriv": 10, "13": 13, "local0": 16, "local1": 17}
FLAGS = {"truncated": 1, "unparsed": 2, "host_unverified": 4, "skewed": 8}
COMPARED: dict[Order, Callable[..., bool]] = {
    Order.LESS: operator.lt,
    Order.AT_MOST: operator.le,
    Order.GREATER: operator.gt,
    Order.AT_LEAST: operator.ge,
}
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def is_wanted(condition: Condition, row: Mapping[str, object]) -> bool:
    match condition:
        case Not(inner):
            return not is_wanted(inner, row)
        case And(conditions):
            return all(is_wanted(inner, row) for inner in conditions)
        case Or(conditions):
            return any(is_wanted(inner, row) for inner in conditions)
        case Term(None, test):
            return any(is_within(test, text) for text in texts_of(row))
        case Term(Name(text, is_field=True), test):
            return is_value(test, field_of(row, text), is_numeric=True)
        case Term(Name(text), test):
            column = COLUMNS[text]
            return is_passed(column.kind, test, row[column.column])
    raise AssertionError(condition)


def texts_of(row: Mapping[str, object]) -> list[str]:
    texts = [row["message"], row["request_id"], row["instance"]]
    fields = json.loads(str(row["fields"])) if row["fields"] is not None else {}
    return [str(text) for text in [*texts, *map(text_of_json, fields.values())] if text is not None]


def text_of_json(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def field_of(row: Mapping[str, object], key: str) -> str | None:
    fields = json.loads(str(row["fields"])) if row["fields"] is not None else {}
    found = text_of_json(fields.get(key))
    for part in key.split(".") if "." in key and found is None else ():
        if isinstance(fields, list):
            fields = fields[int(part)] if part.isdigit() and int(part) < len(fields) else None
        else:
            fields = fields.get(part) if isinstance(fields, dict) else None
        found = text_of_json(fields)
    return found


def is_passed(kind: Kind, test: Test, value: object) -> bool:
    match kind, test:
        case Kind.FLAGS, Exists():
            return value != 0
        case _, Exists():
            return value is not None
        case Kind.FLAGS, Text(text):
            return bool(int(str(value)) & FLAGS[text.lower()])
        case Kind.FACILITY, Text(text) | Number(text):
            return value == FACILITIES[text.lower()]
        case Kind.SEVERITY, Text(text):
            return value == SEVERITIES.index(text)
        case Kind.SEVERITY, Compare(order, bound):
            return COMPARED[order](-int(str(value)), -SEVERITIES.index(bound.text))
        case Kind.SEVERITY, Between(low, high) if low is not None and high is not None:
            return SEVERITIES.index(high.text) <= int(str(value)) <= SEVERITIES.index(low.text)
        case Kind.COUNTER, _:
            return value is not None and is_value(test, str(value), is_numeric=True)
        case Kind.MESSAGE, Text() | Number() | Wildcard():
            return is_within(test, str(value))
        case Kind.CASELESS, Text() | Number() | Wildcard():
            return value is not None and re.fullmatch(regex_of(test), str(value), re.IGNORECASE | re.DOTALL) is not None
        case _:
            return is_value(test, None if value is None else str(value), is_numeric=False)


def is_value(test: Test, value: str | None, *, is_numeric: bool) -> bool:
    if value is None:
        return False
    number = float(value) if NUMBER.fullmatch(value) else None
    match test:
        case Exists():
            return True
        case Number(text) if is_numeric and abs(float(text)) < 2**53:
            return value == text or number == float(text)
        case Text(text) | Number(text):
            return value == text
        case Wildcard():
            return re.fullmatch(regex_of(test), value, re.DOTALL) is not None
        case Regex(pattern):
            return re.search(pattern, value) is not None
        case Compare() | Between():
            ends = comparisons_of(test)
            if all(isinstance(bound, Number) for _, bound in ends):
                return number is not None and all(COMPARED[order](number, float(bound.text)) for order, bound in ends)
            return all(COMPARED[order](value, bound.text) for order, bound in ends)


def comparisons_of(test: Compare | Between) -> list[tuple[Order, Value]]:
    if isinstance(test, Compare):
        return [(test.order, test.value)]
    low = (Order.AT_LEAST if test.with_low else Order.GREATER, test.low)
    high = (Order.AT_MOST if test.with_high else Order.LESS, test.high)
    return [(order, bound) for order, bound in (low, high) if bound is not None]


def is_within(test: Test, text: str) -> bool:
    return isinstance(test, Exists) or re.search(regex_of(test), text, re.IGNORECASE | re.DOTALL) is not None


def regex_of(test: Test) -> str:
    if isinstance(test, Wildcard):
        signs = {Wild.ONE: ".", Wild.MANY: ".*"}
        return "".join(signs[part] if isinstance(part, Wild) else re.escape(part) for part in test.parts)
    assert isinstance(test, Text | Number)
    return re.escape(test.text)
