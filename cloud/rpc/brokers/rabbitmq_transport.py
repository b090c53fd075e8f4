"""kombu's RabbitMQ transport without the one thing that a message could make it do."""

from typing import Any

from kombu.transport import pyamqp

from cloud.rpc.brokers.broker import plain_headers


class Message(pyamqp.Message):  # type: ignore[misc]  # kombu is not annotated
    """What was in a queue, and not what it claims to unpack to."""

    def __init__(self, msg: Any, channel: Any = None, **kwargs: Any) -> None:
        msg.properties["application_headers"] = plain_headers(msg.properties.get("application_headers"))
        super().__init__(msg, channel, **kwargs)


class Channel(pyamqp.Channel):  # type: ignore[misc]  # as above
    """As kombu's, with our messages."""

    Message = Message


class Connection(pyamqp.Connection):  # type: ignore[misc]  # as above
    """As kombu's, with our channels."""

    Channel = Channel


class Transport(pyamqp.Transport):  # type: ignore[misc]  # as above
    """As kombu's, with our connections."""

    Connection = Connection
