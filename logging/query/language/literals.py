"""Words, phrases and regular expressions: from how a query writes them to what they say, and back."""

import re

from cloud.logs.query.language.query import Number, Pattern, QueryError, Regex, Text, Value, Wild, Wildcard

MAX_WILDS = 16
"""In one word."""

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_PIECE = re.compile(r"\\(.)|([*?])|([^\\*?]+)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_QUOTED = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
_BARE = re.compile(r"[\w.@#$%;,^~][\w.@#$%;,^~=+&'/-]*")
"""What needs no quotation marks, wherever a value or a word may stand."""
_KEYWORDS = frozenset({"and", "or", "not", "to"})


def pattern_of(word: str, column: int) -> Pattern:
    """A word without quotation marks: a number, a text, or a text with wildcards; a backslash takes a sign as it is."""
    if _NUMBER.fullmatch(word):
        return Number(str(word))  # without what the lexer noted of it
    parts: list[str | Wild] = []
    wilds = 0
    for found in _PIECE.finditer(word):
        escaped, wild, plain = found.groups()
        if wild:
            wilds += 1
            parts.append(Wild(wild))
            continue
        if escaped is not None and (escaped.isalnum() or escaped == "_"):
            raise QueryError(
                rf"there is no escape \{escaped}: write \\ for a backslash, /.../ for a regular expression",
                column + found.start(),
            )
        piece = plain if escaped is None else escaped
        if parts and isinstance(parts[-1], str):
            parts[-1] += piece
        else:
            parts.append(piece)
    if wilds > MAX_WILDS:
        raise QueryError(f"a word has at most {MAX_WILDS} wildcards", column)
    if wilds:
        return Wildcard(tuple(parts))
    return Text("".join(part for part in parts if isinstance(part, str)))


def text_of_string(string: str, column: int) -> str:
    """What stands between quotation marks."""

    def unescape(found: re.Match[str]) -> str:
        if found[1] not in _QUOTED:
            raise QueryError(
                rf"there is no escape \{found[1]} between quotation marks: write \\ for a backslash, \" for a mark",
                column + 1 + found.start(),
            )
        return _QUOTED[found[1]]

    return _ESCAPE.sub(unescape, string[1:-1])


def regex_of(regex: str) -> Regex:
    """What stands between slashes; only `\\/` is the query's own escape."""
    return Regex(_ESCAPE.sub(lambda found: "/" if found[1] == "/" else found[0], regex[1:-1]))


def quoted(text: str) -> str:
    """`text` between quotation marks."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r") + '"'


def written_value(value: Value) -> str:
    """A value as a query writes it, without quotation marks where it needs none."""
    text = value.text
    if isinstance(value, Number):
        return text
    return quoted(text) if _NUMBER.fullmatch(text) else written_word(text)


def written_word(text: str) -> str:
    """A text as a query writes it where there are no numbers."""
    return text if _BARE.fullmatch(text) and text.lower() not in _KEYWORDS else quoted(text)


def written_pattern(pattern: Pattern) -> str:
    """A pattern as a query writes it."""
    if isinstance(pattern, Regex):
        return "/" + re.sub(r"\\.|/", lambda found: "\\/" if found[0] == "/" else found[0], pattern.pattern) + "/"
    if isinstance(pattern, Wildcard):
        return "".join(part.value if isinstance(part, Wild) else _escaped(part) for part in pattern.parts)
    return written_value(pattern)


def _escaped(text: str) -> str:
    """A part of a word with wildcards: letters and digits as they are, a backslash in front of signs."""
    return "".join(sign if sign.isalnum() or sign == "_" else f"\\{sign}" for sign in text)
