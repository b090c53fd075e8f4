"""An operator's own patterns for secrets: RE2, in time linear to the text, and what they make of texts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from cloud.logs.collector.storage.engine import quoted
from cloud.logs.emit.redact import MARK

MAX_PATTERNS: Final = 32
MAX_PATTERN_CHARS: Final = 500
MAX_INNER_GROUPS: Final = 6  # RE2's replacement has names for nine
MAX_TEXT_BYTES: Final = 16 << 20  # to which texts may grow on their way through the patterns
MEMORY_LIMIT: Final = "128MB"
_ANYWHERE = "(?:)"
_FLAGS = re.compile(r"\(\?[imsU-]+\)")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:Q.*?(?:\\E|\Z)|.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern, ready for DuckDB."""

    relaxed: str
    """Matches wherever it does, and where it would if a text began and ended anywhere."""
    replace: str
    """The same with groups for what stays in front of and behind the mark, where it has a group."""
    rewrite: str
    """What RE2 puts in the place of a match of `replace`."""

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """`ValueError` for what RE2 does not take, for a group that may be left out, and for what may match nothing."""
        if not 0 < len(text) <= MAX_PATTERN_CHARS:
            raise ValueError(f"a pattern has 1 to {MAX_PATTERN_CHARS} characters, this one {len(text)}")
        with duckdb.connect() as connection:
            _try(connection, text)
            parts = _parts(text)
            if parts.group is None:
                return cls(parts.relaxed, text, MARK)
            body, (start, end) = parts.body_start, parts.group
            replace = f"{text[:body]}({text[body:start]}){text[start:end]}({text[end:]})"
            _try(connection, replace)
            return cls(parts.relaxed, replace, rf"\1{MARK}\{3 + parts.inner_groups}")


def checked_pattern(text: str) -> str:
    """`text`; `ValueError` for a pattern that cannot be used."""
    Pattern.parse(text)
    return text


def _compile(connection: duckdb.DuckDBPyConnection, pattern: str) -> None:
    try:
        connection.execute(f"SELECT regexp_matches('', {quoted(pattern)})").fetchall()
    except (duckdb.Error, UnicodeError) as exc:
        raise ValueError(f"RE2 does not take it: {str(exc).removeprefix('Invalid Input Error: ')}") from exc


def _try(connection: duckdb.DuckDBPyConnection, pattern: str) -> None:
    _compile(connection, pattern)
    sql = (
        "SELECT bool_or(regexp_matches(t, $pattern) AND regexp_extract(t, $pattern) = '')"
        " FROM (VALUES (''), ('a'), ('a 1')) AS texts(t)"
    )
    [(is_empty,)] = connection.execute(sql.replace("$pattern", quoted(pattern))).fetchall()
    if is_empty:
        raise ValueError("it matches where there is nothing, and would put a mark between all letters")


@dataclass(frozen=True, slots=True)
class _Parts:
    body_start: int
    """Behind flags for the whole pattern."""
    group: tuple[int, int] | None
    """Where the first group begins and ends, its parentheses included."""
    inner_groups: int
    """How many groups there are inside of that."""
    relaxed: str


def _parts(text: str) -> _Parts:
    """Where things are in a pattern that RE2 takes; `ValueError` for a first group that may be left out of a match."""
    leading = _FLAGS.match(text)
    at = body_start = leading.end() if leading else 0
    depth = inner_groups = 0
    start = end = group_depth = -1
    has_alternatives = has_flags = False
    relaxed = [text[:body_start]]
    while at < len(text):
        if match := _ESCAPE.match(text, at):
            relaxed.append(_ANYWHERE if match[0] in (r"\A", r"\z") else match[0])
            at = match.end()
        elif match := _CLASS.match(text, at):
            relaxed.append(match[0])
            at = match.end()
        elif match := _FLAGS.match(text, at):
            has_flags = True
            relaxed.append(match[0])
            at = match.end()
        else:
            character = text[at]
            relaxed.append(_ANYWHERE if character in "^$" else character)
            if character == "(":
                depth += 1
                if text[at + 1] != "?" or text.startswith(("(?P<", "(?<"), at):
                    if start < 0:
                        start, group_depth = at, depth
                    elif end < 0:
                        inner_groups += 1
            elif character == ")":
                if depth == group_depth and end < 0:
                    end = at + 1
                depth -= 1
            elif character == "|" and depth == 0:
                has_alternatives = True
            at += 1
    if start < 0:
        return _Parts(body_start, None, 0, "".join(relaxed))
    if has_alternatives or group_depth > 1 or text[end : end + 1] in ("?", "*", "+", "{"):
        raise ValueError("its group may be left out of a match, or repeat: write alternatives as patterns of their own")
    if has_flags:
        raise ValueError("with a group, flags such as (?i) stand at the very beginning")
    if inner_groups > MAX_INNER_GROUPS:
        raise ValueError(f"its group holds more than {MAX_INNER_GROUPS} others: write (?:...) for those")
    return _Parts(body_start, (start, end), inner_groups, "".join(relaxed))


class Patterns:
    """Patterns, applied one after the other by an engine of their own; from one thread."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """`ValueError` for a pattern that cannot be used."""
        self._patterns = [Pattern.parse(each) for each in patterns]
        self._any = "|".join(f"(?:{each.relaxed})" for each in self._patterns)
        if len(self._patterns) > MAX_PATTERNS:
            raise ValueError(f"there are at most {MAX_PATTERNS} patterns, not {len(self._patterns)}")
        if self._patterns:
            with duckdb.connect() as connection:
                _compile(connection, self._any)
        self._connection: duckdb.DuckDBPyConnection | None = None

    def matching(self, text: str) -> str:
        """SQL: whether a pattern matches in `text`, an expression."""
        return f"coalesce(regexp_matches({text}, {quoted(self._any)}), false)"

    def find(self, table: pa.Table, condition: str) -> list[int]:
        """The rows of `table` for which `condition`, SQL, is true."""
        [column] = self._query(table, f"SELECT coalesce({condition}, false) AS found FROM texts").columns  # noqa: S608 - ours
        return np.flatnonzero(column.to_numpy()).tolist()

    def apply(self, texts: Sequence[str]) -> list[str | None]:
        """`texts` with the mark in place of what the patterns match; None for one that has grown beyond all bounds."""
        sql = "SELECT text FROM texts"
        for each in self._patterns:
            arguments = f"text, {quoted(each.replace)}, {quoted(each.rewrite)}, 'g'"
            replaced = f"CASE WHEN strlen(text) <= {MAX_TEXT_BYTES} THEN regexp_replace({arguments}) END"
            sql = f"SELECT {replaced} AS text FROM ({sql})"  # noqa: S608 - quoted
        answer: list[str | None] = self._query(pa.table({"text": pa.array(texts, pa.string())}), sql)[0].to_pylist()
        return answer

    def reset(self) -> None:
        """Begin with a new engine, after an error: it may have given up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _query(self, table: pa.Table, sql: str) -> pa.Table:
        if self._connection is None:
            self._connection = duckdb.connect()
            for name, value in (("threads", 1), ("memory_limit", MEMORY_LIMIT), ("enable_external_access", False)):
                self._connection.execute(f"SET GLOBAL {name} = ?", [value])
        self._connection.register("texts", table)
        try:
            return self._connection.execute(sql).to_arrow_table()
        finally:
            self._connection.unregister("texts")  # or the batch's buffer would be held until the next one
