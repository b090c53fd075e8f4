"""The regular expression of a filter -> a condition that both databases decide alike, and in bounded time."""

import re
from collections.abc import Iterator
from enum import Enum

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import InstrumentedAttribute

from cloud.errors import BadRequestError

MAX_LENGTH = 255
MAX_ALTERNATIVES = 20


class _Wildcard(Enum):
    ONE = "?"
    ANY = "*"


_ONE, _ANY = _Wildcard.ONE, _Wildcard.ANY
_Token = str | _Wildcard  # a sign that stands for itself, or one that stands for others
_ALTERNATIVE = re.compile(r"(?:[^\\|]|\\.)*", re.DOTALL)
_PIECE = re.compile(
    r"(?P<any>\.\*)|(?P<some>\.\+)|(?P<one>\.)|\\(?P<escaped>[^0-9A-Za-z])|(?P<literal>[^][+\\(){}*?.^$])", re.DOTALL
)


def matches(
    column: InstrumentedAttribute[str], pattern: str, *, is_sqlite: bool, is_from_start: bool = False
) -> ColumnElement[bool]:
    """Whether the pattern is found in the column, or at its beginning; upper and lower case are told apart.

    Of regular expressions these are read: `.`, `.*`, `.+`, `^` at the beginning, `$` at the end, `|` between whole
    patterns, and a backslash before a sign that stands for itself. What else has a meaning in one is a BadRequestError:
    the two databases would read it differently, and SQLite's way, Python's `re`, may never come to an end.
    """
    if len(pattern) > MAX_LENGTH:
        raise BadRequestError(f"cannot filter by a pattern of {len(pattern)} characters: it has at most {MAX_LENGTH}")
    alternatives = list(_alternatives(pattern))
    if len(alternatives) > MAX_ALTERNATIVES:
        raise BadRequestError(f"cannot filter by pattern {pattern!r}: it has more than {MAX_ALTERNATIVES} alternatives")
    conditions = []
    for alternative in alternatives:
        tokens = list(_tokens(alternative, is_from_start=is_from_start))
        # GLOB, since SQLite's LIKE takes upper and lower case for the same.
        conditions.append(
            column.bool_op("GLOB")("".join(map(_in_glob, tokens)))
            if is_sqlite
            else column.like("".join(map(_in_like, tokens)), escape="/")
        )
    return or_(*conditions)


def _alternatives(pattern: str) -> Iterator[str]:
    position = 0
    while True:
        found = _ALTERNATIVE.match(pattern, position)
        end = position if found is None else found.end()
        if end < len(pattern) and pattern[end] != "|":
            raise BadRequestError(f"cannot filter by pattern {pattern!r}: it ends with a backslash")
        yield pattern[position:end]
        if end == len(pattern):
            return
        position = end + 1


def _tokens(alternative: str, *, is_from_start: bool) -> Iterator[_Token]:
    rest = alternative.removeprefix("^")
    if rest == alternative and not is_from_start:
        yield _ANY
    is_to_end = _ends_with_anchor(rest)
    end = len(rest) - is_to_end
    position = 0
    while position < end:
        piece = _PIECE.match(rest, position, end)
        if piece is None:
            raise BadRequestError(
                f"cannot filter by pattern {alternative!r}: of regular expressions only . .* .+ ^ $ | and \\ before a "
                "sign are read"
            )
        match piece.lastgroup:
            case "any":
                yield _ANY
            case "some":
                yield from (_ONE, _ANY)
            case "one":
                yield _ONE
            case _:
                yield piece["escaped"] or piece["literal"]
        position = piece.end()
    if not is_to_end:
        yield _ANY


def _ends_with_anchor(text: str) -> bool:
    """Whether the last sign is a `$`, and stands for the end: an even number of backslashes is before it."""
    before = text.removesuffix("$")
    return before != text and (len(before) - len(before.rstrip("\\"))) % 2 == 0


def _in_glob(token: _Token) -> str:
    if isinstance(token, _Wildcard):
        return token.value
    return f"[{token}]" if token in set("*?[") else token


def _in_like(token: _Token) -> str:
    if isinstance(token, _Wildcard):
        return {_ONE: "_", _ANY: "%"}[token]
    return f"/{token}" if token in set("/%_") else token
