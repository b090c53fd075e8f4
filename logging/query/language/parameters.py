"""The values of a condition, each under a name of its own: the way of all that users type into SQL."""

from typing import Final


class UnfitTestError(ValueError):
    """A test that the values of a column cannot pass or fail."""

    def __init__(self, message: str, expected: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.expected = expected
        """What would have fitted, in words."""


class Parameters:
    """Collects values; names never repeat within one condition."""

    def __init__(self, prefix: str = "query") -> None:
        self._prefix: Final = prefix
        self.values: dict[str, object] = {}

    def add(self, value: object) -> str:
        """How SQL says `value`."""
        name = f"{self._prefix}{len(self.values)}"
        self.values[name] = value
        return f"${name}"
