"""What a check says about a file of a host."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """An error is what would not work or must not be, a warning what would work and not show what an operator needs.

    A note says what a choice costs that was made on purpose, or by leaving it.
    """

    host: str
    path: Path
    severity: Literal["error", "warning", "note"]
    message: str
