"""What a service's code logs, before Python's logging gets it."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from loguru import logger

from cloud.logs.emit.levels import AUDIT
from tests.services.said import Line


@pytest.fixture
def lines() -> Iterator[list[Line]]:
    """What is logged: level, message and bound fields."""
    said: list[Line] = []
    with suppress(ValueError):  # set by another test in this process
        logger.level("AUDIT", no=AUDIT)

    def take(message: object) -> None:
        record = message.record  # type: ignore[attr-defined]
        said.append((record["level"].name, record["message"], record["extra"]))

    logger.remove()
    sink = logger.add(take, level=0, catch=False)
    yield said
    logger.remove(sink)
