"""Rounds of canaries: sent on a host's facilities, awaited at the collector, added up at the end.

Measured is, for each line, the time from just before the services' handler gets the record until its row is read from
the collector's `/api/v1/tail`, which has rows as soon as they are committed and any query finds them: sent to
queryable. Both moments are on the monotonic clock of this process; no clock of another one has a say, and nothing is
polled. In it are the formatting of the line, the host's rsyslogd, the wire, the collector's batch and commit, and the
way of the row back over HTTP; not in it are loguru and the logger in front of the handler. While the stream is broken
nothing can be seen: what arrives then is timed when it is back, at most a second after the collector is.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from cloud.logs.canary.client import CanaryClient, Listener, Row, RunGaps
from cloud.logs.canary.emitter import APP_NAME, Emitter
from cloud.logs.canary.ledger import Ledger, Line, Share, State
from cloud.logs.query.client import ClientError

STOP_GRACE_S = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is wanted; `every_s` is from the begin of a round to that of the next, 0: one round after the other."""

    host: str
    facilities: Sequence[str]
    timeout_s: float = 10.0
    every_s: float = 0.0
    rounds: int | None = 1
    """None: until it is stopped."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All rounds: a share for each facility, and the host's runs as the collector has them, None if it says nothing."""

    shares: Sequence[Share]
    runs: Sequence[RunGaps] | None

    @property
    def is_complete(self) -> bool:
        """Whether something was sent, and all of it has arrived, late or not."""
        return any(share.sent for share in self.shares) and not any(share.missing for share in self.shares)


def new_run() -> str:
    """A name for a run that no other one has: its lines carry it as `run`."""
    return uuid.uuid4().hex[:12]


class Canary:
    """One run, within one event loop."""

    def __init__(
        self,
        plan: Plan,
        emitter: Emitter,
        *,
        run: str,
        tell: Callable[[Line], None],
        warn: Callable[[str], None],
    ) -> None:
        """`tell` hears of each line at the end of its round, and of those that come after that or come again."""
        self._plan = plan
        self._emitter = emitter
        self._run = run
        self._tell = tell
        self._warn = warn
        self._ledger = Ledger(plan.facilities, plan.timeout_s)
        self._last_told_round = 0
        self._is_live = self._is_away = self._is_stopped = False
        self._news = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """No further round; the running one has a second for what is still on its way."""
        self._is_stopped = True
        self._news.set()

    async def run(self, collector: CanaryClient) -> Outcome:
        """All rounds; `ClientError` when the collector cannot be asked at the beginning: no line has been sent then."""
        wanted = {"host": self._plan.host, "service": APP_NAME, "field": f"run={self._run}"}
        following = asyncio.create_task(collector.follow(wanted, Listener(self._live, self._away, self._row)))
        following.add_done_callback(lambda _: self._news.set())
        self._following = following
        try:
            await self._until(lambda: self._is_live or self._is_stopped)
            await self._rounds()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        try:
            runs = await collector.gaps(self._plan.host)
        except ClientError as exc:
            self._warn(str(exc))
            runs = None
        return Outcome(self._ledger.shares(), runs)

    async def _rounds(self) -> None:
        round_ = 0
        due_s = time.monotonic()
        while not self._is_stopped and round_ != self._plan.rounds:
            round_ += 1
            await self._round(round_)
            due_s = max(due_s + self._plan.every_s, time.monotonic())  # a round that took too long moves the others
            if round_ != self._plan.rounds:
                await self._until(lambda: self._is_stopped, due_s - time.monotonic())

    async def _round(self, round_: int) -> None:
        turn = (round_ - 1) % len(self._plan.facilities)  # who comes first may have a commit of its own: take turns
        for facility in (*self._plan.facilities[turn:], *self._plan.facilities[:turn]):
            number = self._ledger.next_number()
            self._ledger.sent(facility, number, round_, time.monotonic())
            self._emitter.emit(facility, number)
        deadline_s = time.monotonic() + self._plan.timeout_s

        def is_whole() -> bool:
            return all(line.latency_s is not None for line in self._ledger.lines(round_))

        await self._until(lambda: is_whole() or self._is_stopped, self._plan.timeout_s)
        await self._until(is_whole, min(STOP_GRACE_S, deadline_s - time.monotonic()))
        for line in self._ledger.lines(round_):
            self._tell(replace(line, is_sent=line.state is not State.MISSING or self._emitter.has_left(line.facility)))
        self._last_told_round = round_

    async def _until(self, holds: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Return when it holds or the time is over; raise what the stream ends with."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not holds():
                    if self._following is not None and self._following.done():
                        self._following.result()
                    self._news.clear()
                    await self._news.wait()

    def _live(self) -> None:
        if self._is_away:
            self._warn("the collector is back")
        self._is_live, self._is_away = True, False
        self._news.set()

    def _away(self, why: str) -> None:
        if not self._is_away:
            self._warn(why)
        self._is_away = True

    def _row(self, row: Row) -> None:
        number = row.get("fields", {}).get("number")
        line = self._ledger.arrived(row["facility"], number, time.monotonic()) if isinstance(number, int) else None
        if line is None:
            return
        if line.state is State.DOUBLED or line.round_ <= self._last_told_round:
            self._tell(line)
        self._news.set()
