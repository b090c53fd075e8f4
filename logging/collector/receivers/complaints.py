"""Warnings about what peers do, of which there may be any number."""

import time

from loguru import logger

PERIOD_S = 60.0


class Complaints:
    """Each message is logged once a minute at most."""

    def __init__(self) -> None:
        self._last_s: dict[str, float] = {}
        self._omitted: dict[str, int] = {}

    def warn(self, message: str, **fields: object) -> None:
        """`message` is a constant; how often it was left out since the last time goes with it."""
        now_s = time.monotonic()
        if now_s - self._last_s.get(message, float("-inf")) < PERIOD_S:
            self._omitted[message] = self._omitted.get(message, 0) + 1
            return
        self._last_s[message] = now_s
        logger.bind(**fields, omitted=self._omitted.pop(message, 0)).warning(message)
