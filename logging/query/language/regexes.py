"""Regular expressions that a store can afford: RE2 runs in time linear to the text, but that times their size."""

import re
from functools import cache
from typing import Final

import duckdb

MAX_REGEX_CHARS: Final = 256
MAX_REGEX_SIZE: Final = 2_000
"""In states, about: a row of 200 bytes then takes well below a millisecond, and a stop is heard soon."""
_CLASS_STATES = 8
"""Of a class, as texts are read byte by byte."""
_WIDE_STATES = 400
"""Of a class of Unicode, such as all letters."""

_PIECE = re.compile(
    r"\\[pP](?:\{[^}]*\}|.)"  # a class of Unicode
    r"|\\Q.*?(?:\\E|\Z)"
    r"|\\x\{[^}]*\}|\\."
    r"|\[\^?\]?(?:\[:\^?\w+:\]|\\[pP](?:\{[^}]*\}|.)|\\.|[^\]\\])*\]"
    r"|\(\?[A-Za-z-]*\)|\(\?P?<\w+>|\(\?[A-Za-z-]*:|[()]"
    r"|\{[0-9]+(?:,[0-9]*)?\}|[+*?]|.",
    re.DOTALL,
)
_COUNTS = re.compile(r"\{([0-9]{1,4})(?:,([0-9]{0,4}))?\}")


def check_regex(pattern: str) -> None:
    """`ValueError` for what RE2 does not take, and for what would cost more than a search may."""
    if len(pattern) > MAX_REGEX_CHARS:
        raise ValueError(f"a regular expression has at most {MAX_REGEX_CHARS} characters, this one has {len(pattern)}")
    if _size(pattern) > MAX_REGEX_SIZE:
        raise ValueError("the regular expression repeats too much: use *, + or smaller counts")
    try:
        with _engine().cursor() as connection:
            connection.execute("SELECT regexp_matches('', $pattern)", {"pattern": pattern}).fetchall()
    except duckdb.Error as exc:
        cause = str(exc).removeprefix("Invalid Input Error: ").removeprefix("Invalid Error: ")
        raise ValueError(f"RE2 does not take the regular expression: {cause}") from exc


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    """One without data, since to open it takes longer than all that it is asked; each check has a cursor of its own."""
    return duckdb.connect(config={"threads": 1, "memory_limit": "64MB", "enable_external_access": False})


def _size(pattern: str) -> int:
    """About how many states RE2 makes of the pattern, rather too many than too few."""
    groups = [[0]]  # of each open parenthesis, the sizes of what stands in it so far
    for found in _PIECE.finditer(pattern):
        piece = found[0]
        sizes = groups[-1]
        if piece == ")":
            if len(groups) > 1:
                inner = sum(groups.pop())
                groups[-1].append(inner + 2)
        elif piece.startswith("(") and not re.fullmatch(r"\(\?[A-Za-z-]*\)", piece):
            groups.append([0])
        elif counts := _COUNTS.fullmatch(piece):
            sizes[-1] *= max(1, int(counts[1]), int(counts[2] or 0))
        elif piece in ("*", "+", "?"):
            sizes[-1] += 1
        else:
            sizes.append(_piece_size(piece))
    return sum(map(sum, groups))


def _piece_size(piece: str) -> int:
    if piece.startswith("\\Q"):
        return len(piece)
    if piece[:2] in ("\\p", "\\P"):
        return _WIDE_STATES
    if piece.startswith("["):
        return _CLASS_STATES + _WIDE_STATES * len(re.findall(r"\\[pP]", piece)) + len(piece)
    return _CLASS_STATES if piece in (".", "\\D", "\\S", "\\W", "\\C") else 2
