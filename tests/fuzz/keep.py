"""Make seeds of what a fuzzer found: `python -m tests.fuzz.keep TARGET DIRECTORY`, with NUMBA_DISABLE_JIT=1.

Of the inputs in the directory, the shortest first, those become seeds that go a way through the code (from one line to
another) which no seed went.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz.targets import add_seeds, check_of, seeds

_FOLLOWED = "/collector/"
_TESTS = "/tests/"
Way = tuple[str, int, int]


def keep(target: str, found: Path) -> int:
    """How many became seeds."""
    check = check_of(target)
    known = set[Way]().union(*(ways(check, seed) for seed in seeds(target)))
    kept = []
    for path in sorted(found.iterdir(), key=lambda each: each.stat().st_size):
        data = path.read_bytes()
        if new := ways(check, data) - known:
            known |= new
            kept.append(data)
    add_seeds(target, kept)
    return len(kept)


def ways(check: Callable[[bytes], None], data: bytes) -> set[Way]:
    """All pairs of lines of the collector that come one after the other while `data` is checked."""
    gone: set[Way] = set()
    last_lines: dict[FrameType, int] = {}

    def follow(frame: FrameType, event: str, argument: Any) -> Any:
        file = frame.f_code.co_filename
        if _FOLLOWED not in file or _TESTS in file:
            return None
        if event == "return":
            last_lines.pop(frame, None)
        else:
            gone.add((file, last_lines.get(frame, 0), frame.f_lineno))
            last_lines[frame] = frame.f_lineno
        return follow

    sys.settrace(follow)
    try:
        check(data)
    finally:
        sys.settrace(None)
    return gone


if __name__ == "__main__":
    sys.stdout.write(f"{keep(sys.argv[1], Path(sys.argv[2]))} kept\n")
