"""Names of the data directory's files: which day, which rows, how often rewritten."""

import re
from dataclasses import dataclass
from typing import Self

_NAME = re.compile(r"logs-(\d{4}-\d\d-\d\d)(?:-(\d{12,19})-(\d{1,9}))?\.duckdb")
UNFINISHED = "unfinished-"
"""What the name of a file begins with until it is whole."""
DAMAGED = ".damaged"
"""What the name of a file that was set aside ends in, but for a number."""


@dataclass(frozen=True, slots=True, order=True)
class FileName:
    """`logs-2026-01-31-000000000123-0.duckdb`; without its two numbers in the first version."""

    day: str
    first: int
    """The lowest row_id that it can hold; 0 where the name does not say."""
    generation: int
    """0 as received; a file that was made of others has a higher one than they."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The name `text` is, or None for a file of somebody else."""
        match = _NAME.fullmatch(text)
        return cls(match[1], int(match[2] or 0), int(match[3] or 0)) if match else None

    def __str__(self) -> str:
        if self.first == self.generation == 0:
            return f"logs-{self.day}.duckdb"
        return f"logs-{self.day}-{self.first:012}-{self.generation}.duckdb"
