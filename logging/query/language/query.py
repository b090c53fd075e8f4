"""A query as a tree: a condition on rows, and what is made of the rows that it wants."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TypeAlias


class QueryError(Exception):
    """A query that cannot be answered: what is wrong, where, and what would have been right there."""

    def __init__(self, message: str, column: int, expected: Iterable[str] = ()) -> None:
        super().__init__(f"cannot read query at column {column}: {message}")
        self.message = str(self)
        self.column = column
        """Of the character, from 1."""
        self.expected = tuple(expected)
        """In words; empty where there is no such list."""


@dataclass(frozen=True, slots=True)
class Name:
    """What a condition or a stage is about: a column of the row, or a key of its fields where `is_field`."""

    text: str
    """One of `names.COLUMNS`, or the key."""
    is_field: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """These characters: all of what a column has, and for `message` a part of it."""

    text: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written, without quotation marks; in columns of text it is its characters."""

    text: str


class Wild(Enum):
    """What stands for other characters."""

    ONE = "?"
    MANY = "*"


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Characters and what stands for others; never characters alone."""

    parts: tuple[str | Wild, ...]


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression of RE2, found anywhere in the text, whose case counts."""

    pattern: str


Value: TypeAlias = Text | Number
Pattern: TypeAlias = Text | Number | Wildcard | Regex


class Order(StrEnum):
    """How a comparison is written."""

    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class Compare:
    """Values on one side of another."""

    order: Order
    value: Value


@dataclass(frozen=True, slots=True)
class Between:
    """Values from `low` to `high`; None is an open end, and never both are."""

    low: Value | None
    high: Value | None
    with_low: bool = True
    with_high: bool = True


@dataclass(frozen=True, slots=True)
class Exists:
    """Any value at all."""


Test: TypeAlias = Pattern | Compare | Between | Exists


@dataclass(frozen=True, slots=True)
class Term:
    """One condition; without a name on the texts that plain words are looked for in."""

    name: Name | None
    test: Test
    column: int = field(default=1, compare=False)
    """Where the query has it, for errors."""


@dataclass(frozen=True, slots=True)
class Not:
    condition: "Condition"


@dataclass(frozen=True, slots=True)
class And:
    """Two conditions or more."""

    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """Two conditions or more."""

    conditions: "tuple[Condition, ...]"


Condition: TypeAlias = Term | Not | And | Or


@dataclass(frozen=True, slots=True)
class CountBy:
    """How many rows there are: for each combination of values of `names`, and each interval of `interval_s`."""

    names: tuple[Name, ...]
    interval_s: float | None = None


@dataclass(frozen=True, slots=True)
class Top:
    """The `n` most frequent values of a name, with how many rows have them."""

    n: int
    name: Name


Stage: TypeAlias = CountBy | Top


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows are wanted, None for all, and what is made of them; without a stage they are the answer."""

    condition: Condition | None
    stages: tuple[Stage, ...] = ()
