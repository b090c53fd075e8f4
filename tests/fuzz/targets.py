"""What is fuzzed, by name, and the inputs that are kept of each."""

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path

TARGETS = ("parsing", "framing", "relp")
SEEDS = Path(__file__).parent / "seeds"


def check_of(target: str) -> Callable[[bytes], None]:
    """What takes an input and raises for a failure."""
    check: Callable[[bytes], None] = importlib.import_module(f"tests.fuzz.fuzz_{target}").check
    return check


def seeds(target: str) -> list[bytes]:
    """Inputs that between them reach all that is known to be reached, and those that failed once."""
    lines = (SEEDS / f"{target}.txt").read_text().splitlines()
    return [line.encode().decode("unicode_escape").encode("latin-1") for line in lines]


def add_seeds(target: str, inputs: Iterable[bytes]) -> None:
    """A line for each, with the escapes of a Python string, so that a diff can be read."""
    with (SEEDS / f"{target}.txt").open("a") as file:
        file.writelines(data.decode("latin-1").encode("unicode_escape").decode() + "\n" for data in inputs)
