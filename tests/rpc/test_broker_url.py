"""transport_url."""

from pathlib import Path

import pytest

from cloud.rpc.brokers import BusUrlError, broker_for
from cloud.rpc.brokers.rabbitmq import RabbitMq
from cloud.rpc.brokers.redis import Redis

VALID = [
    ("redis+socket:///run/nova/redis.sock", Redis, "redis+socket:///run/nova/redis.sock"),
    ("redis://localhost:6380/1", Redis, "redis://localhost:6380/1"),
    ("redis://:s3cret@127.0.0.1", Redis, "redis://:***@127.0.0.1"),
    ("rediss://:s3cret@redis.example/0", Redis, "rediss://:***@redis.example/0"),
    ("amqp://nova:s3cret@localhost:5672/", RabbitMq, "amqp://nova:***@localhost:5672/"),
    ("amqp://nova:s3cret@[::1]:5672//", RabbitMq, "amqp://nova:***@[::1]:5672//"),
    ("amqps://nova:s3cret@rabbit.example/v", RabbitMq, "amqps://nova:***@rabbit.example/v"),
    ("amqps://nova:a@s3cret@rabbit.example", RabbitMq, "amqps://nova:***@rabbit.example"),
    ("amqps://nova:12/s3cret@rabbit.example", RabbitMq, "amqps://nova:12***"),
    ("amqps://nova@rabbit.example", RabbitMq, "amqps://nova@rabbit.example"),
]


@pytest.mark.parametrize(("url", "kind", "shown"), VALID)
def test_a_url_leads_to_its_broker_which_never_shows_the_password(url: str, kind: type, shown: str) -> None:
    broker = broker_for(url)
    assert type(broker) is kind
    assert (str(broker), repr(broker), broker.shown) == (shown, shown, shown)
    assert "s3cret" not in f"{broker} {broker!r}"


@pytest.mark.parametrize(
    ("url", "error"),
    [
        (
            "",
            r"cannot use transport_url ://: expected one of amqp://, amqps://, redis://, rediss://, redis\+socket://$",
        ),
        ("rabbit.example", "cannot use transport_url ://rabbit.example: expected one of "),
        ("nova:s3cret@rabbit.example", r"cannot use transport_url nova://\*\*\*: expected one of "),
        ("amqps:/nova:s3cret@rabbit.example/", r"cannot use transport_url amqps://\*\*\*: it names no host"),
        ("http://nova:s3cret@x/", r"cannot use transport_url http://nova:\*\*\*@x/: expected one of "),
        ("rabbit://nova:s3cret@x/", r"cannot use transport_url rabbit://nova:\*\*\*@x/: expected one of "),
        ("amqp://", "cannot use transport_url amqp://: it names no host"),
        ("amqp://nova:s3cret@/v", r"cannot use transport_url amqp://nova:\*\*\*@/v: it names no host"),
        ("redis+socket://run/x", r"cannot use transport_url redis\+socket://run/x: expected redis\+socket:///PATH"),
        ("redis+socket://", r"cannot use transport_url redis\+socket://: expected redis\+socket:///PATH"),
        ("amqps://nova:s3cret@x:port/", "cannot use transport_url: it is not a URL"),
        ("amqps://nova:s3cret@x:99999/", "cannot use transport_url: it is not a URL"),
        ("amqps://nova:s3cret@[::1/", "cannot use transport_url: it is not a URL"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str, error: str) -> None:
    with pytest.raises(BusUrlError, match=f"^{error}") as raised:
        broker_for(url, allows_plaintext=True)
    assert "s3cret" not in f"{raised.value} {raised.value!r} {raised.value.__cause__}"


@pytest.mark.parametrize(
    "url",
    [
        "rediss://:s3cret@redis.example/0?ssl_cert_reqs=none&ssl_check_hostname=false",
        "redis://127.0.0.1/0?virtual_host=5",
        "amqps://nova:s3cret@rabbit.example/v?",
        "amqps://nova:s3cret@rabbit.example/v#x",
        "amqp://127.0.0.1/v;amqp://nova:s3cret@10.0.0.9/",
    ],
)
def test_a_url_has_no_say_in_tls_and_names_one_broker_only(url: str) -> None:
    with pytest.raises(BusUrlError, match=r"^cannot use transport_url: it has a \?, # or ;") as raised:
        broker_for(url, allows_plaintext=True)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["amqp://n:s3cret@10.0.0.1/", "amqp://n:s3cret@rabbit/", "redis://0.0.0.0/", "redis://localhost.example"]
)
def test_plain_text_leaves_this_machine_only_where_it_is_allowed(url: str) -> None:
    with pytest.raises(BusUrlError, match=r"would cross the network as plain text; use (amqps|rediss)://, or set"):
        broker_for(url)
    broker_for(url, allows_plaintext=True)


@pytest.mark.parametrize("url", ["amqps://n:p@rabbit.example:5671/v", "rediss://:p@redis.example/"])
def test_tls_always_checks_certificate_and_name(url: str) -> None:
    options = broker_for(url, ca_file=Path("/etc/ca.pem"))._connection(1, is_consumed=True).ssl
    if url.startswith("amqps"):
        assert options == {
            "context": {"cafile": "/etc/ca.pem", "check_hostname": True},
            "server_hostname": "rabbit.example",
        }
    else:
        assert options == {"ssl_cert_reqs": 2, "ssl_check_hostname": True, "ssl_ca_certs": "/etc/ca.pem"}


def test_only_a_connection_that_is_consumed_from_has_heartbeats() -> None:
    """Nobody would send those of a publisher, and RabbitMQ would end its connection."""
    broker = broker_for("amqps://n:p@rabbit.example/")
    assert broker._connection(1, is_consumed=True).heartbeat == 30
    assert broker._connection(1, is_consumed=False).heartbeat == 0
