"""From what the parser recognises to the tree, from the leaves up."""

from dataclasses import replace
from typing import Final

from lark import Token, Transformer

from cloud.logs.query.language.limits import MAX_GROUPS
from cloud.logs.query.language.literals import pattern_of, regex_of, text_of_string
from cloud.logs.query.language.names import COLUMNS, EXISTS, FIELDS_PREFIX, can_group_by, name_of
from cloud.logs.query.language.query import (
    And,
    Between,
    Compare,
    Condition,
    CountBy,
    Exists,
    Name,
    Not,
    Number,
    Or,
    Order,
    Query,
    QueryError,
    Stage,
    Term,
    Test,
    Text,
    Top,
    Value,
    Wild,
    Wildcard,
)

MAX_TOP: Final = 10_000
DEFAULT_TOP: Final = 10
MAX_INTERVAL_S: Final = 366 * 86_400
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_UNNAMED = Name("")
"""Of tests behind a name, until the name is there."""


class TreeBuilder(Transformer[Token, Query]):
    """A method for each rule of the grammar; it sees what the methods of the rule's parts made."""

    def start(self, children: list[Condition | Stage]) -> Query:
        stages = tuple(child for child in children if isinstance(child, Stage))
        conditions = [child for child in children if not isinstance(child, Stage)]
        return Query(conditions[0] if conditions else None, stages)

    def condition(self, children: list[Condition]) -> Condition:
        return Or(tuple(children))

    def conjunction(self, children: list[Condition]) -> Condition:
        return And(tuple(children))

    def negated(self, children: tuple[Token, Condition]) -> Condition:
        return Not(children[1])

    def inner(self, children: tuple[Token, Condition]) -> Condition:
        return children[1]

    def word(self, children: tuple[Token]) -> Condition:
        test = _word(children[0])
        if isinstance(test, Number):
            test = Text(test.text)  # what it is looked for in has no numbers
        return Term(None, test, _position(children[0]))

    def phrase(self, children: tuple[Token]) -> Condition:
        return Term(None, _text(children[0]), _position(children[0]))

    def regex(self, children: tuple[Token]) -> Condition:
        return Term(Name("message"), regex_of(children[0]), _position(children[0]))

    def named(self, children: tuple[Token, *tuple[Token, ...], Condition]) -> Condition:
        written, *_, tests = children
        if written[:-1] != EXISTS:
            return _about(_name(written[:-1], _position(written)), tests)
        if isinstance(tests, Term) and isinstance(tests.test, Text):
            return Term(_name(tests.test.text, tests.column), Exists(), tests.column)
        raise QueryError(f"expected a name behind {written}", _position(written) + len(written), ("a name",))

    def value_test(self, children: tuple[Token]) -> Condition:
        return Term(_UNNAMED, _word(children[0]), _position(children[0]))

    def string_test(self, children: tuple[Token]) -> Condition:
        return Term(_UNNAMED, _text(children[0]), _position(children[0]))

    def regex_test(self, children: tuple[Token]) -> Condition:
        return Term(_UNNAMED, regex_of(children[0]), _position(children[0]))

    def compare(self, children: tuple[Token, Token]) -> Condition:
        order, value = children
        return Term(_UNNAMED, Compare(Order(order), _value(value)), _position(value))

    def between(self, children: tuple[Token, Token, Token, Token]) -> Condition:
        start, low, high, end = children
        test = Between(_bound(low), _bound(high), with_low=start == "[", with_high=end == "]")
        if test.low is test.high is None:
            raise QueryError("a range has one end at least; a name with :* behind it takes any value", _position(low))
        return Term(_UNNAMED, test, _position(start))

    def count(self, children: tuple[Token, *tuple[Name | int, ...]]) -> Stage:
        count, *groups = children
        names = tuple(group for group in groups if isinstance(group, Name))
        intervals = [group for group in groups if isinstance(group, int)]
        if len(names) > MAX_GROUPS or len(intervals) > 1:
            raise QueryError(f"rows are counted by at most {MAX_GROUPS} names and one interval", _position(count))
        return CountBy(names, intervals[0] if intervals else None)

    def top(self, children: tuple[*tuple[Token, ...], Name]) -> Stage:
        *numbers, name = children
        return Top(_top(numbers[0]) if numbers else DEFAULT_TOP, name)

    def group(self, children: tuple[Token]) -> Name:
        name = _name(children[0], _position(children[0]))
        if not can_group_by(name):
            groupable = [column.name for column in COLUMNS.values() if column.is_groupable]
            raise QueryError(
                f"rows cannot be counted by {name.text}: expected {', '.join(groupable)}, a field, or an interval: 5m",
                _position(children[0]),
                (*groupable, "the name of a field", "an interval: 5m"),
            )
        return name

    def interval(self, children: tuple[Token]) -> int:
        number, unit = children[0][:-1], children[0][-1]
        seconds = int(number) * _SECONDS[unit] if len(number) < 9 else 0
        if not 0 < seconds <= MAX_INTERVAL_S:
            raise QueryError("expected an interval from 1s to 366d", _position(children[0]), ("an interval: 5m",))
        return seconds


def _position(token: Token) -> int:
    return (token.start_pos or 0) + 1


def _word(token: Token) -> Test:
    """A word's pattern; one of wildcards for anything alone is the question whether there is a value."""
    pattern = pattern_of(token, _position(token))
    is_anything = isinstance(pattern, Wildcard) and set(pattern.parts) == {Wild.MANY}
    return Exists() if is_anything else pattern


def _text(token: Token) -> Text:
    return Text(text_of_string(token, _position(token)))


def _value(token: Token) -> Value:
    if token.type == "STRING":
        return _text(token)
    pattern = pattern_of(token, _position(token))
    if isinstance(pattern, Value):
        return pattern
    raise QueryError("a comparison has no wildcards: expected a value", _position(token), ("a value",))


def _bound(end: Token) -> Value | None:
    return None if end.type == "RANGE_VALUE" and end == "*" else _value(end)


def _name(written: str, position: int) -> Name:
    """The name, whose key may stand between quotation marks."""
    written = str(written)  # without what the lexer noted of it
    key = written.removeprefix(FIELDS_PREFIX)
    if key != written and key.startswith('"'):
        return name_of(FIELDS_PREFIX + text_of_string(key, position + len(FIELDS_PREFIX)), position)
    return name_of(written, position)


def _about(name: Name, condition: Condition) -> Condition:
    """The tests in `condition`, as tests of `name`."""
    match condition:
        case Term():
            return replace(condition, name=name)
        case Not(inner):
            return Not(_about(name, inner))
        case And(conditions):
            return And(tuple(_about(name, inner) for inner in conditions))
        case Or(conditions):
            return Or(tuple(_about(name, inner) for inner in conditions))


def _top(number: Token) -> int:
    n = int(number) if len(number) < 9 else 0
    if not 0 < n <= MAX_TOP:
        raise QueryError(f"expected a number from 1 to {MAX_TOP}", _position(number), (f"1 to {MAX_TOP}",))
    return n
