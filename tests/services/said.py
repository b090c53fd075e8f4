"""A line that a service has logged."""

from typing import Any

Line = tuple[str, str, dict[str, Any]]
"""Its level, its message and its fields."""
