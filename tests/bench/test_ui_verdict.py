"""What the benchmark of the web UI calls wanted; the pages themselves are tested in tests/dashboards."""

import subprocess
import sys

import pytest

from bench.ui.__main__ import not_as_wanted
from bench.ui.browser import Frames, Memory, frames_from
from bench.ui.scenes import Opened, Shown


def frames(per_second: float) -> Frames:
    return Frames(per_second, 17.0, 30.0, 0, 0.0)


EMPTY = Shown("an empty page", 200, frames(60))


def watched(end_bytes: int) -> Shown:
    return Shown("Live, 10 min", 2000, frames(30), "", Memory(10_000_000, 900), Memory(end_bytes, 900))


@pytest.mark.parametrize(
    ("shown", "opened", "expected"),
    [
        ([EMPTY, Shown("Live", 200, frames(56)), watched(10_900_000)], Opened(9, [0.2, 9.0, 1.4]), []),
        ([EMPTY, Shown("Live", 200, frames(54))], None, ["Live has 54.0 frames/s of 55.0"]),
        ([Shown("an empty page", 200, frames(40)), Shown("Live", 200, frames(39))], None, []),
        ([EMPTY, watched(11_100_000)], None, ["Live, 10 min holds 1.11 times as much as before"]),
        ([EMPTY], Opened(9, [1.6, 1.7, 0.1]), ["Explore takes 1.60 s"]),
    ],
)
def test_what_is_not_as_wanted_is_named(shown: list[Shown], opened: Opened | None, expected: list[str]) -> None:
    assert not_as_wanted(shown, opened) == expected


def test_frames_are_summed_up() -> None:
    assert frames_from([10.0] * 98 + [20.0, 1000.0], [900.0, 60.0]) == Frames(50.0, 990.2, 1000.0, 2, 960.0)


def test_it_says_how_it_is_used() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "bench.ui", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "--data" in said
    assert "ten times the rate" in said
