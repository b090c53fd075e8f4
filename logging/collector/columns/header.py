"""PRI and the words of a header, found in a message's bytes."""

from cloud.logs.collector.compiled import Bytes, byte_at, compiled
from cloud.logs.collector.row import SEPARATOR

MAX_PRI = 191
_LESS_THAN, _GREATER_THAN, _SPACE = 60, 62, 32
_SEPARATOR = ord(SEPARATOR)


@compiled
def pri_end(data: Bytes, start: int, end: int) -> int:
    """Where `<N>` ends; -1 where there is none."""
    if end - start < 3 or byte_at(data, start) != _LESS_THAN:
        return -1
    for at in range(start + 1, min(start + 5, end)):
        character = byte_at(data, at)
        if character == _GREATER_THAN:
            return at + 1 if at > start + 1 else -1
        if not 48 <= character <= 57:
            return -1
    return -1


@compiled
def pri(data: Bytes, start: int, end: int) -> int:
    """The number of the PRI that ends at `end`; -1 above 191."""
    number = 0
    for at in range(start + 1, end - 1):
        number = number * 10 + byte_at(data, at) - 48
    return number if number <= MAX_PRI else -1


@compiled
def word_end(data: Bytes, start: int, end: int) -> int:
    """Where the word that begins at `start` meets its space; -1 for an empty one, other white space, or no space."""
    for at in range(start, end):
        character = byte_at(data, at)
        if character <= _SPACE:
            if character == _SPACE:
                return at if at > start else -1
            if 9 <= character <= 13 or character == _SEPARATOR:
                return -1
    return -1
