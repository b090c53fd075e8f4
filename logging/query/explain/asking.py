"""The conditions of explain's questions, each with its own parameters."""

from collections.abc import Sequence

from cloud.logs.query.where import Where


def among(column: str, values: Sequence[str]) -> Where:
    """Rows whose column is one of the values; none where there are none."""
    names = [f"{column}{number}" for number in range(len(values))]
    if not names:
        return Where("false")
    return Where(f"{column} IN ({', '.join(f'${name}' for name in names)})", dict(zip(names, values, strict=True)))


def begins(column: str, text: str) -> Where:
    """Rows whose column begins with a text, in whatever case."""
    return Where(f"starts_with(lower({column}), $begin_{column})", {f"begin_{column}": text.lower()})


def has_text(text: str) -> Where:
    """Rows whose message or fields have the text in them, in this case."""
    return Where("(contains(message, $text) OR contains(coalesce(fields, ''), $text))", {"text": text})


def has_field(name: str, value: str) -> Where:
    """Rows whose body has a field of that value, with `name` one of our own."""
    return Where(f"json_extract_string(fields, '$.{name}') = $field_{name}", {f"field_{name}": value})


def either(*conditions: Where) -> Where:
    """Rows that one of them wants at least; `ValueError` where two have parameters of one name."""
    parameters: dict[str, object] = {}
    for condition in conditions:
        if taken := parameters.keys() & condition.parameters.keys():
            raise ValueError(f"cannot join conditions: both have {', '.join(sorted(taken))}")
        parameters |= condition.parameters
    return Where(f"({' OR '.join(f'({each.sql})' for each in conditions) or 'false'})", parameters)
