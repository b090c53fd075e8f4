"""Who is on the bus, and which queue leads to whom: one table for those who publish and those who consume."""

import uuid
from dataclasses import dataclass
from typing import Self

from kombu import Exchange, Queue

ROLES = (
    "api",
    "cert",
    "compute",
    "conductor",
    "consoleauth",
    "network",
    "novncproxy",
    "objectstore",
    "scheduler",
    "identity",
    "image",
)
"""What a service does in the cloud."""

_BINARIES = {role: role if role in ("identity", "image") else f"nova-{role}" for role in ROLES}
"""Each role's program."""
_ROLES = {binary: role for role, binary in _BINARIES.items()}

EXCHANGE = Exchange("nova", type="topic", durable=True)
"""Leads a message to the queue that its routing key names: `compute`, or `compute.compute-01`."""

UNUSED_QUEUE_S = 7 * 24 * 3600.0
"""What waits for a service that has been away for a week goes: its host has left the cloud."""

UNUSED_REPLY_QUEUE_S = 60.0
"""A queue for replies outlives a connection that breaks, and not its process."""

MAX_WAITING = 100_000
"""Messages in one queue of a RabbitMQ. More are refused to whoever sends them; in a queue of fanouts or replies, which
nobody sends to by name, they push out the oldest. Redis has a bound of its own."""


@dataclass(frozen=True, slots=True)
class Target:
    """Any one service of a role, or with `host` the one there."""

    role: str
    host: str | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"unknown role {self.role!r}: expected one of {', '.join(ROLES)}")

    @classmethod
    def of(cls, binary: str, host: str | None = None) -> Self:
        """The target that the program `binary` (`nova-compute`) answers as; ValueError for an unknown one."""
        if binary not in _ROLES:
            raise ValueError(f"unknown service {binary!r}: expected one of {', '.join(_ROLES)}")
        return cls(_ROLES[binary], host)

    @property
    def binary(self) -> str:
        return _BINARIES[self.role]

    @property
    def routing_key(self) -> str:
        """Also the queue's name."""
        return f"{self.role}.{self.host}" if self.host else self.role

    def __str__(self) -> str:
        return f"{self.binary} on {self.host}" if self.host else self.binary


def queues_of(role: str, host: str) -> tuple[Queue, Queue]:
    """What the service of `role` on `host` takes turns at with the others of its role, and what is for it alone.

    Both outlive the service: what is sent while it restarts waits.
    """
    return queue_of(Target(role)), queue_of(Target(role, host))


def queue_of(target: Target) -> Queue:
    """Where what is sent to `target` waits; it outlives whoever serves it."""
    return Queue(
        target.routing_key,
        EXCHANGE,
        routing_key=target.routing_key,
        durable=True,
        expires=UNUSED_QUEUE_S,
        max_length=MAX_WAITING,
        queue_arguments={"x-overflow": "reject-publish"},
    )


def fanout_exchange(role: str) -> Exchange:
    """Leads a message to every service of `role` that runs."""
    return Exchange(f"nova_{Target(role).role}_fanout", type="fanout", durable=True)


def fanout_queue(role: str, instance: str) -> Queue:
    """One running service's own copy of what goes to all of `role`; `instance` tells it from the others'."""
    return Queue(
        f"{role}_fanout_{instance}",
        fanout_exchange(role),
        durable=False,
        auto_delete=True,
        exclusive=True,
        max_length=MAX_WAITING,
    )


def reply_queue(name: str) -> Queue:
    """Where one process gets its replies: reached by its name alone, over the broker's default exchange."""
    return Queue(name, expires=UNUSED_REPLY_QUEUE_S, max_length=MAX_WAITING)


_REPLY_PREFIX = "reply_"


def new_reply_queue_name() -> str:
    return f"{_REPLY_PREFIX}{uuid.uuid4().hex}"


def is_reply_queue(name: str) -> bool:
    return name.startswith(_REPLY_PREFIX)
