"""The bus and the database of a simulation: servers of our own, unless others are named."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bench import process
from cloud.up.process import ProcessError, start_process
from cloud.up.redis import broker_url, find_redis_server, redis_command
from tests.postgresql import PostgreSql

MAX_CLIENTS = 18_000
"""Connections to redis; a service has about six."""
MAX_MEMORY_MB = 2048
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
POSTGRESQL = {"fsync": "on", "shared_buffers": "256MB", "max_connections": "300"}
"""As a server that keeps what it has confirmed, with room for the pools of all services."""


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs."""

    url: str | None
    """None where the cloud itself makes a database."""
    pid: int | None = None


@contextmanager
def bus(directory: Path, url: str | None) -> Iterator[tuple[Server, redis.Redis | None]]:
    """The one at `url`, or a redis with room for more connections than a small cloud needs; with it a way to ask it."""
    if url is not None:
        yield Server(url), None
        return
    program = find_redis_server()
    if program is None:
        raise ProcessError("cannot start the bus: there is no redis-server here; install it, or name a broker")
    place, socket = directory / "bus", directory / "redis.sock"
    place.mkdir(mode=0o700)
    command = redis_command(program, place, socket, max_clients=MAX_CLIENTS, max_memory_mb=MAX_MEMORY_MB)
    started = start_process("redis-server", command, directory / "redis.txt")
    try:
        with redis.Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0)) as client:
            process.wait_until(lambda: _answers(client), START_TIMEOUT_S, "redis to take connections")
            yield Server(broker_url(socket), started.pid), client
    finally:
        started.terminate()
        started.end(STOP_TIMEOUT_S)


@contextmanager
def database(kind: str) -> Iterator[Server]:
    """`postgresql` is one of our own, `sqlite` a file of the cloud's, anything else the URL of an empty one."""
    if kind == "sqlite":
        yield Server(None)
    elif kind == "postgresql":
        with PostgreSql(**POSTGRESQL) as server:
            yield Server(server.create_database("nova"), server.pid)
    else:
        yield Server(kind)


def _answers(client: redis.Redis) -> bool:
    with suppress(redis.ConnectionError):
        return bool(client.ping())
    return False
