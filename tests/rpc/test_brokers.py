"""What every broker of the contract tests promises: it starts, it keeps what it confirmed, and it leaves nothing."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from amqp.exceptions import AccessRefused
from kombu import Connection, Exchange, Producer, Queue

from tests.brokers import Broker, RabbitMqBroker, RedisBroker, processes_of
from tests.waiting import wait_until

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
KINDS: dict[str, type[Broker]] = {"redis": RedisBroker, "rabbitmq": RabbitMqBroker}
QUEUE = Queue("compute.compute-01", Exchange("nova", type="topic", durable=True), routing_key="compute.#", durable=True)


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    with KINDS[request.param]() as started:
        yield started


def connect(broker: Broker) -> Connection:
    return Connection(broker.url, connect_timeout=5, transport_options={"confirm_publish": True})


def test_a_confirmed_message_outlives_a_kill_and_comes_once_through_the_binding_made_before(broker: Broker) -> None:
    url = broker.url
    with connect(broker) as connection, connection.channel() as channel:
        QUEUE(channel).declare()
        producer = Producer(channel, exchange=QUEUE.exchange)
        producer.publish({"number": 1}, routing_key="compute.start", delivery_mode="persistent")
    broker.kill()
    broker.start()
    assert broker.url == url
    with connect(broker) as connection, connection.channel() as channel:
        # Declares the exchange: on redis its type is known only to the clients that did.
        producer = Producer(channel, exchange=QUEUE.exchange)
        producer.publish({"number": 2}, routing_key="compute.stop", delivery_mode="persistent")
        queue = QUEUE(channel)
        messages = [queue.get(), queue.get()]
        assert [message and message.payload for message in messages] == [{"number": 1}, {"number": 2}]
        for message in messages:
            message.ack()
        assert queue.get() is None


def test_stop_keeps_the_data_and_leaves_no_process(broker: Broker) -> None:
    with connect(broker) as connection, connection.channel() as channel:
        QUEUE(channel).declare()
        Producer(channel, exchange=QUEUE.exchange).publish("kept", routing_key="compute.x", delivery_mode="persistent")
    assert processes_of(broker.directory) != []
    broker.stop()
    assert processes_of(broker.directory) == []
    broker.start()
    with connect(broker) as connection, connection.channel() as channel:
        message = QUEUE(channel).get()
        assert message is not None
        assert message.payload == "kept"


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_outlives_a_killed_test_run(kind: str) -> None:
    code = (
        f"from tests.brokers import {KINDS[kind].__name__} as Broker\n"
        "import signal\n"
        "with Broker() as broker:\n"
        "    print(broker.directory, flush=True)\n"
        "    signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        home = Path(run.stdout.readline().strip())
        try:
            assert home.is_dir()
            assert processes_of(home) != []
        finally:
            run.kill()
    wait_until(lambda: processes_of(home) == [], what=f"the end of {kind}")
    shutil.rmtree(home)


def test_redis_that_cannot_start_says_why_in_its_own_words_and_leaves_nothing() -> None:
    broker = RedisBroker()
    (broker.directory / "appendonlydir").write_text("a file where redis 7 wants a directory")
    (broker.directory / "appendonly.aof").mkdir()  # and the other way round for 6.2
    with pytest.raises(RuntimeError, match=r"(?s)^cannot start redis: it ended with 1 and said: .*append"), broker:
        pass
    assert processes_of(broker.directory) == []
    assert not broker.directory.exists()


def test_rabbitmq_that_cannot_start_says_why_in_its_own_words_and_leaves_nothing() -> None:
    broker = RabbitMqBroker()
    refused = pytest.raises(RuntimeError, match=r"(?s)^cannot start rabbitmq: it ended with 1 and said: .*in use")
    with socket.create_server(("127.0.0.1", broker.distribution_port)), refused, broker:
        pass
    assert processes_of(broker.directory) == []
    assert not broker.directory.exists()


def test_rabbitmq_lets_nobody_in_but_the_user_of_its_url() -> None:
    with RabbitMqBroker() as broker:
        address = broker.url.partition("@")[2]
        for user in ("nova:wrong", "guest:guest"):
            with Connection(f"amqp://{user}@{address}") as connection, pytest.raises(AccessRefused):
                connection.connect()
