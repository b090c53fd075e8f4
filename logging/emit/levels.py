"""Levels of loguru, Python's logging and OpenStack, and the syslog severity each one becomes."""

import logging

TRACE = 5
AUDIT = 21  # OpenStack's own level, one above INFO
SUCCESS = 25  # loguru's own level

SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")  # RFC 5424 table 2, by number

_SEVERITY_BY_LEVEL = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (AUDIT, 5),  # AUDIT and SUCCESS are notices; the standard handler would make warnings of both
    (logging.INFO, 6),
)


def severity_of(level: int) -> int:
    """The RFC 5424 severity (0..7) of a numeric level; a level between two names takes the lower one's."""
    for floor, severity in _SEVERITY_BY_LEVEL:
        if level >= floor:
            return severity
    return 7


def severity_number(name: str) -> int:
    """The number of a severity's name; `ValueError` for a name that RFC 5424 and syslog(3) do not have."""
    lowered = {"error": "err", "warn": "warning", "critical": "crit"}.get(name.lower(), name.lower())
    if lowered not in SEVERITIES:
        raise ValueError(f"cannot use severity {name!r}: expected one of {', '.join(SEVERITIES)}")
    return SEVERITIES.index(lowered)


def register_level_names() -> None:
    """Teach Python's logging the names of TRACE, AUDIT and SUCCESS, so that logging.conf may use them."""
    logging.addLevelName(TRACE, "TRACE")
    logging.addLevelName(AUDIT, "AUDIT")
    logging.addLevelName(SUCCESS, "SUCCESS")
