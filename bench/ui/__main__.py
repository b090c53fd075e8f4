"""The web UI in a real browser, under load.

python -m bench.ui [--seconds 30] [--minutes 10] [--rate 200] [--data DIRECTORY] [--no-json]

Frames of Live at `--rate` lines a second against those of an empty page in the same run; then its memory over
`--minutes` at ten times the rate; with `--data`, a data directory of a collector, how long Explore takes from being
opened to its first lines. It ends with 1 where something is not as it is wanted.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.result import Result, as_text
from bench.ui.browser import Frames, browsing
from bench.ui.scenes import FACTOR, Opened, Shown, frames_of_live, memory_of_live, openings_of_explore

FRAMES_PER_S = 55.0
SHARE_OF_EMPTY = 0.95
"""Where a machine shows an empty page with fewer, Live has to have so much of these."""
GROWTH = 0.10
FIRST_ROWS_S = 1.5
COLUMNS = (
    "scene",
    "lines/s",
    "frames/s",
    "p99 frame",
    "worst",
    "long tasks",
    "heap before",
    "after",
    "first lines",
    "worst",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="for each page whose frames are counted")
    parser.add_argument("--minutes", type=float, default=10.0, help="at ten times the rate; 0: not at all")
    parser.add_argument("--rate", type=float, default=200.0, help="lines a second")
    parser.add_argument("--data", type=Path, help="a collector's data directory to open Explore over")
    parser.add_argument("--no-json", action="store_true", help="write nothing to bench/results")
    options = parser.parse_args()
    with browsing() as browser:
        shown = frames_of_live(browser, options.rate, options.seconds)
        if options.minutes:
            shown.append(memory_of_live(browser, FACTOR * options.rate, 60 * options.minutes))
        opened = openings_of_explore(browser, options.data) if options.data else None
    result = Result(
        "ui",
        f"Web UI in Chromium: Live at {options.rate:g} lines/s, then {options.minutes:g} min at {FACTOR} times that",
        COLUMNS,
        [*map(_row_of_shown, shown), *([_row_of_opened(opened)] if opened else [])],
        {"seconds": options.seconds, "minutes": options.minutes, "rate": options.rate},
        [*map(asdict, shown), *([asdict(opened)] if opened else [])],
        ["Heap: of JavaScript, after its garbage was collected, from when Live holds the 10,000 lines that it may."],
    )
    print(as_text(result))
    if not options.no_json:
        result.write()
    if unwanted := not_as_wanted(shown, opened):
        raise SystemExit(f"not as wanted: {'; '.join(unwanted)}")


def not_as_wanted(shown: Sequence[Shown], opened: Opened | None) -> list[str]:
    """What is slower, or takes more, than it may; the first page is the empty one."""
    empty, *others = shown
    found = []
    for page in others:
        least = min(FRAMES_PER_S, SHARE_OF_EMPTY * empty.frames.per_second)
        if page.begin is None and page.frames.per_second < least:
            found.append(f"{page.name} has {page.frames.per_second:.1f} frames/s of {least:.1f}")
        if page.begin and page.end and page.end.heap_bytes > (1 + GROWTH) * page.begin.heap_bytes:
            found.append(f"{page.name} holds {page.end.heap_bytes / page.begin.heap_bytes:.2f} times as much as before")
    if opened and _median(opened.first_rows_s) > FIRST_ROWS_S:
        found.append(f"Explore takes {_median(opened.first_rows_s):.2f} s")
    return found


def _row_of_shown(shown: Shown) -> list[str]:
    frames: Frames = shown.frames
    heaps = [f"{each.heap_bytes / 1e6:.1f} MB" if each else "-" for each in (shown.begin, shown.end)]
    times = [f"{frames.per_second:.1f}", f"{frames.p99_ms:.0f} ms", f"{frames.worst_ms:.0f} ms"]
    tasks = f"{frames.long_tasks}, {frames.long_task_ms:.0f} ms" if frames.long_tasks else "0"
    return [shown.name, f"{shown.rate:g}", *times, tasks, *heaps, "-", "-"]


def _row_of_opened(opened: Opened) -> list[str]:
    times = [f"{each:.2f} s" for each in (_median(opened.first_rows_s), max(opened.first_rows_s))]
    return [f"Explore, {opened.rows:,} lines", *["-"] * 7, *times]


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    main()
