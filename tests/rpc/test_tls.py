"""Brokers over TLS: who is trusted, and that all of it works."""

import subprocess
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.rpc.brokers import broker_for
from cloud.rpc.client import RpcClient
from cloud.rpc.errors import BusUnavailableError
from cloud.rpc.methods import methods_of
from cloud.rpc.publisher import Publisher
from cloud.rpc.server import RpcServer
from cloud.rpc.topology import Target
from cloud.up.redis import redis_command
from tests.brokers import Broker, RabbitMqBroker, RedisBroker, _free_ports, _listens
from tests.rpc.test_calls import Mirror
from tests.waiting import wait_until

pytestmark = pytest.mark.server

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")


def make_ca(directory: Path, name: str) -> Path:
    certificate = directory / f"{name}.pem"
    openssl("-subj", f"/CN={name}", "-keyout", directory / f"{name}.key", "-out", certificate)
    return certificate


def make_certificate(directory: Path, ca: Path) -> None:
    """server.pem and server.key, for the name localhost and no other."""
    openssl(
        *("-CA", ca, "-CAkey", ca.with_suffix(".key"), "-subj", "/CN=broker"),
        *("-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"),
        *("-keyout", directory / "server.key", "-out", directory / "server.pem"),
    )


def openssl(*arguments: object) -> None:
    command = ["openssl", "req", "-x509", *_KEY, *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


class TlsBroker(Broker):
    """It also listens with TLS on `tls_port`."""

    tls_port: int

    @property
    @abstractmethod
    def tls_url(self) -> str:
        """Without the host and port: `%s` is where they go."""


class TlsRabbitMq(RabbitMqBroker, TlsBroker):
    def __init__(self) -> None:
        super().__init__()
        (self.tls_port,) = _free_ports(1)
        with (self.directory / "rabbitmq.conf").open("a") as configuration:
            configuration.write(
                f"listeners.ssl.local = 127.0.0.1:{self.tls_port}\n"
                f"ssl_options.certfile = {self.directory}/server.pem\n"
                f"ssl_options.keyfile = {self.directory}/server.key\n"
            )

    @property
    def tls_url(self) -> str:
        return f"amqps://{self.url.removeprefix('amqp://').partition('@')[0]}@%s/"


class TlsRedis(RedisBroker, TlsBroker):
    def __init__(self) -> None:
        super().__init__()
        (self.tls_port,) = _free_ports(1)

    @property
    def tls_url(self) -> str:
        return "rediss://%s/0"

    def _start_server(self) -> "subprocess.Popen[bytes]":
        assert self._program is not None
        options = {
            "tls-port": str(self.tls_port),
            "bind": "127.0.0.1",
            "tls-cert-file": f"{self.directory}/server.pem",
            "tls-key-file": f"{self.directory}/server.key",
            "tls-ca-cert-file": f"{self.directory}/ca.pem",
            "tls-auth-clients": "no",
        }
        arguments = [argument for name, value in options.items() for argument in (f"--{name}", value)]
        return self._spawn([*redis_command(self._program, self.directory, self.socket), *arguments], {})


@pytest.fixture(scope="module", params=[TlsRedis, TlsRabbitMq], ids=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> Iterator[TlsBroker]:
    started = request.param()
    make_certificate(started.directory, make_ca(started.directory, "ca"))
    make_ca(started.directory, "another-ca")
    with started:
        wait_until(lambda: _listens(started.tls_port), what="TLS")
        yield started


def test_the_bus_works_over_tls_to_a_broker_whose_certificate_and_name_are_right(broker: TlsBroker) -> None:
    target, ca = Target("compute", "tls"), broker.directory / "ca.pem"
    publisher = Publisher(broker_for(broker.tls_url % f"localhost:{broker.tls_port}", ca_file=ca))
    server = RpcServer(publisher, target, methods_of(Mirror()))
    client = RpcClient(publisher, "test", timeout_s=10)
    server.start()
    assert server.wait_until_up(10)
    for size in (1, 100_000, 900_000):  # of many TLS records
        assert client.call(target, "mirror", {"text": "x" * size}) == "x" * size
    for number in range(200):
        assert client.call(target, "mirror", {"text": str(number)}) == str(number)
    assert server.stop(5) is True
    client.close()
    publisher.close()


@pytest.mark.parametrize(
    ("host", "ca", "error"),
    [
        ("localhost", "another-ca.pem", "certificate verify failed"),
        ("127.0.0.1", "ca.pem", "IP address mismatch"),
        ("localhost", None, "certificate verify failed"),
    ],
    ids=["another CA", "another name", "the system's CAs"],
)
def test_a_broker_that_is_not_trusted_gets_nothing_and_the_error_says_why(
    broker: TlsBroker, host: str, ca: str | None, error: str
) -> None:
    url = broker.tls_url % f"{host}:{broker.tls_port}"
    publisher = Publisher(broker_for(url, ca_file=broker.directory / ca if ca else None))
    client = RpcClient(publisher, "test", timeout_s=0.4)
    with pytest.raises(BusUnavailableError, match=error) as raised:
        client.cast(Target("compute", "tls"), "whoami")
    with pytest.raises(BusUnavailableError):
        client.call(Target("compute", "tls"), "whoami")
    client.close()
    publisher.close()
    if "nova:" in url:
        assert url.split(":")[2].split("@")[0] not in str(raised.value)
