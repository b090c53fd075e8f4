"""The messages that kernels and reference parser are compared on would show a bug in any of what the kernels know."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.collector.planted_bugs import BUGS, Bug

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found() -> dict[str, str | None]:
    """What showed each bug, or None."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.collector.planted_bugs"],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
        cwd=ROOT,
    )
    shown: dict[str, str | None] = json.loads(ran.stdout)
    return shown


def test_the_kernels_as_they_are_agree_in_the_interpreter_too(found: dict[str, str | None]) -> None:
    assert found["none"] is None


@pytest.mark.parametrize("bug", [pytest.param(bug, id=bug.name) for bug in BUGS])
def test_a_planted_bug_is_caught(found: dict[str, str | None], bug: Bug) -> None:
    assert found[bug.name] is not None
