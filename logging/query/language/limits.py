"""What a query may be in size, checked on the way from the lexer to the parser: nothing deeper is ever built."""

from collections.abc import Iterator
from typing import Final

from lark import Token

from cloud.logs.query.language.query import QueryError

MAX_TEXT_CHARS: Final = 16_384
MAX_CONDITIONS: Final = 256
MAX_DEPTH: Final = 32
"""Of parentheses and NOT within each other."""
MAX_REGEXES: Final = 8
MAX_GROUPS: Final = 8
"""Names of one `count by`."""

_CONDITIONS = frozenset({"WORD", "STRING", "REGEX", "VALUE", "RANGE_START"})


class Limits:
    """Passes on what a lexer finds, up to the limits."""

    always_accept = ()

    def process(self, tokens: Iterator[Token]) -> Iterator[Token]:
        conditions = regexes = groups = 0
        negations = [0]  # how many lie around what comes next, per level of parentheses
        for token in tokens:
            kind = token.type
            position = (token.start_pos or 0) + 1
            if kind in _CONDITIONS:
                conditions += 1
                regexes += kind == "REGEX"
                negations[-1] = 0
                if conditions > MAX_CONDITIONS:
                    raise QueryError(f"a query has at most {MAX_CONDITIONS} conditions", position)
                if regexes > MAX_REGEXES:
                    raise QueryError(f"a query has at most {MAX_REGEXES} regular expressions", position)
            elif kind in ("NOT", "MINUS"):
                negations[-1] += 1
            elif kind == "LPAR":
                negations.append(0)
            elif kind == "_RPAR" and len(negations) > 1:
                negations.pop()
                negations[-1] = 0
            elif kind == "_COMMA":
                groups += 1
                if groups > MAX_GROUPS:  # and there may be an interval among them
                    raise QueryError(f"rows are counted by at most {MAX_GROUPS} names and one interval", position)
            if len(negations) - 1 + sum(negations) > MAX_DEPTH:
                raise QueryError(f"parentheses and NOT lie within each other at most {MAX_DEPTH} times", position)
            yield token
