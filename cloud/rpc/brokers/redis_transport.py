"""kombu's Redis transport without the ways in which it loses messages, connections or its mind."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kombu.transport import redis, virtual
from kombu.utils.json import dumps
from redis.exceptions import RedisError

from cloud.rpc.brokers.broker import GarbageError, plain_headers
from cloud.rpc.topology import EXCHANGE, UNUSED_QUEUE_S, UNUSED_REPLY_QUEUE_S, is_reply_queue

WAIT_S = 10
"""That redis lets one wait for a message before it says that there is none, and is asked again."""
MAX_WAITING = 10_000
"""Messages in one queue, each of 1 MiB at the most: more are refused to whoever sends them."""


class FullError(Exception):
    """A queue that has MAX_WAITING messages."""


class Message(virtual.Message):  # type: ignore[misc]  # kombu is not annotated
    """What was in a queue; GarbageError where nobody of ours has put it there."""

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        try:
            payload = payload | {"headers": plain_headers(payload.get("headers"))}
            super().__init__(payload, channel, **kwargs)
            _ = self.delivery_info["exchange"], self.delivery_info["routing_key"]  # kombu reads them without a look
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise GarbageError(f"not a message of kombu's: {type(exc).__name__}: {exc}") from exc


class QoS(redis.QoS):  # type: ignore[misc]  # as above
    """Notes in Redis what has been taken and is not yet acknowledged."""

    def append(self, message: Any, delivery_tag: str) -> None:
        try:
            super().append(message, delivery_tag)
        except (RedisError, OSError):
            # Redis is full or gone, and this process the only one to have the message: kombu would drop it.
            virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        with self.channel.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            # Without MULTI, in which a full Redis refuses even what makes room.
            pipe.hdel(self.unacked_key, delivery_tag).zrem(self.unacked_index_key, delivery_tag).execute()
        virtual.QoS.ack(self, delivery_tag)

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        """Not whenever there is nothing to read, as kombu has it: Redis.hold does it at its own pace."""

    def redeliver(self) -> None:
        """Back to their queues with what nobody has held for the visibility timeout.

        Looked for without kombu's lock, which takes three more answers: there is something after a death alone.
        """
        with self.channel.conn_or_acquire() as client:
            is_any = client.zcount(self.unacked_index_key, 0, time.time() - self.visibility_timeout)
        if is_any:
            super().restore_visible(num=100, interval=1)


class Channel(redis.Channel):  # type: ignore[misc]  # as above
    """One that closes at once, and whatever state its connection is in."""

    Message = Message
    QoS = QoS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._fanout_queues: dict[str, tuple[str, str]] = {}  # kombu's is the class's: all threads change the same
        self._waits_on: Any = None
        self._waits_as = 0
        self._pooled: Any = None
        super().__init__(*args, **kwargs)

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """As kombu's, which makes a client for each command, though all it has is the pool."""
        if client is None:
            if self._pooled is None or self._pooled.connection_pool is not self.pool:
                self._pooled = self._create_client()
            client = self._pooled
        yield client

    def is_bound(self, exchange: str, queue: str) -> bool:
        """Whether `queue` is bound to `exchange` under its own name; kombu drops what matches no binding."""
        _, pattern, _ = self.typeof(exchange).prepare_bind(queue, exchange, queue, {})
        member = self.sep.join((queue, pattern or "", queue))
        with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            is_bound, waiting = pipe.sismember(self.keyprefix_queue % exchange, member).llen(queue).execute()
        if waiting >= MAX_WAITING:
            raise FullError(f"{waiting} messages wait in {queue}")
        return bool(is_bound)

    def _put(self, queue: str, message: Any, **_options: Any) -> None:
        """As kombu's, and let what nobody takes go, as RabbitMQ would."""
        after_s = UNUSED_REPLY_QUEUE_S if is_reply_queue(queue) else UNUSED_QUEUE_S
        with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            pipe.lpush(queue, dumps(message)).expire(queue, round(after_s)).execute()

    def _lookup(self, exchange: str, routing_key: str, default: str | None = None) -> list[str]:
        if exchange == EXCHANGE.name:
            return [routing_key]  # the queue's name: kombu would read the table of all hosts for each message
        found: list[str] = super()._lookup(exchange, routing_key, default)
        return found

    def close(self) -> None:
        errors = (*Transport.connection_errors, *Transport.channel_errors, AttributeError, GarbageError)
        try:
            if self._in_poll:
                with suppress(*errors), self.conn_or_acquire() as client:
                    client.client_unblock(self._waits_as)  # or its answer, which may be a message, takes a second
            with suppress(*errors):
                super().close()
        finally:
            self._disconnect_pools()
            self._close_clients()
            if self._qos is not None:
                self._qos._on_collect.cancel()  # otherwise it keeps all of this for ever

    def _brpop_start(self, timeout: float | None = None) -> None:
        if self._waits_on is not self.client.connection._sock:
            self._waits_on, self._waits_as = self.client.connection._sock, self.client.client_id()
        super()._brpop_start(timeout)

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise GarbageError(f"not JSON: {exc}") from exc


class Transport(redis.Transport):  # type: ignore[misc]  # as above
    """As kombu's, with our channels, which ask less often."""

    Channel = Channel
    brpop_timeout = WAIT_S
