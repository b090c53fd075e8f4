"""How far storing is behind receiving, and how many lines are missing: for metrics and readiness."""

import threading
import time
from collections.abc import Callable

from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.lines import LineAccounts, RunState

MAX_OLDEST_S = 10.0
REPORT_S = 10.0  # a report on many runs may take some time, in which the writer waits


def oldest_s(inbox: Inbox, now_us: int) -> float:
    """The age of the oldest line that is received and not stored; 0 without any, or when a clock was set back."""
    oldest_us = inbox.oldest_us
    return 0.0 if oldest_us is None else max(0.0, (now_us - oldest_us) / 1e6)


class Missing:
    """Sums over all runs, at most `REPORT_S` old; from any thread."""

    def __init__(self, accounts: LineAccounts, now_s: Callable[[], float] = time.monotonic) -> None:
        self._accounts = accounts
        self._now_s = now_s
        self._lock = threading.Lock()
        self._until_s = float("-inf")
        self._lines = self._unclosed = 0

    def lines(self) -> int:
        return self._counted()[0]

    def unclosed_runs(self) -> int:
        return self._counted()[1]

    def _counted(self) -> tuple[int, int]:
        with self._lock:
            if self._now_s() >= self._until_s:
                reports = self._accounts.report()
                self._lines = sum(report.missing for report in reports)
                self._unclosed = sum(report.state is RunState.UNCLOSED for report in reports)
                self._until_s = self._now_s() + REPORT_S
            return self._lines, self._unclosed
