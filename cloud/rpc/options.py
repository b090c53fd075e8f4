"""The bus's options of nova.conf -> where a service publishes to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oslo_config import cfg, types

from cloud.rpc.brokers import broker_for
from cloud.rpc.client import DEFAULT_TIMEOUT_S
from cloud.rpc.publisher import Publisher
from cloud.rpc.server import WORKERS

DEFAULT_URL = "redis+socket:///run/nova/redis.sock"


class _TransportUrl(types.String):
    """A URL that broker_for takes."""

    hides_value = True  # its errors quote no password

    def __call__(self, value: Any) -> Any:
        broker_for(value, allows_plaintext=True)  # whether that is so, another option says
        return value


BUS_OPTIONS: Sequence[cfg.Opt] = (
    cfg.Opt(
        "transport_url",
        type=_TransportUrl(),
        default=DEFAULT_URL,
        secret=True,
        help="The bus: amqps://USER:PASSWORD@HOST:PORT/VHOST of RabbitMQ, or redis+socket:///PATH.",
    ),
    cfg.StrOpt("transport_ca_file", help="What amqps:// and rediss:// trust instead of the system's certificates."),
    cfg.BoolOpt(
        "transport_allow_plaintext",
        default=False,
        help="Let amqp:// and redis:// leave this machine, passwords and all.",
    ),
    cfg.FloatOpt(
        "rpc_response_timeout",
        default=DEFAULT_TIMEOUT_S,
        min=0.1,
        max=3600,
        help="Seconds that a call waits for its reply.",
    ),
    cfg.IntOpt("rpc_workers", default=WORKERS, min=1, max=256, help="Requests that a service works on at a time."),
)


def configured_publisher(conf: cfg.ConfigOpts) -> Publisher:
    """A publisher to the bus that `conf` names, not yet connected; BusUrlError for one that must not be used."""
    ca_file = Path(conf.transport_ca_file) if conf.transport_ca_file else None
    return Publisher(broker_for(conf.transport_url, ca_file=ca_file, allows_plaintext=conf.transport_allow_plaintext))
