"""From a query's condition to what the texts of the rows it wants must hold: what an index can find them by.

Rather too little than too much: of what is taken in here a wanted row must have all, and what is left out is looked for
in the rows that are found.
"""

import re

from cloud.logs.collector.index.grams import GRAM_BYTES
from cloud.logs.collector.index.needs import Holds, Need, all_of, any_of
from cloud.logs.query.language.query import And, Condition, Name, Not, Number, Or, Term, Text, Wildcard

_PLAIN = re.compile(r"[ !#-\[\]-~]+")
"""Characters of which each is the same in JSON and outside, and which regular expressions without case take for no
others than its own small and capital letter, the Kelvin sign and the long s."""
_NUMBER = re.compile(r"(?:^|(?<=[:\[,]))[-+.0-9eE]+(?=$|[,\]}])")
"""What may be a number of JSON, or a part of one: DuckDB may write it in another way than it is stored."""
_TEXTS = frozenset({Name("message"), Name("request_id"), Name("instance")})


def need_of(condition: Condition | None) -> Need | None:
    """What rows must hold for `condition` to want them; None where that is not known."""
    match condition:
        case Term():
            return _of_term(condition)
        case And(conditions):
            return all_of([need_of(each) for each in conditions])
        case Or(conditions):
            return any_of([need_of(each) for each in conditions])
        case Not() | None:
            return None


def holding(text: str) -> Need | None:
    """What a text must hold, in whatever case, that has `text` in it."""
    return all_of([Holds(part.lower()) for part in _PLAIN.findall(text) if len(part) >= GRAM_BYTES])


def _of_term(term: Term) -> Need | None:
    match term.test:
        case Text(text) | Number(text) if term.name in _TEXTS:
            return holding(text)
        case Text(text) if term.name is None and text == "".join(_PLAIN.findall(text)):
            return holding(text)  # found in the fields only where they hold it as they are stored
        case Text(text) if term.name is None or term.name.is_field:
            return _holding_in_value(text)
        case Wildcard(parts):
            texts = [part for part in parts if isinstance(part, str)]
            if term.name in _TEXTS:
                return all_of([holding(text) for text in texts])
            if term.name is None or term.name.is_field:
                return all_of([_holding_in_value(text) for text in texts])
    return None


def _holding_in_value(text: str) -> Need | None:
    """As `holding`, of what is found in values of JSON as DuckDB writes them."""
    parts = (part for plain in _PLAIN.findall(text) for part in _NUMBER.split(plain))
    return all_of([holding(part) for part in parts])
