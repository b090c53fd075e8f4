"""What a tail should say beside its lines: that they are stored late, or that some are dropped."""

import time
from collections.abc import Callable

from cloud.logs.collector.hosts import Hosts
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.lag import oldest_s

LATE_S = 2.0
"""Lines that wait less to be stored are in time."""
AGAIN_S = 5.0


class Losses:
    """As they are seen by one tail, from its beginning on."""

    def __init__(
        self,
        inbox: Inbox,
        hosts: Hosts,
        clock_s: Callable[[], float] = time.monotonic,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._inbox = inbox
        self._hosts = hosts
        self._clock_s = clock_s
        self._now_s = now_s
        self._before = self._dropped()
        self._told = (False, 0)
        self._look_s = clock_s()

    def news(self, behind_s: float = 0.0) -> dict[str, float | int] | None:
        """`lag_s`, `behind_s` and `dropped` when there is more to say than the last time, at most every 5 s.

        `behind_s` is how long ago the line was stored that the tail shows next.
        """
        if self._clock_s() < self._look_s:
            return None
        self._look_s = self._clock_s() + AGAIN_S
        lag_s = oldest_s(self._inbox, int(self._now_s() * 1e6))
        dropped = self._dropped() - self._before
        is_late = lag_s > LATE_S or behind_s > LATE_S
        told, self._told = self._told, (is_late, dropped)
        if not is_late and self._told == told:
            return None
        return {"lag_s": round(lag_s, 3), "behind_s": round(behind_s, 3), "dropped": dropped}

    def _dropped(self) -> int:
        return self._hosts.dropped_lines()
