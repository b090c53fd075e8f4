"""Many values -> statements that each name a bounded number of them: both drivers have a limit."""

from collections.abc import Collection, Iterator, Sequence

MAX_PARAMETERS = 5000
"""In one statement; SQLite takes 32766 and psycopg 65535."""


def batches(values: Collection[str]) -> Iterator[Sequence[str]]:
    """The values in their order, so many at a time; one batch for any list that the API gives."""
    rest = tuple(values)
    for first in range(0, len(rest), MAX_PARAMETERS):
        yield rest[first : first + MAX_PARAMETERS]
