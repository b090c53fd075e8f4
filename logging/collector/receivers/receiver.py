"""All listeners in one thread: what is ready is read in turn, a bounded amount each, into the inbox's batch."""

import threading
import time
from collections.abc import Callable, Sequence

from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.receivers.acceptor import Acceptor
from cloud.logs.collector.receivers.complaints import Complaints
from cloud.logs.collector.receivers.connection import Connection, Shared
from cloud.logs.collector.receivers.datagram import DatagramSocket
from cloud.logs.collector.receivers.intake import Intake
from cloud.logs.collector.receivers.relp import Ledger
from cloud.logs.collector.receivers.scan import load_scans
from cloud.logs.collector.receivers.settings import ListenerSettings
from cloud.logs.collector.receivers.waker import Waker
from cloud.logs.collector.receivers.watch import READ, Watch
from cloud.logs.collector.worker import start_worker

LAST_READ_S = 1.0
LAST_ANSWERS_S = 1.0
BUSY_BYTES = 64 << 10
BUSY_READ_BYTES = 64 << 10
PAUSE_S = 0.03  # so that more comes at once, where little came at all
SHORT_PAUSE_S = 0.001  # ... or much, but little of it from each
QUIET_S = 0.001  # when no RELP peer has sent for so long, all of them wait for their answers


class Receiver:
    """Reads from `start` until `stop_reading`, and answers until `stop`.

    Without room in the inbox it reads no stream, so that their senders block, and drops datagrams.
    """

    def __init__(
        self, listeners: Sequence[ListenerSettings], inbox: Inbox, metrics: Metrics, clock_us: Callable[[], int]
    ) -> None:
        """Bind all addresses at once; `ListenError` when one fails. `clock_us` is the time of arrival."""
        load_scans()
        self._inbox = inbox
        self._metrics = metrics
        self._waker = Waker()
        self._watch = Watch()
        self._intake = Intake(inbox, metrics, clock_us)
        self._ledger = Ledger(self._waker.wake)
        self._shared = Shared(self._intake, self._watch, self._ledger, Complaints())
        self._acceptors: list[Acceptor] = []
        self._datagrams: list[DatagramSocket] = []
        self._listeners: list[Acceptor | DatagramSocket] = []
        self._has_room = False
        self._hurried_s = 0.0
        self._stopping = threading.Event()
        self._has_stopped_reading = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        try:
            for settings in listeners:
                self._listen(settings)
        except BaseException:
            self._close_sockets()
            raise
        inbox.on_room(self._on_room)

    @property
    def urls(self) -> list[str]:
        """One for each listener, in order, with the port that was taken for 0."""
        return [listener.url for listener in self._listeners]

    def start(self, on_broken: Callable[[], None]) -> None:
        """`on_broken` is called, from the receiver's thread, when that ends early."""
        self._thread = start_worker("receiver", self._run, on_broken)

    def stop_reading(self) -> None:
        """Take no more connections, read what has arrived already, and no more; all within two seconds.

        What finds no room in that time is counted as dropped. RELP's peers send again what was not read.
        """
        self._stopping.set()
        self._waker.wake()
        if self._thread is not None:
            self._has_stopped_reading.wait(2 * LAST_READ_S)

    def stop(self) -> None:
        """Answer what has become durable since `stop_reading`, take leave of RELP's peers, close; within 2 s."""
        self._stopping.set()
        self._closing.set()
        self._waker.wake()
        if self._thread is None:
            self._close_sockets()
        else:
            self._thread.join(LAST_READ_S + 2 * LAST_ANSWERS_S)

    def _listen(self, settings: ListenerSettings) -> None:
        listener: Acceptor | DatagramSocket
        if settings.scheme in ("udp", "unix"):
            listener = DatagramSocket(settings, self._intake, self._watch, self._shared.complaints)
            self._datagrams.append(listener)
        else:
            listener = Acceptor(settings, self._shared)
            self._acceptors.append(listener)
        self._listeners.append(listener)

    def _run(self) -> None:
        try:
            self._watch.set(_Woken(self._waker), READ)
            for listener in self._listeners:
                listener.start()
            while not self._stopping.is_set():
                self._read_in_turn()
            self._read_the_rest()
            self._has_stopped_reading.set()
            while not self._closing.is_set():
                self._turn(None)
            self._take_leave()
        finally:
            self._has_stopped_reading.set()
            self._close_sockets()

    def _read_in_turn(self) -> None:
        served, read_bytes = self._turn(self._timeout_s())
        self._check_times()
        self._hurry_if_all_wait()
        if self._watch.has_again:
            return
        if self._ledger.open_accounts:
            self._waker.wait(QUIET_S)
        elif read_bytes < BUSY_BYTES:
            self._waker.wait(PAUSE_S)
        elif read_bytes < served * BUSY_READ_BYTES:
            self._waker.wait(SHORT_PAUSE_S)

    def _turn(self, timeout_s: float | None) -> tuple[int, int]:
        """Serve everybody who is ready once; how many those were, and how many bytes they brought."""
        ready = self._watch.ready(timeout_s)
        for member, events in ready.items():
            member.on_ready(events)
        if self._has_room:
            self._has_room = False  # before the rest: what is given from here on is told again
            self._intake.is_stalled = False
            self._watch.release()
        for account in self._ledger.take_due():
            account.session.answer(account)
            account.session.flush()
            self._metrics.relp_answers.inc(len(account.numbers))
        read_bytes = self._intake.received_bytes
        self._intake.report()
        return len(ready), read_bytes

    def _on_room(self) -> None:
        """In the writer's thread, after each batch that it gives back."""
        if self._intake.is_stalled:
            self._has_room = True
            self._waker.wake()

    def _timeout_s(self) -> float | None:
        if self._is_hurry_due:
            return QUIET_S
        due_s = min((each.next_due_s for each in self._acceptors if each.next_due_s is not None), default=None)
        return None if due_s is None else max(0.0, due_s - time.monotonic())

    def _check_times(self) -> None:
        now_s = time.monotonic()
        for acceptor in self._acceptors:
            if acceptor.next_due_s is not None:
                acceptor.on_time(now_s)

    @property
    def _is_hurry_due(self) -> bool:
        return self._ledger.open_accounts > 0 and self._hurried_s < self._shared.relp_read_s

    def _hurry_if_all_wait(self) -> None:
        """RELP's peers send a window and wait: when none sends any more, the batch is to be committed at once."""
        now_s = time.monotonic()
        if self._is_hurry_due and now_s - self._shared.relp_read_s >= QUIET_S:
            self._hurried_s = now_s
            with self._inbox.lock:
                self._inbox.hurry()

    def _read_the_rest(self) -> None:
        """Plain TCP acknowledges nothing: what the kernel has taken is only safe once it is read."""
        deadline_s = time.monotonic() + LAST_READ_S
        for acceptor in self._acceptors:
            while time.monotonic() < deadline_s and acceptor.accept():
                pass
            acceptor.close()
        unread: list[Connection] = []
        for connection in self._connections():
            if connection.session is not None:
                connection.stop_reading()
            elif connection.is_shaking_hands:
                connection.drop()
            else:
                unread.append(connection)
        for datagrams in self._datagrams:
            while time.monotonic() < deadline_s and datagrams.read():
                pass
        while unread and time.monotonic() < deadline_s:  # in turn: one that goes on sending starves no other
            unread = [connection for connection in unread if connection.read()]
            self._wait_for_room(deadline_s)
        ended = [connection for connection in self._connections() if connection.session is None]
        while ended and time.monotonic() < deadline_s:
            ended = [connection for connection in ended if connection.end()]
            self._wait_for_room(deadline_s)
        for connection in ended:
            self._metrics.dropped.labels("shutdown").inc(connection.drop())
        for datagrams in self._datagrams:
            datagrams.close()
        self._intake.report()

    def _wait_for_room(self, deadline_s: float) -> None:
        self._intake.report()
        while self._intake.is_stalled and (left_s := deadline_s - time.monotonic()) > 0:
            self._waker.wait(left_s)
            self._waker.clear()
            self._intake.is_stalled = not self._has_room
            self._has_room = False

    def _take_leave(self) -> None:
        """Send the last answers and a `serverclose` to each of RELP's peers, and wait a little for them to take it."""
        self._turn(0)
        for connection in self._connections():
            if connection.session is not None:
                connection.session.end()
            connection.flush()
        deadline_s = time.monotonic() + LAST_ANSWERS_S
        while self._connections() and (left_s := deadline_s - time.monotonic()) > 0:
            self._turn(left_s)

    def _connections(self) -> list[Connection]:
        return [connection for acceptor in self._acceptors for connection in acceptor.connections]

    def _close_sockets(self) -> None:
        for connection in self._connections():
            connection.drop()
        for acceptor in self._acceptors:
            acceptor.close()
        for datagrams in self._datagrams:
            datagrams.close()
        self._watch.close()
        self._waker.close()


class _Woken:
    """The waker as a member of the watch: being woken is all there is to it."""

    def __init__(self, waker: Waker) -> None:
        self.fileno = waker.fileno
        self._waker = waker

    def on_ready(self, events: int) -> None:  # noqa: ARG002 - there is only one
        self._waker.clear()
