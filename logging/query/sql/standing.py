"""Which walls stand around statements here: said at the start and when it changes, and shown by a metric."""

from collections.abc import Mapping

from loguru import logger
from prometheus_client import Gauge

from cloud.logs.query.sql.confinement import WALLS, missing_here


class Standing:
    """Within one event loop. What the processes of statements find out is what counts."""

    def __init__(self, gauge: Gauge) -> None:
        """`gauge` has the label `wall`."""
        self._gauge = gauge
        self._missing: Mapping[str, str] | None = None
        self.note(missing_here())

    def note(self, missing: Mapping[str, str]) -> None:
        """What a process lacked: causes by wall."""
        if missing == self._missing:
            return
        self._missing = dict(missing)
        for wall in WALLS:
            self._gauge.labels(wall).set(wall not in missing)
        logger.bind(walls=", ".join(wall for wall in WALLS if wall not in missing)).info("walls around SQL statements")
        for wall, cause in missing.items():
            logger.bind(wall=wall, cause=cause).warning("a wall around SQL statements is missing")
