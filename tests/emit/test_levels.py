"""Levels become the severities that operators filter by."""

import logging

import pytest
from loguru import logger as loguru_logger

from cloud.logs.emit.levels import AUDIT, SUCCESS, TRACE, register_level_names, severity_number, severity_of


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (0, 7),
        (TRACE, 7),
        (logging.DEBUG, 7),
        (15, 7),
        (logging.INFO, 6),
        (AUDIT, 5),
        (22, 5),
        (SUCCESS, 5),
        (29, 5),
        (logging.WARNING, 4),
        (35, 4),
        (logging.ERROR, 3),
        (logging.CRITICAL, 2),
        (1000, 2),
    ],
)
def test_level_becomes_the_severity_of_the_name_below_it(level: int, severity: int) -> None:
    assert severity_of(level) == severity


def test_levels_are_those_of_loguru() -> None:
    assert loguru_logger.level("TRACE").no == TRACE
    assert loguru_logger.level("SUCCESS").no == SUCCESS


@pytest.mark.parametrize(
    ("name", "number"),
    [("emerg", 0), ("crit", 2), ("critical", 2), ("err", 3), ("ERROR", 3), ("Warn", 4), ("warning", 4), ("debug", 7)],
)
def test_severity_is_known_by_its_names(name: str, number: int) -> None:
    assert severity_number(name) == number


def test_unknown_severity_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"cannot use severity 'loud': expected one of emerg, alert, crit, err"):
        severity_number("loud")


def test_logging_conf_may_name_the_levels_that_python_lacks() -> None:
    register_level_names()
    assert [logging.getLevelName(name) for name in ("TRACE", "AUDIT", "SUCCESS")] == [5, 21, 25]
    assert [logging.getLevelName(number) for number in (5, 21, 25)] == ["TRACE", "AUDIT", "SUCCESS"]
