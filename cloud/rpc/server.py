"""Serves a role on a host: takes requests from the bus, runs their methods in threads, replies, then acknowledges."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import kombu
from kombu import Connection, Consumer, Queue

from cloud.logs.emit import logger, request_context
from cloud.logs.emit.speaker import in_same_voice
from cloud.rpc.envelope import Reply, Request
from cloud.rpc.errors import BadMessageError, RpcError, is_expected
from cloud.rpc.methods import Methods, invoke
from cloud.rpc.publisher import Publisher
from cloud.rpc.subscription import Subscription
from cloud.rpc.topology import Target, fanout_queue, queues_of

WORKERS = 16
MAX_FANOUTS_WAITING = 1000
REMEMBERED = 10_000
"""Ids of requests that were done, by which one that comes a second time is known."""
CLOCK_GRACE_S = 5.0
"""By which the clocks of two hosts may differ; a request is not called late before."""
EXPIRED_EVERY_S = 10.0
CLOSE_TIMEOUT_S = 2.0
REPLY_TIMEOUT_S = 10.0
"""For a reply whose request does not say how long it is waited for."""


@dataclass(frozen=True, slots=True)
class ServerStats:
    """Counts since the start."""

    handled: int
    failed: int
    refused: int
    repeated: int
    expired: int


class RpcServer:
    """A request is acknowledged when its method has returned: if we die meanwhile, it comes back to another of us.

    So a method may run twice; what it changes, it changes by compare-and-set. What one sender sends to one queue is
    begun in the order in which it was sent. Implements the subscription's Handler.
    """

    def __init__(
        self,
        publisher: Publisher,
        target: Target,
        methods: Methods,
        *,
        workers: int = WORKERS,
        queues: Sequence[Queue] | None = None,
    ) -> None:
        """Serve `target`, which has a host, with `methods`, `workers` of them at the same time.

        With `queues`, what comes from those and nothing else, beside the service's own server: that one has the rest,
        and is the one that says when the bus is away.
        """
        if target.host is None:
            raise ValueError(f"cannot serve {target}: a service has a host")
        self._publisher = publisher
        self._role, self._host = target.role, target.host
        self._is_own = queues is None
        self._queues = queues_of(target.role, target.host) if queues is None else queues
        self._methods = methods
        self._workers = workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="rpc", initializer=in_same_voice(_begin))
        self._lock = threading.Lock()
        self._running: dict[str, kombu.Message | None] = {}
        self._done: OrderedDict[str, None] = OrderedDict()
        self._to_acknowledge: deque[kombu.Message] = deque()
        self._counts = dict.fromkeys(("handled", "failed", "refused", "repeated", "expired"), 0)
        self._channel: kombu.Channel | None = None
        self._consumer: Consumer | None = None
        self._next_hold_s = 0.0
        self._next_expired_s = 0.0
        self._drain_until_s: float | None = None
        self._subscription = Subscription("rpc-server", publisher.broker, self)

    def start(self) -> None:
        """Begin to serve, as soon as the broker can be reached."""
        self._subscription.start()

    def wait_until_up(self, timeout_s: float) -> bool:
        """Whether requests can come in, within `timeout_s`."""
        return self._subscription.wait_until_up(timeout_s)

    def stop(self, timeout_s: float) -> bool:
        """Take nothing new and let what runs come to its end; whether it did within `timeout_s`.

        What did not goes back to the queue.
        """
        self._drain_until_s = time.monotonic() + timeout_s
        self._subscription.wake()
        if self._subscription.is_up or not self.is_done():  # without a bus nothing new can come
            self._subscription.join(timeout_s)
        self._subscription.close(CLOSE_TIMEOUT_S)
        with self._lock:
            is_drained = not self._running
        self._pool.shutdown(wait=False, cancel_futures=True)
        return is_drained

    def stats(self) -> ServerStats:
        with self._lock:
            return ServerStats(**self._counts)

    # The subscription's thread, which alone touches the connection, runs what follows.

    def subscribe(self, connection: Connection) -> Sequence[Consumer]:
        channel = self._channel = connection.channel()
        if self._drain_until_s is not None:
            return ()
        channel.basic_qos(0, self._workers, False)  # no more: another of the role may be idle
        self._consumer = Consumer(channel, self._queues, on_message=self._take)
        if not self._is_own:
            return (self._consumer,)
        # A channel of its own: fanouts come also while the workers are busy.
        fanout = fanout_queue(self._role, self._publisher.broker.fanout_instance(self._host))
        return (
            self._consumer,
            Consumer(connection.channel(), [fanout], no_ack=True, on_message=self._take_fanout),
        )

    def disconnected(self) -> None:
        with self._lock:
            self._running = dict.fromkeys(self._running)
            self._to_acknowledge.clear()  # it comes again, and is known by its id

    def refuse(self, cause: str) -> None:
        self._count("refused")
        logger.bind(error=cause).warning("request refused")

    def tick(self) -> None:
        self._acknowledge()
        self._hold()
        if self._drain_until_s is not None and self._consumer is not None:
            self._consumer.cancel()
            self._consumer = None  # fanouts still come, and are let go: on Redis one on its way would break all of it

    def is_done(self) -> bool:
        if self._drain_until_s is None:
            return False
        with self._lock:
            is_drained = not self._running and not self._to_acknowledge
        return is_drained or time.monotonic() >= self._drain_until_s

    def went_away(self, cause: str) -> None:
        if self._is_own:
            logger.bind(bus=str(self._publisher.broker), error=cause).warning("bus is away")

    def came_back(self, away_s: float) -> None:
        if self._is_own:
            logger.bind(bus=str(self._publisher.broker), away_s=round(away_s, 1)).warning("bus is back")

    def _acknowledge(self) -> None:
        for _ in range(len(self._to_acknowledge)):
            message = self._to_acknowledge.popleft()
            if message.channel is self._channel:  # what came over a connection before comes again
                message.ack()

    def _hold(self) -> None:
        if time.monotonic() < self._next_hold_s:
            return
        broker = self._publisher.broker
        self._next_hold_s = time.monotonic() + broker.hold_interval_s
        with self._lock:
            held = [message for message in self._running.values() if message is not None]
        broker.hold(self._channel, [message.delivery_tag for message in held])

    def _take(self, message: kombu.Message) -> None:
        request = self._read(message)
        if request is None:
            self._acknowledge_soon(message)
            return
        with self._lock:
            is_running = request.id in self._running
            is_done = request.id in self._done
            if is_running or is_done:
                self._counts["repeated"] += 1
            if (superseded := self._running.get(request.id)) is not None:
                self._acknowledge_soon(superseded)  # or it would hold a place of the window for ever
            if is_done:
                self._acknowledge_soon(message)
            else:
                self._running[request.id] = message
        if not is_running and not is_done:
            self._pool.submit(self._serve, request)

    def _acknowledge_soon(self, message: kombu.Message) -> None:
        self._to_acknowledge.append(message)
        self._subscription.wake()

    def _take_fanout(self, message: kombu.Message) -> None:
        request = self._read(message)
        if request is None or self._drain_until_s is not None:
            return
        with self._lock:
            is_full = len(self._running) >= MAX_FANOUTS_WAITING
            if is_full:
                self._counts["refused"] += 1
            else:
                self._running[request.id] = None
        if is_full:
            logger.bind(method=request.method, sender=request.sender).warning("fanout dropped: too many wait")
        else:
            self._pool.submit(self._serve, request)

    def _read(self, message: kombu.Message) -> Request | None:
        try:
            return Request.decode(message.body)
        except BadMessageError as exc:
            self.refuse(str(exc))
            return None

    # The pool's threads run what follows.

    def _serve(self, request: Request) -> None:
        try:
            with request_context(**asdict(request.context)):
                self._handle(request)
        except Exception:  # noqa: BLE001 - the pool would keep it to itself, and the request would never end
            logger.exception("cannot serve request")
        finally:
            with self._lock:
                message = self._running.pop(request.id, None)
                self._done[request.id] = None
                if len(self._done) > REMEMBERED:
                    self._done.popitem(last=False)
                if message is not None:  # in one with the above, or a drain would end before it
                    self._to_acknowledge.append(message)
            if message is not None:
                self._subscription.wake()

    def _handle(self, request: Request) -> None:
        line = logger.bind(method=request.method, sender=request.sender)
        if request.expires_at_s is not None and time.time() > request.expires_at_s + CLOCK_GRACE_S:
            self._expired(request)
            return
        started_s = time.monotonic()
        reply = self._outcome(request)
        line.bind(handled_s=round(time.monotonic() - started_s, 3)).debug("request handled")
        if request.reply_to is not None:
            self._reply(request, request.reply_to, reply)

    def _expired(self, request: Request) -> None:
        """Count it, and say so now and then: who was away for long finds many."""
        with self._lock:
            self._counts["expired"] += 1
            total = self._counts["expired"]
            is_said = time.monotonic() < self._next_expired_s
            if not is_said:
                self._next_expired_s = time.monotonic() + EXPIRED_EVERY_S
        if not is_said:
            logger.bind(method=request.method, sender=request.sender, total=total).warning("requests came too late")

    def _outcome(self, request: Request) -> Reply:
        try:
            result = invoke(self._methods, request.method, request.arguments)
        except Exception as exc:  # noqa: BLE001 - whoever asked gets it, whatever it is
            self._count("failed")
            line = logger.bind(method=request.method, sender=request.sender)
            if not is_expected(exc):
                line.opt(exception=exc).error("method failed")
            elif request.reply_to is None:  # nobody else will say it
                line.bind(error=str(exc)).error("method failed")
            return Reply(request.id, error=exc)
        self._count("handled")
        return Reply(request.id, result)

    def _reply(self, request: Request, queue: str, reply: Reply) -> None:
        try:
            body = reply.encode()
        except BadMessageError as exc:
            logger.bind(method=request.method, error=str(exc)).error("method returned what cannot be sent")
            body = Reply(request.id, error=exc).encode()
        left_s = REPLY_TIMEOUT_S if request.expires_at_s is None else request.expires_at_s - time.time()
        try:
            self._publisher.send_reply(queue, body, deadline_s=time.monotonic() + max(left_s, 0.1))
        except RpcError as exc:
            logger.bind(method=request.method, sender=request.sender, error=str(exc)).warning("cannot send reply")

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1


def _begin() -> None:
    """Nothing more in a new thread of the pool: it speaks for us from here on."""
