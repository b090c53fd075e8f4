"""Whatever is sent as a query is answered or refused soon, and no stack grows with it."""

import re
import sys
import time
from collections.abc import Iterator

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.language.compiler import compile_where
from cloud.logs.query.language.parser import parse
from cloud.logs.query.language.query import QueryError
from cloud.logs.query.language.regexes import MAX_REGEX_CHARS, check_regex
from cloud.logs.query.language.writing import text_of
from tests.query.language.asking import row_ids

SOON_S = 0.2
MIB = 1 << 20

TOO_MUCH = {
    "10,000 ORs": (" OR ".join(["a"] * 10_000), "at most 16384 characters"),
    "10,000 short words": ("a " * 8_000, "at most 256 conditions"),
    "10,000 parentheses": ("(" * 10_000, "at most 32 times"),
    "10,000 closed parentheses": ("(" * 8_000 + "a" + ")" * 8_000, "at most 32 times"),
    "10,000 closing parentheses": (")" * 10_000, "expected a condition"),
    "10,000 NOTs": ("NOT " * 4_000 + "a", "at most 32 times"),
    "10,000 minus signs": ("-" * 10_000 + "a", "expected a condition right behind the -"),
    "NOT and parentheses": ("NOT (" * 3_000, "at most 32 times"),
    "a list within a list": ("x:" + "(" * 10_000 + "a", "at most 32 times"),
    "a list of 300": (f"x:({' OR '.join(map(str, range(300)))})", "at most 256 conditions"),
    "a megabyte": ("a" * MIB, "at most 16384 characters"),
    "a megabyte of quotation marks": ('"' * MIB, "at most 16384 characters"),
    "an open string": ('"' + "a" * 16_000, 'expected another "'),
    "an open string of escapes": ('"' + "\\\\" * 8_000, 'expected another "'),
    "8,000 open strings": ('\\" ' * 5_000 + '"', "at most 256 conditions"),
    "an open regular expression": ("/" + "a" * 16_000, "ends with a slash"),
    "an open regular expression of escapes": ("/" + "\\/" * 8_000, "ends with a slash"),
    "slashes": ("/" * 16_000, "ends with a slash"),
    "colons": (":" * 16_000, "a colon stands behind"),
    "a name without an end": ("a" * 16_000 + ":", "right behind the colon"),
    "a long name": ("a" * 16_000 + ":b", "a name has at most 200 characters"),
    "backslashes": ("\\" * 15_999, "expected a character behind the backslash"),
    "wildcards": ("*a" * 8_000, "at most 16 wildcards"),
    "regular expressions": ("/a/ " * 9, "at most 8 regular expressions"),
    "brackets": ("[" * 16_000, 'begins with "["'),
    "ranges": ("x:[1 TO 2] " * 1_400, "at most 256 conditions"),
    "blanks": (" " * 16_383 + ")", "expected a condition"),
    "groups": ("| count by " + ",".join(["a"] * 8_000), "at most 8 names"),
    "a long word": ("a" * 16_000, "at most 1000 characters"),
    "a long wildcard": ("a" * 16_000 + "?", "at most 1000 characters"),
    "a long regular expression": (f"/{'a' * 16_000}/", "at most 256 characters"),
    "control characters": ("\x01" * 16_000, "U+0001"),
    "directions": ("\u202e)" * 8_000, 'expected "|" or the end'),
}


@pytest.fixture(scope="module", autouse=True)
def _grammar() -> None:
    parse("")  # reads it, as a server does when it starts


@pytest.fixture
def _shallow() -> Iterator[None]:
    """Room for a few calls only."""
    depth = len(_frames())
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 150)
    yield
    sys.setrecursionlimit(before)


def _frames() -> list[object]:
    frames: list[object] = []
    frame = sys._getframe()
    while frame.f_back is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


@pytest.mark.usefixtures("_shallow")
@pytest.mark.parametrize(("text", "message"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_too_much_is_refused_soon(text: str, message: str) -> None:
    started = time.process_time()
    with pytest.raises(QueryError, match=re.escape(message)) as caught:
        compile_where(parse(text).condition)
    assert time.process_time() - started < SOON_S
    assert len(str(caught.value)) < 400


def _as_large_as_it_may_be() -> Iterator[tuple[str, int]]:
    nested = "NOT (row_id:1 " * 16 + ")" * 16
    yield nested, 40
    yield " OR ".join(f"row_id:{number}" for number in range(1, 257)), 40
    yield " ".join(f"NOT fields.k{number}:{number}" for number in range(256)), 40
    yield " ".join(["*"] * 256), 40
    yield " ".join(f"-zzz{number}" for number in range(256)), 40
    yield f"host:({' OR '.join(f'{number}*?' for number in range(256))})", 0
    yield f'"{"%" * 1_000}"', 0
    yield f'host:"{"a" * 16_000}"', 0


@pytest.mark.parametrize(("text", "found"), list(_as_large_as_it_may_be()))
def test_the_largest_queries_are_answered(store: DuckDbStore, text: str, found: int) -> None:
    query = parse(text)
    assert parse(text_of(query)) == query
    assert len(row_ids(store, compile_where(query.condition))) == found


@pytest.mark.parametrize("pattern", ["(x+x+)+y", "(a|a)*b", "(.*)*$", ".*.*.*.*.*=.*", "(a?){30}a{30}", "([a-z]+)*!"])
def test_a_regular_expression_that_backtracks_elsewhere_runs_in_time(store: DuckDbStore, pattern: str) -> None:
    started = time.process_time()
    row_ids(store, compile_where(parse(f"message:/{pattern}/").condition))
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "pattern",
    [
        ".{999}.{999}",
        r"(?:\pL{16}){16}",
        r"(\pL|\pN){0,250}z",
        "(.{40}){40}",
        "((a{30}){30}){30}",
        "[^a]{900}",
        r"[\p{Greek}x]{99}",
        r"\x{41}{999}" * 3,
        "(?P<n>.{20}){20}",
        "(?i:a{999}){3}",
    ],
)
def test_a_regular_expression_that_would_be_slow_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="repeats too much"):
        check_regex(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}",
        r"(\d{1,3}\.){3}\d{1,3}",
        r"^(GET|POST) /v2/\w+/servers(/[^/ ]+)? ",
        r"\p{Greek}+|\pL+",
        r"[[:upper:]]{3}[]a][^]a][\]\\]",
        r"\Q({[*\E",
        "a{,5}{",
        "x" * MAX_REGEX_CHARS,
    ],
)
def test_a_usual_regular_expression_is_taken(pattern: str) -> None:
    check_regex(pattern)
