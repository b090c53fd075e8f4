"""Tests of the keys of a JSON body that have no column, as SQL."""

from cloud.logs.query.language.parameters import Parameters
from cloud.logs.query.language.query import Number, Test
from cloud.logs.query.language.texts import text_test

EXACT_INTEGERS = 2**53
"""Below it each whole number is a number of its own to DOUBLE; above it digits are compared."""


def field_value(key: str, parameters: Parameters) -> str:
    """The value as text, NULL where it is null or not there; with a dot in the key, of the key or of a nested one."""
    pointers = [_pointer(key)]
    if "." in key:
        pointers.append("".join(_pointer(part) for part in key.split(".")))
    values = ", ".join(f"json_extract_string(fields, {parameters.add(pointer)})" for pointer in pointers)
    return f"coalesce({values})" if len(pointers) > 1 else values


def field_test(key: str, test: Test, parameters: Parameters) -> str:
    """A number equals each way to write it; all else goes by the characters."""
    value = field_value(key, parameters)
    if isinstance(test, Number) and abs(float(test.text)) < EXACT_INTEGERS:
        as_text, as_number = parameters.add(test.text), parameters.add(float(test.text))
        return f"({value} = {as_text} OR try_cast({value} AS DOUBLE) = {as_number}::DOUBLE)"
    return text_test(value, test, parameters)


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")  # RFC 6901
