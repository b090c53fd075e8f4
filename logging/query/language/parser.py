"""From the text of a query to its tree."""

import re
from functools import cache
from typing import cast

from lark import Lark
from lark.exceptions import UnexpectedInput

from cloud.logs.query.language.builder import TreeBuilder
from cloud.logs.query.language.expected import explained
from cloud.logs.query.language.limits import MAX_TEXT_CHARS, Limits
from cloud.logs.query.language.query import Query, QueryError

_NEVER = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def parse(text: str) -> Query:
    """The query that `text` says; an empty one wants all rows.

    `QueryError` for a text that is no query, and for one over the limits, which costs little whatever it is.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise QueryError(
            f"a query has at most {MAX_TEXT_CHARS} characters, this one has {len(text)}", MAX_TEXT_CHARS + 1
        )
    if found := _NEVER.search(text):
        raise QueryError(f"a query cannot hold the character U+{ord(found[0]):04X}", found.start() + 1)
    try:
        return cast("Query", _parser().parse(text))  # lark knows nothing of what the builder makes
    except UnexpectedInput as exc:
        raise explained(text, exc) from None


@cache
def _parser() -> Lark:
    """Made when it is first needed, which takes a while; any number of threads may use it."""
    return Lark.open(
        "grammar.lark", rel_to=__file__, parser="lalr", lexer="contextual", postlex=Limits(), transformer=TreeBuilder()
    )
