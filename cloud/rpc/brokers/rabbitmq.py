"""RabbitMQ, which does all of it itself."""

import math
import select
import ssl
import uuid
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Any

from amqp.exceptions import MessageNacked
from kombu import Connection

from cloud.rpc.brokers.broker import SEND_TIMEOUT_S, Broker
from cloud.rpc.brokers.rabbitmq_transport import Transport

HEARTBEAT_S = 30.0
"""Two missed ones end a connection. Only what is consumed from has them: nobody would send a publisher's."""

PART_TIMEOUT_S = 0.2
"""For the rest of a frame whose beginning has arrived; then it waits for the next turn."""


class RabbitMq(Broker):
    """amqp:// and amqps://; publishing waits for the broker's confirmation."""

    # py-amqp meets None where a socket was when a connection ends under it (kombu's own words).
    failures = (*Transport.connection_errors, *Transport.channel_errors, AttributeError)
    refusals = (MessageNacked,)
    hold_interval_s = math.inf

    def __init__(self, url: str, shown: str, tls: dict[str, Any] | None) -> None:
        super().__init__(url, shown)
        self._tls = tls

    def drop(self, connection: Connection) -> None:
        with suppress(Exception):  # it may be broken in any way
            connection.collect()

    def descriptors(self, connection: Connection) -> Iterable[int]:
        return (connection.connection.sock.fileno(),)

    def take(self, connection: Connection) -> bool:
        sock = connection.connection.sock
        is_decrypted = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        if not is_decrypted:
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            if not poll.poll(0):
                return False
        try:
            # Not drain_events: it waits on after a heartbeat. Not timeout 0: py-amqp spins until a frame is complete.
            connection.connection.blocking_read(PART_TIMEOUT_S)
        except TimeoutError:
            return False
        return True

    def check(self, connection: Connection) -> None:
        connection.heartbeat_check()

    def leads_somewhere(self, channel: Any, exchange: str, routing_key: str) -> bool:  # noqa: ARG002 - no need to look
        return True  # the broker returns what leads nowhere

    def fanout_instance(self, host: str) -> str:  # noqa: ARG002 - the broker may still hold the queue of the last one
        return uuid.uuid4().hex

    def hold(self, channel: Any, delivery_tags: Collection[str | int]) -> None:
        """Nothing to do: what is not acknowledged stays with a consumer as long as its connection lives."""

    def _connection(self, timeout_s: float, *, is_consumed: bool) -> Connection:
        connection = Connection(
            self._url,
            ssl=self._tls or False,
            connect_timeout=timeout_s,
            heartbeat=HEARTBEAT_S if is_consumed else 0,
            transport_options={
                "confirm_publish": True,
                "read_timeout": SEND_TIMEOUT_S,
                "write_timeout": SEND_TIMEOUT_S,
                "login_method": "PLAIN",
            },
        )
        connection.transport_cls = Transport
        return connection
