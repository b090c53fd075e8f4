"""The bus's options in nova.conf."""

from pathlib import Path

import pytest
from oslo_config import cfg

from cloud.rpc.brokers import BusUrlError
from cloud.rpc.options import BUS_OPTIONS, configured_publisher


def read(tmp_path: Path, text: str) -> cfg.ConfigOpts:
    (tmp_path / "nova.conf").write_text(f"[DEFAULT]\n{text}\n")
    conf = cfg.ConfigOpts()
    conf.register_opts(BUS_OPTIONS)
    conf(["--config-file", str(tmp_path / "nova.conf")], project="nova")
    return conf


def test_the_bus_is_a_redis_of_this_machine_unless_told_otherwise(tmp_path: Path) -> None:
    conf = read(tmp_path, "")
    assert str(configured_publisher(conf).broker) == "redis+socket:///run/nova/redis.sock"
    assert (conf.rpc_response_timeout, conf.rpc_workers, conf.transport_allow_plaintext) == (60.0, 16, False)


def test_a_url_names_the_bus(tmp_path: Path) -> None:
    conf = read(tmp_path, "transport_url = amqps://nova:s3cret@rabbit.example/\ntransport_ca_file = /etc/ca.pem")
    publisher = configured_publisher(conf)
    assert str(publisher.broker) == "amqps://nova:***@rabbit.example/"


def test_plain_text_to_another_machine_has_to_be_allowed(tmp_path: Path) -> None:
    url = "transport_url = amqp://nova:s3cret@rabbit.example/"
    with pytest.raises(BusUrlError, match="plain text") as raised:
        configured_publisher(read(tmp_path, url))
    assert "s3cret" not in str(raised.value)
    allowed = configured_publisher(read(tmp_path, f"{url}\ntransport_allow_plaintext = true"))
    assert str(allowed.broker) == "amqp://nova:***@rabbit.example/"


@pytest.mark.parametrize(
    "line",
    [
        "transport_url = http://nova:s3cret@x/",
        "transport_url = amqp://nova:s3cret@x:port/",
        "rpc_response_timeout = 0",
        "rpc_response_timeout = 3601",
        "rpc_workers = 0",
        "rpc_workers = 257",
    ],
)
def test_a_value_that_cannot_be_used_is_refused_without_the_password(tmp_path: Path, line: str) -> None:
    name = line.split()[0]
    conf = read(tmp_path, line)
    with pytest.raises(cfg.ConfigFileValueError, match=name) as raised:
        getattr(conf, name)
    assert "s3cret" not in str(raised.value)
