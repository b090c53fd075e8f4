"""The last step in a service: a record becomes a syslog message and leaves, or waits in a bounded queue.

A logging.conf names it as `class = cloud.logs.emit.syslog.SyslogHandler`.
"""

import errno
import logging
import math
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from cloud.logs.emit.counts import LineCounts, Outcome
from cloud.logs.emit.levels import severity_of
from cloud.logs.emit.rfc5424 import Header
from cloud.logs.emit.speaker import Speaker, current_speaker
from cloud.logs.emit.transport import Transport, transport_for
from cloud.logs.facilities import facility_number

QUEUE_MESSAGES = 10_000
QUEUE_BYTES = 32 << 20
BATCH_MESSAGES = 32  # what one caller sends at most of the lines that wait, in well under a millisecond
WAIT_S = 1.0
RETRY_S = 0.2
FLUSH_TIMEOUT_S = 1.0
CLOSE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class SyslogStats:
    """What a handler has done since it was made."""

    sent: int
    queued: int
    dropped: int


@dataclass(frozen=True, slots=True)
class _Voice:
    """Of one who speaks."""

    header: Header
    counts: LineCounts


MakeCounts = Callable[[Speaker | None], LineCounts]
"""Of a speaker, or of the process itself."""


def _counts_in_memory(_speaker: Speaker | None) -> LineCounts:
    return LineCounts()


class SyslogHandler(logging.Handler):
    """Sends each record on one facility, and never lets a peer that is missing, full or restarting hold the caller.

    A record leaves within the log call where the peer takes it at once; otherwise it waits in a queue of at most
    `queue_messages` and 32 MiB, which a thread and the calls that follow empty in order. What comes when the queue is
    full is dropped and counted, and the first line after an outage says for how long and how many.
    Where a thread speaks for a service (speaker.py), its lines have that one's header.
    """

    def __init__(
        self,
        address: str,
        *,
        facility: str,
        app_name: str,
        hostname: str,
        queue_messages: int = QUEUE_MESSAGES,
        transport: Transport | None = None,
        make_counts: MakeCounts = _counts_in_memory,
    ) -> None:
        """`address` is `unix:/PATH` or `tcp://HOST:PORT`; ValueError for another, or an unknown facility."""
        super().__init__()
        self._address = address
        self._transport = transport or transport_for(address)
        self._header = Header(facility_number(facility), hostname, app_name)
        self._queue_messages = queue_messages
        self._make_counts = make_counts
        self._start()
        os.register_at_fork(after_in_child=partial(_call, weakref.WeakMethod(self._after_fork)))

    def _start(self) -> None:
        self._queue: deque[tuple[bytes, LineCounts]] = deque()
        self._queued_bytes = 0
        self._voices: dict[Speaker | None, _Voice] = {}
        self._sent = self._dropped = self._dropped_before = 0
        self._is_away = False
        self._away_since_s: float | None = None  # until the line that says so is written, some time after the outage
        self._is_sending = False
        self._give_up_s = math.inf
        self._is_closed = False
        self._thread: threading.Thread | None = None
        # Reentrant: a destructor or the handler of a signal may log anywhere in here.
        self._turn = threading.RLock()
        self._has_work = threading.Condition(self._turn)
        self._is_empty = threading.Condition(self._turn)

    def stats(self) -> SyslogStats:
        with self._turn:
            return SyslogStats(self._sent, len(self._queue), self._dropped)

    def own_lines(self) -> tuple[int, Mapping[str, int]]:
        """Of the service that the running thread speaks for: lines that left or wait, and those dropped, by reason."""
        counts = self._voice().counts
        with self._turn:
            return counts.sent + sum(waiting is counts for _, waiting in self._queue), counts.dropped

    def handle(self, record: logging.LogRecord) -> bool:
        """As logging's own, but without a lock while the record is rendered: a value's `__str__` may need another."""
        outcome: object = self.filter(record)  # from Python 3.12 on it may be another record
        if outcome:
            self.emit(outcome if isinstance(outcome, logging.LogRecord) else record)
        return bool(outcome)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            voice = self._voice()
            message = self._message(record, voice.header)
        except Exception:  # noqa: BLE001 - logging's own contract: a handler reports to stderr and never raises
            self.handleError(record)
            return
        with self._turn:
            if self._is_full(message):
                self._send_some()
            if self._is_full(message):
                self._drop(voice.counts, Outcome.QUEUE_FULL)
                return
            self._put(message, voice.counts)
            self._send_some()
            if self._is_closed:
                self._give_up()
            elif self._queue:
                self._wake_thread()

    def flush(self) -> None:
        """Wait until the queue is empty, at most 1 s, and not at all while there is no peer."""
        with self._turn:
            self._is_empty.wait_for(lambda: not self._queue or self._is_away, FLUSH_TIMEOUT_S)

    def close(self) -> None:
        """Send what waits, within 2 s; what is left is counted as dropped and said on stderr."""
        with self._turn:
            self._give_up_s = time.monotonic() + CLOSE_TIMEOUT_S
            self._has_work.notify_all()
        if self._thread is not None:
            self._thread.join(CLOSE_TIMEOUT_S + WAIT_S)
        with self._turn:
            left = self._give_up()
            self._is_closed = True
            self._transport.close()
        if left:
            self._say(f"{left} lines could not be sent to {self._address} before the end")
        super().close()

    def _after_fork(self) -> None:
        """Begin anew in a child, which has the queue but neither the thread nor a right to the lines."""
        self._transport.close()
        self._start()

    def _voice(self) -> _Voice:
        """That of whom the running thread speaks for."""
        speaker = current_speaker()
        with self._turn:
            voice = self._voices.get(speaker)
            if voice is None:
                header = self._header
                if speaker is not None:
                    header = Header(facility_number(speaker.facility), speaker.host, speaker.service)
                voice = self._voices[speaker] = _Voice(header, self._make_counts(speaker))
            return voice

    def _message(self, record: logging.LogRecord, header: Header) -> bytes:
        fields = getattr(record, "fields", None)
        event = fields.get("event") if isinstance(fields, dict) else getattr(record, "event", None)
        return header.message(
            severity_of(record.levelno),
            record.created,
            record.process,
            event if isinstance(event, str) else None,
            self.format(record),
        )

    def _give_up(self) -> int:
        """Count what waits as dropped, since nobody will send it; how many that were."""
        left = len(self._queue)
        for _, counts in self._queue:
            self._drop(counts, Outcome.NOT_SENT)
        self._queue.clear()
        self._queued_bytes = 0
        return left

    def _is_full(self, message: bytes) -> bool:
        return len(self._queue) >= self._queue_messages or self._queued_bytes + len(message) > QUEUE_BYTES

    def _put(self, message: bytes, counts: LineCounts) -> None:
        self._queue.append((message, counts))
        self._queued_bytes += len(message)

    def _drop(self, counts: LineCounts, reason: Outcome) -> None:
        self._dropped += 1
        counts.add(reason)

    def _send_some(self) -> None:
        """In a log call: send what the peer takes at once. Whatever goes wrong, the thread meets and tells again."""
        if not self._is_away:
            with suppress(Exception):
                self._send_batch()

    def _send_batch(self) -> None:
        """Send from the head of the queue, which a message leaves only once it is out; the caller has the turn."""
        if self._is_sending:
            return  # this very thread is sending further up: what it logs meanwhile waits
        self._is_sending = True
        try:
            for _ in range(min(BATCH_MESSAGES, len(self._queue))):
                message, counts = self._queue[0]
                try:
                    self._transport.send(message)
                    self._sent += 1
                    counts.add(Outcome.SENT)
                    self._is_away = False
                except OSError as exc:
                    if exc.errno != errno.EMSGSIZE:
                        raise
                    self._drop(counts, Outcome.TOO_LONG)  # it must not stand before all others for ever
                self._queue.popleft()
                self._queued_bytes -= len(message)
            if not self._queue:
                self._came_back()
                self._is_empty.notify_all()
        finally:
            self._is_sending = False

    def _wake_thread(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._drain, name="syslog", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no thread to be had now, or no more: later lines try again, and send what waits
                return
            self._thread = thread
        self._has_work.notify()

    def _drain(self) -> None:
        """Send what waits, until the handler is closed."""
        while (timeout_s := self._next_wait_s()) > 0:
            try:
                with self._turn:
                    self._send_batch()
            except BlockingIOError:
                self._wait_for_peer(timeout_s)
            except Exception as exc:  # noqa: BLE001 - the next line may do better, and a dead thread none at all
                self._went_away(exc)

    def _next_wait_s(self) -> float:
        """Once something waits: how long it may take to send it; 0 at the end."""
        with self._turn:
            self._has_work.wait_for(lambda: bool(self._queue) or self._give_up_s < math.inf)
            return min(WAIT_S, self._give_up_s - time.monotonic()) if self._queue else 0.0

    def _wait_for_peer(self, timeout_s: float) -> None:
        try:
            self._transport.wait(timeout_s)
        except Exception as exc:  # noqa: BLE001 - as above
            self._went_away(exc)

    def _went_away(self, cause: Exception) -> None:
        with self._turn:
            is_news = self._away_since_s is None
            if is_news:
                self._away_since_s = time.monotonic()
            self._is_away = True
            self._is_empty.notify_all()
        if is_news:  # without the turn: stderr may be a pipe that nobody empties
            self._say(f"cannot reach {self._address}: {cause}; lines wait, {self._queue_messages} at most")
        time.sleep(RETRY_S)

    def _came_back(self) -> None:
        """Once the queue is empty: one line for an outage or for lines that were lost."""
        dropped = self._dropped - self._dropped_before
        if self._away_since_s is None and not dropped:
            return
        away_s = round(time.monotonic() - self._away_since_s, 1) if self._away_since_s is not None else 0.0
        self._away_since_s = None
        self._dropped_before = self._dropped
        record = logging.makeLogRecord(
            {
                "name": "nova.logs.emit",
                "levelno": logging.WARNING,
                "levelname": "WARNING",
                "msg": "syslog is back",
                "fields": {"address": self._address, "away_s": away_s, "dropped": dropped},
            }
        )
        voice = self._voice()
        self._put(self._message(record, voice.header), voice.counts)  # past the bound on purpose: the loss must be said

    def _say(self, text: str) -> None:
        """To stderr, where a supervisor reads it, since the log itself is what is missing."""
        with suppress(Exception):  # closed, full or replaced: nobody is left to tell
            print(f"{self._header.app_name}: {text}", file=sys.stderr, flush=True)  # noqa: T201


def _call(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    if (bound := method()) is not None:
        bound()
