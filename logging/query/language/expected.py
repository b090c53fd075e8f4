"""What a parser could not read, in words that help: what it found, what was expected, and what may have been meant."""

import re
from collections.abc import Iterable

from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from cloud.logs.query.language.query import QueryError

_WORDS = {
    "WORD": "a condition",
    "NAME": "a condition",
    "VALUE": "a value",
    "RANGE_VALUE": "a value",
    "ORDER": "a comparison",
    "RANGE_START": "a range",
    "_RPAR": '")"',
    "_TO": "TO",
    "RANGE_END": '"]" or "}"',
    "_OR": "OR",
    "_AND": "AND",
    "_PIPE": '"|"',
    "COUNT": "count",
    "_TOP": "top",
    "_BY": "by",
    "_COMMA": '","',
    "NUMBER": "a number",
    "INTERVAL": "an interval (5m)",
    "STAGE_NAME": "a name",
    "$END": "the end",
}
"""In the order in which they are said; what has no words here goes without saying."""

_HINTS = (
    (r'"', 'the text in quotation marks has no end: expected another " behind it'),
    (r"/", "a regular expression ends with a slash and nothing behind it: write a path in quotation marks"),
    (r"(?!AND|OR|NOT)(?i:and|or|not)(?=[\s()|\"]|$)", "write {upper} for the operator, {quoted} for the word"),
    (r"&&?", 'write AND, or "&" in quotation marks'),
    (r"(?<=\|)\|", 'write OR, or "||" in quotation marks'),
    (r"!", "write NOT or - in front of what is not wanted"),
    (r"\+", "all conditions must hold anyway: leave out the +, or write the text in quotation marks"),
    (r"['“„]", 'a text stands between marks like these: "'),
    (r"-", "expected a condition right behind the -; write a text that begins with one in quotation marks"),
    (r":(?=\s|$)", "expected a value right behind the colon; write a text that has one in quotation marks"),
    (r":", "a colon stands behind a name and in front of a value; write a text that has one in quotation marks"),
    (r"\\$", "expected a character behind the backslash"),
    (r"[\[\]{}<>=]", "write a text that begins with {quoted} in quotation marks"),
)
"""What stands where nothing could be read, and what to say of it."""
_FOUND = re.compile(r'[A-Za-z_@][\w@.-]*:|[^\s"()|:]+|.', re.DOTALL)


def explained(text: str, exc: UnexpectedInput) -> QueryError:
    """The error of `exc`, which lark found in `text`."""
    names: Iterable[str] = ()
    position = len(text)
    if isinstance(exc, UnexpectedToken):
        names = exc.accepts or exc.expected
        if exc.token.type != "$END":
            position = exc.token.start_pos or 0
    elif isinstance(exc, UnexpectedCharacters):
        names = exc.allowed or ()
        position = getattr(exc, "pos_in_stream", position)  # an int, whatever the base class says
    words = _words(names)
    found = match[0][:40] if (match := _FOUND.match(text, position)) else "the end"
    for pattern, hint in _HINTS:
        if hinted := re.compile(pattern).match(text, position):
            said = {"upper": hinted[0].upper(), "quoted": f'"{hinted[0]}"'}
            return QueryError(hint.format(**said), position + 1, words)
    shown = found if position == len(text) else f'"{found}"'
    return QueryError(f"expected {_listed(words)}, found {shown}", position + 1, words)


def _words(terminals: Iterable[str]) -> tuple[str, ...]:
    among = set(terminals)
    return tuple(dict.fromkeys(word for terminal, word in _WORDS.items() if terminal in among))


def _listed(words: tuple[str, ...]) -> str:
    return " or ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else "".join(words) or "something else"
