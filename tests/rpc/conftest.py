"""Both brokers, started once for all tests, and a bus for each test."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from loguru import logger

from tests.brokers import Broker, RabbitMqBroker, RedisBroker
from tests.rpc.bus import Bus, Line

KINDS: dict[str, type[Broker]] = {"redis": RedisBroker, "rabbitmq": RabbitMqBroker}


class Brokers:
    """Of each kind one, which is started when it is first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._started: dict[str, Broker] = {}

    def get(self, kind: str) -> Broker:
        if kind not in self._started:
            self._started[kind] = self._stack.enter_context(KINDS[kind]())
        return self._started[kind]


@pytest.fixture(scope="session")
def brokers() -> Iterator[Brokers]:
    with ExitStack() as stack:
        yield Brokers(stack)


@pytest.fixture(params=KINDS)
def shared_broker(request: pytest.FixtureRequest, brokers: Brokers) -> Broker:
    """One that runs for all tests."""
    return brokers.get(request.param)


@pytest.fixture
def lines() -> Iterator[list[Line]]:
    """What is logged."""
    taken: list[Line] = []

    def take(message: Any) -> None:
        taken.append((message.record["message"], {**message.record["extra"], "level": message.record["level"].name}))

    sink = logger.add(take, level=0, catch=False)
    yield taken
    logger.remove(sink)


@pytest.fixture
def bus(shared_broker: Broker, lines: list[Line]) -> Iterator[Bus]:
    with ExitStack() as stack:
        yield Bus(shared_broker, stack, lines)
