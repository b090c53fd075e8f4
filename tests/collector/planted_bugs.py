"""Bugs put into copies of the kernels, one at a time: `python -m tests.collector.planted_bugs` says which are caught.

To be run with NUMBA_DISABLE_JIT=1, since a compiler would take seconds for each. Prints a JSON object: by bug (and for
"none", the sources as they are) the message that showed it, or null.
"""

import importlib
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cloud.logs.collector import columns
from tests.collector import agreement
from tests.collector.agreement import DisagreementError, Expected, Sent, expected, some_sent
from tests.collector.grammar import EDGES

SOURCES = Path(columns.__path__[0])
SEED = 20
BATCHES = 40
MESSAGES = 60
FILLERS = b'\0"]0'


@dataclass(frozen=True, slots=True)
class Bug:
    """In `file`, `old` (which stands there once) becomes `new`."""

    file: str
    old: str
    new: str

    @property
    def name(self) -> str:
        return f"{self.file}: {self.old} -> {self.new}"

    def plant(self, directory: Path) -> None:
        path = directory / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"cannot plant bug {self.name}: {self.old!r} stands there {text.count(self.old)} times")
        path.write_text(text.replace(self.old, self.new))


BUGS = (
    Bug("timestamp.py", "length = 28 + leap", "length = 29"),
    Bug("timestamp.py", "and year % 100 != 0", ""),
    Bug("timestamp.py", "if month in (4, 6, 9, 11):", "if month in (4, 6, 9):"),
    Bug("timestamp.py", "0 <= second <= 59", "0 <= second <= 60"),
    Bug("timestamp.py", "(hours * 60 + minutes) * 60_000_000", "hours * 3_600_000_000"),
    Bug("timestamp.py", "return days * _DAY_US + clock_us + offset_us", "return days * _DAY_US + clock_us - offset_us"),
    Bug("timestamp.py", "_MAX_FRACTION = 9", "_MAX_FRACTION = 10"),
    Bug("timestamp.py", "(10, 84), ", ""),
    Bug("bsd.py", "range(year - 1, year + 2)", "range(year, year + 2)"),
    Bug("bsd.py", "range(year - 1, year + 2)", "range(year - 1, year + 1)"),
    Bug("bsd.py", "_MAX_TAG, _MAX_PID = 255, 48, 128", "_MAX_TAG, _MAX_PID = 255, 49, 128"),
    Bug("bsd.py", "start if following == _SPACE else at", "at"),
    Bug("bsd.py", "found[BODY] = at + 1 if at < end and byte_at(data, at) == _SPACE else at", "found[BODY] = at"),
    Bug("header.py", "number if number <= MAX_PRI else -1", "number"),
    Bug("header.py", "return at if at > start else -1", "return at"),
    Bug("header.py", "9 <= character <= 13", "10 <= character <= 13"),
    Bug("structured_data.py", "at += 2 if character == _BACKSLASH else 1", "at += 1"),
    Bug("structured_data.py", "_MAX_NAME = 255", "_MAX_NAME = 256"),
    Bug("structured_data.py", "or byte_at(data, start) == 48:", "or False:"),
    Bug("structured_data.py", "if starts_with(data, last, at, PREFIX):", "if starts_with(data, start, at, PREFIX):"),
    Bug("cee.py", "if keys[0, other] == keys[0, count]:", "if False:"),
    Bug("cee.py", "keys[0, other] == keys[0, used] and keys[1, other] == open_objects[0, depth]", "False"),
    Bug("cee.py", "or 0xD800 <= point < 0xE000", "or 0xD800 <= point < 0xDC00"),
    Bug("cee.py", "0x10000 + ((point - 0xD800) << 10)", "((point - 0xD800) << 10)"),
    Bug("cee.py", "(digits > 1 and byte_at(data, first) == _ZERO)", "False"),
    Bug("cee.py", "(NOT_READ, OTHER) if is_zero and first > start else (at, INTEGER)", "at, INTEGER"),
    Bug("cee.py", "if is_zero and zeros > 3:", "if is_zero and zeros > 4:"),
    Bug("cee.py", "if byte_at(data, at - 1) == _ZERO and places > 1:", "if False:"),
    Bug("cee.py", "return 6, 0 < point < 32 and point not in (8, 9, 10, 12, 13) and is_lower", "return 6, 0 < point < 32 and is_lower"),
    Bug("cee.py", "if is_in_string or not _is_space(character):", "if True:"),
    Bug("cee.py", "_MAX_INTEGER_DIGITS = 18", "_MAX_INTEGER_DIGITS = 5000"),
    Bug("cee.py", "character >= 32 and character not in", "character >= 31 and character not in"),
    Bug("kernel.py", "if has_message:", "if False:"),
    Bug("kernel.py", "return column if kind == cee.TRUE else FIELDS", "return column"),
    Bug("kernel.py", "(kind == cee.INTEGER and column != MESSAGE)", "kind == cee.INTEGER"),
    Bug("kernel.py", "> _SKEW_US", ">= 2 * _SKEW_US"),
    Bug("kernel.py", "run_count = max(run_count, run + 1)", "run_count = run + 1"),
    Bug("kernel.py", "body + len(_BYTE_ORDER_MARK) if", "body + 1 if"),
    Bug("nova_context.py", 'if _character in "@:-":', 'if _character in "@-":'),
    Bug("nova_context.py", "if found[INSTANCE_START] == -1:", "if False:"),
    Bug("nova_context.py", "(at - first > 1 or byte_at(data, first) != _MINUS)", "True"),
    Bug("nova_context.py", "character not in (_OPEN, _CLOSE)", "character != _CLOSE"),
    Bug("utf8.py", "0xC2 <= first < 0xE0", "0xC0 <= first < 0xE0"),
    Bug("utf8.py", "(first == 0xED and second >= 0xA0)", "False"),
    Bug("utf8.py", "(first == 0xF4 and second >= 0x90)", "False"),
    Bug("utf8.py", "if at + length > end:", "if False:"),
    Bug("bytes.py", "if word_at(data, first + k) != word_at(data, second + k):", "if False:"),
    Bug("verify.py", "character += 32", "character += 0"),
    Bug("verify.py", "if allows_run[source, runs[row]] and is_valid", "if is_valid"),
    Bug("views.py", "first &= (1 << (8 * length)) - 1", "pass"),
    Bug("views.py", "INLINE_BYTES = 12", "INLINE_BYTES = 11"),
    Bug("fold.py", "if number > 0:", "if number > 0 and is_valid[_COLUMNS[number], row]:"),
    Bug("fold.py", "if k < 4 else second >> (8 * k - 32)", "if k < 4 else second >> (8 * k)"),
)  # fmt: skip


def examples() -> list[tuple[int, Sequence[Sent], Expected]]:
    """Batches with what the reference parser makes of them, the same at every call."""
    chooser = random.Random(SEED)  # noqa: S311 - a choice of tests
    edges = [Sent(payload) for payload in EDGES]
    batches = [edges[first : first + MESSAGES] for first in range(0, len(edges), MESSAGES)]
    batches += [[some_sent(chooser) for _ in range(MESSAGES)] for _ in range(BATCHES)]
    return [(chooser.choice(FILLERS), sent, expected(sent)) for sent in batches]


def disagreement(directory: Path, batches: Sequence[tuple[int, Sequence[Sent], Expected]]) -> str | None:
    """What the kernels in `directory` and the reference parser first say differently; None if nothing."""
    for name in [name for name in sys.modules if name.startswith(f"{columns.__name__}.")]:
        del sys.modules[name]
        vars(columns).pop(name.rpartition(".")[2], None)
    columns.__path__[:] = [str(directory)]
    importlib.invalidate_caches()
    parser = importlib.import_module(f"{columns.__name__}.parser")
    if Path(parser.__file__ or "").parent != directory:
        raise AssertionError("not the copy was imported")
    try:
        checks = agreement.Agreement(parser.BatchParser())
        for filler, sent, reference in batches:
            checks.check(sent, reference, filler)
    except DisagreementError as exc:
        return str(exc)[:2000]
    except Exception as exc:  # noqa: BLE001 - a bug may show as anything
        return repr(exc)
    return None


def main() -> None:
    """Try every bug, and none."""
    sys.dont_write_bytecode = True
    batches = examples()
    found: dict[str, str | None] = {}
    with tempfile.TemporaryDirectory() as directory:
        for number, bug in enumerate((None, *BUGS)):
            copy = Path(directory) / str(number)
            shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("__pycache__"))
            if bug is not None:
                bug.plant(copy)
            found[bug.name if bug else "none"] = disagreement(copy, batches)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
