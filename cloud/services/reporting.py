"""A daemon's reports: on time, each on its own, sooner again after a failure, and no word said twice."""

import threading
import time
from collections.abc import Callable, Sequence

from cloud.errors import CloudError
from cloud.logs.emit import logger
from cloud.logs.emit.speaker import in_same_voice
from cloud.logs.events import RPC_TIMEOUT
from cloud.rpc.errors import RpcTimeoutError

RETRY_S = (0.5, 1.0, 2.0, 5.0)
"""Between two attempts of what failed, but never longer than the interval; the last one goes on."""
SETTLE_S = 10.0
"""While a whole cloud starts, some are up before those to whom they report: what never worked yet may take so long."""
STOP_TIMEOUT_S = 0.5
THREAD_NAME = "reports"

Report = Callable[[], None]


class Reports:
    """Makes each report every `interval_s`, in a thread of its own: one that hangs holds up no other.

    What fails is said once, and once when all work again, however many do and however often they try.
    """

    def __init__(self, interval_s: float, reports: Sequence[Report], *, settle_s: float = SETTLE_S) -> None:
        """A report that raises a CloudError is made again soon; any other error is a defect."""
        self._interval_s = interval_s
        self._settled_s = time.monotonic() + settle_s
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._worked: set[Report] = set()
        self._failing: set[Report] = set()
        self._is_said = False
        self._failures = 0
        self._failing_since_s = 0.0
        self._threads = [
            threading.Thread(target=in_same_voice(self._repeat), args=(report,), name=THREAD_NAME, daemon=True)
            for report in reports
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin no other report, and say no more of those that are under way."""
        self._stopped.set()

    def join(self) -> None:
        """Wait for what is under way; after half a second it is left to itself."""
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))

    def _repeat(self, report: Report) -> None:
        due_s = time.monotonic()
        attempt = 0
        while not self._stopped.wait(max(0.0, due_s - time.monotonic())):
            if self._is_made(report):
                attempt = 0
                due_s = next_due_s(due_s, self._interval_s, time.monotonic())
            else:
                due_s = time.monotonic() + min(RETRY_S[min(attempt, len(RETRY_S) - 1)], self._interval_s)
                attempt += 1

    def _is_made(self, report: Report) -> bool:
        try:
            report()
        except CloudError as exc:
            self._failed(report, exc)
            return False
        except Exception as exc:  # noqa: BLE001 - the next report may do better, and a dead thread none at all
            self._failed(report, exc)
        else:
            self._succeeded(report)
        return True

    def _failed(self, report: Report, exc: Exception) -> None:
        now_s = time.monotonic()
        is_defect = not isinstance(exc, CloudError)
        with self._lock:
            is_first = report not in self._failing
            if not self._failing:
                self._failures, self._failing_since_s = 0, now_s
            self._failing.add(report)
            self._failures += 1
            is_due = report in self._worked or now_s >= self._settled_s
            is_news = is_first if is_defect else is_due and not self._is_said
            self._is_said |= is_news
        if not is_news or self._stopped.is_set():
            return
        if is_defect:
            logger.opt(exception=exc).error("report failed")
        else:
            event = {"event": RPC_TIMEOUT} if isinstance(exc, RpcTimeoutError) else {}
            logger.bind(error=str(exc), **event).warning("cannot report")

    def _succeeded(self, report: Report) -> None:
        with self._lock:
            self._worked.add(report)
            self._failing.discard(report)
            if self._failing or not self._is_said:
                return
            self._is_said = False
            failures, failed_s = self._failures, round(time.monotonic() - self._failing_since_s, 1)
        logger.bind(failures=failures, failed_s=failed_s).warning("reports again")


def next_due_s(due_s: float, interval_s: float, now_s: float) -> float:
    """The next time by the plan: a slow report does not move those that follow, and what was missed is left out."""
    missed = max(0.0, now_s - due_s) // interval_s
    return due_s + (missed + 1) * interval_s
