"""What the collector tells the process that runs a statement, and what that one says in return."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

MAX_ROWS = 10_000
MAX_BYTES = 16 << 20
"""Of one answer, as JSON."""
MAX_DEADLINE_S = 60.0
MEMORY_BYTES = 768 << 20
"""What the process may take beside what it has when it starts; DuckDB's own limit is below it."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A day file that nobody writes any more."""

    path: str
    database: str
    source: str
    """What stands for its rows in a FROM, once it is attached as `database`."""


@dataclass(frozen=True, slots=True)
class Order:
    """One statement and its bounds."""

    statement: str
    sealed: Sequence[Sealed]
    unsealed: str | None
    """An Arrow stream with the rows that are in none of them; None: there are none."""
    max_rows: int = 1000
    deadline_s: float = 10.0
    max_bytes: int = MAX_BYTES

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Order":
        content = json.loads(text)
        return cls(**{**content, "sealed": [Sealed(**each) for each in content["sealed"]]})
