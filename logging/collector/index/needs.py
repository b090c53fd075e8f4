"""What the texts of a row must hold for it to be wanted: all that an index has to know of a condition."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Holds:
    """One of the texts holds this somewhere, in whatever case."""

    text: str
    """Printable ASCII in lower case."""


@dataclass(frozen=True, slots=True)
class AllOf:
    needs: "tuple[Need, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    needs: "tuple[Need, ...]"


Need: TypeAlias = Holds | AllOf | AnyOf
"""Necessary and no more: a row that meets it need not be wanted. None in its place says nothing about any row."""


def all_of(needs: Sequence[Need | None]) -> Need | None:
    """What rows must meet of which each of `needs` is true."""
    known = tuple(dict.fromkeys(need for need in needs if need is not None))
    return AllOf(known) if len(known) > 1 else known[0] if known else None


def any_of(needs: Sequence[Need | None]) -> Need | None:
    """What rows must meet of which one of `needs` is true."""
    known = tuple(dict.fromkeys(need for need in needs if need is not None))
    if not needs or None in needs:
        return None
    return AnyOf(known) if len(known) > 1 else known[0]


def holdings(need: Need) -> Iterator[Holds]:
    """Every text that `need` names."""
    match need:
        case Holds():
            yield need
        case AllOf(needs) | AnyOf(needs):
            for each in needs:
                yield from holdings(each)
