"""From a query's tree to a text that says it: `parse(text_of(query)) == query`."""

from cloud.logs.query.language.literals import quoted, written_pattern, written_value, written_word
from cloud.logs.query.language.names import COLUMNS, EXISTS, FIELDS_PREFIX, LONG_NAMES, SHORT_FIELD
from cloud.logs.query.language.query import (
    And,
    Between,
    Compare,
    Condition,
    Exists,
    Name,
    Not,
    Or,
    Query,
    Stage,
    Term,
    Test,
    Text,
    Top,
    Value,
)

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def text_of(query: Query) -> str:
    """The query as somebody would write it, in the shortest names."""
    parts = [] if query.condition is None else [_condition(query.condition)]
    return " ".join([*parts, *(f"| {_stage(stage)}" for stage in query.stages)])


def _condition(condition: Condition) -> str:
    match condition:
        case Term(name, test):
            if name is not None:
                return f"{written_name(name)}:{_test(test)}"
            return written_word(test.text) if isinstance(test, Text) else _test(test)
        case Not(inner):
            return f"NOT {_inner(inner)}"
        case And(conditions):
            return " ".join(map(_inner, conditions))
        case Or(conditions):
            return " OR ".join(map(_inner, conditions))


def _inner(condition: Condition) -> str:
    """One within another: in parentheses, but for terms and NOT, which bind the tightest."""
    text = _condition(condition)
    return f"({text})" if isinstance(condition, And | Or) else text


def _test(test: Test) -> str:
    match test:
        case Exists():
            return "*"
        case Compare(order, value):
            return f"{order.value}{written_value(value)}"
        case Between(low, high, with_low, with_high):
            return f"{'[' if with_low else '{'}{_end(low)} TO {_end(high)}{']' if with_high else '}'}"
        case _:
            return written_pattern(test)


def _end(value: Value | None) -> str:
    return "*" if value is None else written_value(value)


def written_name(name: Name) -> str:
    """A name as a query writes it: keys of fields without their prefix where they need none."""
    if not name.is_field:
        return name.text
    lowered = name.text.lower()
    if SHORT_FIELD.fullmatch(name.text):
        is_taken = lowered in COLUMNS or lowered in LONG_NAMES or name.text == EXISTS
        return FIELDS_PREFIX + name.text if is_taken else name.text
    return FIELDS_PREFIX + quoted(name.text)


def _stage(stage: Stage) -> str:
    if isinstance(stage, Top):
        return f"top {stage.n} {written_name(stage.name)}"
    groups = [written_name(name) for name in stage.names]
    if stage.interval_s is not None:
        groups.append(written_interval(stage.interval_s))
    return f"count by {', '.join(groups)}" if groups else "count"


def written_interval(interval_s: float) -> str:
    """Whole seconds in the largest unit that they are whole in."""
    return next(f"{interval_s / length:.0f}{unit}" for unit, length in _UNITS if interval_s % length == 0)
