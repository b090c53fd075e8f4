"""Redis, on which kombu emulates AMQP: what the emulation leaves open is closed here."""

import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Any

from kombu import Connection
from redis.exceptions import OutOfMemoryError

from cloud.rpc.brokers.broker import SEND_TIMEOUT_S, Broker
from cloud.rpc.brokers.redis_transport import FullError, Transport

REDELIVER_AFTER_S = 12.0
"""An unacknowledged message comes back after this, unless its consumer holds it: so it goes by the consumer's life,
not by how long the work takes."""


class Redis(Broker):
    """redis://, rediss:// and redis+socket://."""

    # kombu counts KeyError among them, and meets None where a socket was.
    failures = (*Transport.connection_errors, *Transport.channel_errors, AttributeError)
    refusals = (OutOfMemoryError, FullError)

    def __init__(
        self, url: str, shown: str, tls: dict[str, Any] | None, *, redeliver_after_s: float = REDELIVER_AFTER_S
    ) -> None:
        super().__init__(url, shown)
        self._tls = tls
        self._redeliver_after_s = redeliver_after_s
        self.hold_interval_s = redeliver_after_s / 4

    def drop(self, connection: Connection) -> None:
        with suppress(Exception):  # it may be broken in any way
            connection.release()

    def descriptors(self, connection: Connection) -> Iterable[int]:
        connection.transport.cycle.on_poll_start()  # asks Redis again where an answer has come: nothing would arrive
        return tuple(connection.transport.cycle.fds)

    def take(self, connection: Connection) -> bool:
        try:
            connection.drain_events(timeout=0)
        except TimeoutError:
            return False
        return True

    def check(self, connection: Connection) -> None:
        connection.transport.cycle.maybe_check_subclient_health()

    def leads_somewhere(self, channel: Any, exchange: str, routing_key: str) -> bool:
        return bool(channel.is_bound(exchange, routing_key))

    def fanout_instance(self, host: str) -> str:
        return host  # one for all its lives: a binding on Redis outlives whoever made it

    def hold(self, channel: Any, delivery_tags: Collection[str | int]) -> None:
        with suppress(OutOfMemoryError):  # then nobody can have them delivered again either
            if delivery_tags:
                now_s = time.time()
                with channel.conn_or_acquire() as client:  # not channel.client: its connection waits for messages
                    client.zadd(channel.unacked_index_key, {str(tag): now_s for tag in delivery_tags}, xx=True)
            channel.qos.redeliver()

    def _connection(self, timeout_s: float, *, is_consumed: bool) -> Connection:  # noqa: ARG002 - Redis has no heartbeats
        connection = Connection(
            self._url,
            ssl=self._tls or False,
            transport_options={
                "socket_connect_timeout": timeout_s,
                "socket_timeout": SEND_TIMEOUT_S,
                "visibility_timeout": self._redeliver_after_s,
                "unacked_mutex_expire": 10,  # of a consumer that died while it looked for what to deliver again
                "priority_steps": [0],  # one list for a queue rather than four
                "max_connections": 4,
            },
        )
        connection.transport_cls = Transport  # no URL with a + could name it
        return connection
