"""What a check says about a file of a host."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """An error is what would not work, a warning what would work and not show what an operator needs."""

    host: str
    path: Path
    severity: Literal["error", "warning"]
    message: str
