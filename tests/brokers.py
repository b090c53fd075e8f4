"""Real brokers for the tests of the RPC layer: redis as `cloud up` runs it, and a private node of Debian's RabbitMQ."""

import os
import secrets
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cloud.up.redis import broker_url, find_redis_server, redis_command
from tests.waiting import wait_until

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0
_SAID_BYTES = 4000
RABBITMQ_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one in /usr/sbin changes to user rabbitmq


class Broker(ABC):
    """A broker in a directory of its own, which keeps its data from one start to the next.

    As a context manager it is started, and at the end stopped and its directory removed. Whatever happens to the test
    run, all its processes end with it.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        # Below /tmp and short, whatever pytest's directory is: a socket's path has at most 107 bytes.
        self._temporary = tempfile.TemporaryDirectory(prefix="t-")
        self.directory = Path(self._temporary.name)
        self._server: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """What kombu connects to; the same after every start."""

    @property
    def pid(self) -> int:
        """The broker's own process."""
        if self._server is None:
            raise RuntimeError(f"cannot tell the pid of {self.name}: it is not running")
        return self._server.pid

    def start(self) -> None:
        """Start it on its data and return when it takes connections; `RuntimeError` with what it said otherwise."""
        if self._server is not None:
            raise RuntimeError(f"cannot start {self.name}: it is running")
        try:
            self._server = self._start_server()
            wait_until(self._is_up, _START_TIMEOUT_S, f"{self.name} to take connections")
        except TimeoutError as exc:
            self.stop()
            raise RuntimeError(f"cannot start {self.name}: {exc}; it said: {self.said()}") from exc
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it in its own order, so that its data is written; return when no process of it is left."""
        if self._server is not None:
            server, self._server = self._server, None
            server.terminate()
            try:
                server.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        wait_until(lambda: not processes_of(self.directory), _STOP_TIMEOUT_S, f"the end of all of {self.name}")

    def kill(self) -> None:
        """End it as a crash would; `start` brings it back with what was on disk."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def said(self) -> str:
        """The end of what it wrote to stdout and stderr so far."""
        if not self._output.exists():
            return ""
        return self._output.read_bytes()[-_SAID_BYTES:].decode(errors="replace").strip()

    @abstractmethod
    def _start_server(self) -> "subprocess.Popen[bytes]": ...

    @abstractmethod
    def _takes_connections(self) -> bool: ...

    def _is_up(self) -> bool:
        if self._server is not None and (code := self._server.poll()) is not None:
            raise RuntimeError(f"cannot start {self.name}: it ended with {code} and said: {self.said()}")
        return self._takes_connections()

    @property
    def _output(self) -> Path:
        return self.directory / "output.txt"

    def _spawn(self, command: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        """A process that the kernel kills when ours ends, however that happens; HOME marks it as this broker's."""
        with self._output.open("ab") as output:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                cwd=self.directory,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(self.directory), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is pytest's alone
            )

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._temporary.cleanup()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self.stop()
        finally:
            self._temporary.cleanup()


class RedisBroker(Broker):
    """redis with the settings of `cloud up`; `program` is the one that it would find, unless given."""

    name = "redis"

    def __init__(self, program: Path | None = None) -> None:
        super().__init__()
        self._program = program or find_redis_server()

    @property
    def socket(self) -> Path:
        return self.directory / "redis.sock"

    @property
    def url(self) -> str:
        return broker_url(self.socket)

    def client(self) -> redis.Redis:
        """A connection beside kombu's, to be closed by the caller (`with`); it fails at once, without trying again."""
        return redis.Redis(unix_socket_path=str(self.socket), decode_responses=True, retry=Retry(NoBackoff(), 0))

    def _start_server(self) -> "subprocess.Popen[bytes]":
        if self._program is None:
            raise RuntimeError("cannot start redis: there is no redis-server; make test installs it")
        return self._spawn(redis_command(self._program, self.directory, self.socket), {})

    def _takes_connections(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:  # no socket yet, one left over from a killed redis, or still loading
                return False


class RabbitMqBroker(Broker):
    """One RabbitMQ node with an epmd of its own, all on 127.0.0.1, without plugins; its user is nova.

    It needs neither root nor /var/lib/rabbitmq, and does not read /etc/rabbitmq.
    """

    name = "rabbitmq"

    def __init__(self) -> None:
        super().__init__()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._password = secrets.token_urlsafe(16)
        self._port, self._epmd_port, self.distribution_port = _free_ports(3)
        self._environment = {
            "ERL_CRASH_DUMP_SECONDS": "0",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            # For this VM and those that it starts: no epmd as a daemon that outlives all, no port for other machines.
            "ERL_FLAGS": "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_ALLOW_INPUT": "1",  # the script becomes the VM, instead of a shell that waits for it
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "no-rabbitmq-env.conf"),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_NODENAME": f"t{os.getpid()}@localhost",
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
        }
        self._write("enabled_plugins", "[].\n")
        self._write(
            "rabbitmq.conf",
            f"listeners.tcp.local = 127.0.0.1:{self._port}\n"
            "default_user = nova\n"
            f"default_pass = {self._password}\n"
            "log.file = false\n"
            "log.console = true\n"
            "log.console.use_colors = off\n",
        )

    @property
    def url(self) -> str:
        return f"amqp://nova:{self._password}@127.0.0.1:{self._port}/"

    def stop(self) -> None:
        if self._epmd is not None:
            epmd, self._epmd = self._epmd, None
            epmd.kill()  # it keeps nothing, and the node ends without it
            epmd.wait()
        super().stop()

    def _start_server(self) -> "subprocess.Popen[bytes]":
        if not RABBITMQ_SERVER.exists():
            raise RuntimeError(f"cannot start rabbitmq: there is no {RABBITMQ_SERVER}; make test installs it")
        if self._epmd is None:
            self._epmd = self._spawn(["epmd"], self._environment)
            wait_until(lambda: _listens(self._epmd_port), _START_TIMEOUT_S, "epmd to take connections")
        return self._spawn([str(RABBITMQ_SERVER), "-noinput"], self._environment)

    def _takes_connections(self) -> bool:
        return _listens(self._port)  # RabbitMQ's last step: its users and queues are there by then

    def _write(self, name: str, content: str) -> None:
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(content)


def processes_of(directory: Path) -> list[str]:
    """The command lines of all that runs for the broker in `directory`: it is their HOME; zombies have none."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"HOME={directory}\0".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # ended just now, or somebody else's
            continue
    return found


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_ports(count: int) -> list[int]:
    """Ports that were free together just now: they stay the same over restarts, so the broker cannot choose them."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
