"""Inputs that a fuzzer found, or that made something fail once, still pass; and it finds no others in a short time."""

import importlib.util

import pytest

from tests.fuzz.run import fuzz
from tests.fuzz.targets import TARGETS, check_of, seeds

SECONDS = 5


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_pass(target: str) -> None:
    check, inputs = check_of(target), seeds(target)
    assert len(inputs) >= 10
    for data in inputs:
        try:
            check(data)
        except Exception as exc:
            raise AssertionError(f"cannot pass seed {data!r}: {exc}") from exc


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this machine")
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_new_is_found_in_a_short_time(target: str) -> None:
    outcome = fuzz(target, seconds=SECONDS, seed=1)
    assert not outcome.has_failed, outcome.log
    assert outcome.executions > 100
