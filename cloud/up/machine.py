"""One machine as a cloud: hosts with their rendered files, rsyslogds and services, and what they share."""

import fcntl
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import yaml

from cloud.db.engine import open_database
from cloud.db.schema import sync
from cloud.domain.service import Service
from cloud.errors import CloudError
from cloud.logs.generator.inventory import Inventory, load_inventory
from cloud.logs.generator.paths import MAX_SOCKET_PATH_BYTES
from cloud.logs.generator.render import render_host, write_tree
from cloud.rpc.brokers import broker_for, one_line
from cloud.rpc.client import RpcClient
from cloud.rpc.errors import BusUnavailableError
from cloud.rpc.options import configured_publisher
from cloud.services.conductor.client import ConductorClient
from cloud.services.configuration import read_configuration
from cloud.up.accounts import OPENRC, add_image, make_accounts
from cloud.up.host_logs import HostLogs
from cloud.up.layout import CONTROLLER, NOVA_OPTIONS, Endpoints, Layout, inventory_of
from cloud.up.process import ProcessError
from cloud.up.redis import broker_url, find_redis_server, redis_command
from cloud.up.supervisor import STEADY_S, Program, Stage, Status, Supervisor

START_TIMEOUT_S = 60.0
STOP_COLLECTOR_TIMEOUT_S = 5.0
LIST_TIMEOUT_S = 3.0
POLL_S = 0.2
LONGEST_SOCKET = "redis.sock"
_DAEMON_WARNING = 3 * 8 + 4


@dataclass(frozen=True, slots=True)
class Settings:
    """What one may want otherwise."""

    layout: Layout = field(default_factory=lambda: Layout(2))
    listen: str | None = None
    """Where the collector takes syslog; a free port otherwise, by RELP where each host has an rsyslogd."""
    http: str = "127.0.0.1:0"
    """Where it answers."""
    transport_url: str | None = None
    """A broker that is there already; otherwise one of our own."""
    database_url: str | None = None
    """A database that is there already; otherwise a file of our own."""
    compute: str = "127.0.0.1:0"
    """Where nova-api answers; port 0: any that is free, here as below."""
    identity: str = "127.0.0.1:0"
    image: str = "127.0.0.1:0"
    host_size: Mapping[str, int] = field(default_factory=dict)
    """What each compute host says it has (vcpus, memory_mb, disk_gb); what is left out is this machine's."""
    nova_options: Mapping[str, int | float | str] = field(default_factory=dict)
    """Of nova.conf's section [DEFAULT], for all hosts; over those that a small cloud has."""
    shared_disks: Sequence[str] = ()
    """Compute hosts that keep their instances' disks in one directory; each of the others has them for itself."""
    has_rsyslog: bool = True
    """False where there is no rsyslogd: then the services send to the collector."""
    steady_s: float = STEADY_S
    """What has run for so long before it ends is started again as soon as at its first end."""


class Machine:
    """Starts and stops in the order of the supervisor's stages."""

    def __init__(self, directory: Path, settings: Settings, tell: Callable[[str], None] = lambda _line: None) -> None:
        """`directory` holds all that is written; only sockets move elsewhere where their paths would be too long.

        `tell` gets a line for each program that ends and is started again; its host's log gets it too.
        """
        self.directory = directory.absolute()
        self.settings = settings
        self.syslog_url = ""
        self.http_url = ""
        self.compute_url = self.identity_url = self.image_url = ""
        self._account: dict[str, str] = {}
        self._tell = tell
        self._supervisor = Supervisor(self._told, steady_s=settings.steady_s)
        self._sockets: Path | None = None
        self._lock: int | None = None
        self._host_logs = HostLogs()
        self._collector = Program(
            "collector",
            None,
            Stage.COLLECTOR,
            self._collector_command,
            self._output("collector"),
            prepare=lambda: self._output("collector").unlink(missing_ok=True),  # its first lines say where it listens
            is_ready=lambda: b"\nready\n" in self._output("collector").read_bytes(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The controller first."""
        return tuple(self.settings.layout.services)

    def tree(self, host: str) -> Path:
        """The host's root: its rendered files are below it as they would be below `/`."""
        return self.directory / "hosts" / host

    def nova_conf(self, host: str = CONTROLLER) -> Path:
        """What all services of `host` read first, and the commands that talk to them."""
        return self.tree(host) / "etc/nova/nova.conf"

    def syslog_address(self, host: str) -> str:
        """Where the host's services send."""
        return self.inventory.host(host).syslog_address

    @property
    def inventory(self) -> Inventory:
        return load_inventory(self.directory / "inventory.yaml")

    def start(self) -> None:
        """Start everything but the services, and prepare what they need; then them.

        `ProcessError`, `InventoryError` or a CloudError says what is missing.
        """
        self._take_directory()
        self.compute_url = _free_url(self.settings.compute)
        self.identity_url = _free_url(self.settings.identity)
        self.image_url = _free_url(self.settings.image)
        if self.settings.transport_url is not None:
            self._reach_bus(self.settings.transport_url)
        self.start_collector()
        self._render()
        if self.settings.has_rsyslog:
            self._supervisor.start([self._rsyslogd(host) for host in self.hosts], START_TIMEOUT_S)
        if self.settings.transport_url is None:
            self._supervisor.start([self._broker()], START_TIMEOUT_S)
        with open_database(self._database_url()) as database:
            sync(database)
            etc = self.tree(CONTROLLER) / "etc/nova"
            config_files = [etc / "nova.conf", etc / "identity.conf"]
            self._account = make_accounts(database, config_files, self.directory, self._tell)
        self._render()
        self._supervisor.start(
            [self._service(host, name) for host, names in self.settings.layout.services.items() for name in names],
            START_TIMEOUT_S,
        )

    def wait_until_services_are_up(self) -> Sequence[Service]:
        """All services, as soon as each has reported; `ProcessError` after a minute, naming who has not."""
        expected = {(host, name) for host, names in self.settings.layout.services.items() for name in names}
        deadline_s = time.monotonic() + START_TIMEOUT_S
        publisher = configured_publisher(read_configuration([self.nova_conf()]))
        client = RpcClient(publisher, "cloud up")
        missing, cause = expected, ""
        try:
            while time.monotonic() < deadline_s:
                try:
                    services = ConductorClient(client, timeout_s=LIST_TIMEOUT_S).list_services()
                except CloudError as exc:  # nova-conductor is still on its way
                    services, cause = [], f" ({exc})"
                missing = expected - {(item.host, item.binary) for item in services if item.is_up}
                if not missing:
                    self._add_image()
                    return services
                self.watch()
                time.sleep(POLL_S)
        finally:
            client.close()
            publisher.close()
        names = ", ".join(sorted(f"{name} on {host}" for host, name in missing))
        raise ProcessError(f"not up after {START_TIMEOUT_S:.0f} s{cause}: {names}; see {self.directory / 'output'}")

    def _add_image(self) -> None:
        """Unless the admin's password is not known here."""
        if (self.directory / OPENRC).exists():
            add_image(self.directory, self.image_url)

    def follow(self) -> None:
        """`cloud log tail` of the whole cloud, on our stdout."""
        command = [sys.executable, "-m", "cloud", "log", "tail", "--url", self.http_url]
        output = self._output("tail")
        tail = Program("tail", None, Stage.VIEWER, lambda: command, output, shows_output=True, is_kept=False)
        self._supervisor.start([tail], START_TIMEOUT_S)

    @property
    def is_followed(self) -> bool:
        """Whether somebody still reads: the tail ends with the reader of our stdout."""
        return any(status.program.stage == Stage.VIEWER and status.pid is not None for status in self.statuses())

    def start_collector(self) -> None:
        """Start the collector; a second time, after `stop_collector`, on the ports that it had."""
        self._supervisor.start([self._collector], START_TIMEOUT_S)
        output = self._output("collector")
        said = dict(line.split(" ", 1) for line in output.read_text().splitlines() if line[:4] in ("sysl", "http"))
        self.syslog_url, self.http_url = said["syslog"], said["http"]

    def stop_collector(self, timeout_s: float = STOP_COLLECTOR_TIMEOUT_S) -> None:
        """End the collector alone; the hosts go on, and their rsyslogds keep what they cannot forward."""
        self._supervisor.stop_one(self._collector, timeout_s)

    def stop_services(self, timeout_s: float) -> bool:
        """End the services alone, which have `timeout_s` for it; whether all of them did by themselves."""
        return self._supervisor.stop_stage(Stage.SERVICE, timeout_s)

    def fail_host(self, host: str) -> None:
        """End all that runs on `host` at once, as where its power fails; nothing starts it again but `start_host`."""
        self._supervisor.kill([status.program for status in self.statuses() if status.program.host == host])

    def start_host(self, host: str) -> None:
        """Start all that belongs to `host`, which has failed; what its instances did meanwhile is its hypervisor's."""
        if self.settings.has_rsyslog:
            self._supervisor.start([self._rsyslogd(host)], START_TIMEOUT_S)
        services = [self._service(host, name) for name in self.settings.layout.services[host]]
        self._supervisor.start(services, START_TIMEOUT_S)

    def watch(self) -> None:
        """Start again what has ended and is due."""
        self._supervisor.watch()
        self._host_logs.send()  # where it is rsyslogd that has ended, they wait until that is back

    def statuses(self) -> tuple[Status, ...]:
        """Of every program, in the order of the starts."""
        return self._supervisor.statuses()

    def stop(self) -> None:
        """End all within five seconds."""
        self._supervisor.stop()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None

    def _told(self, program: Program, text: str) -> None:
        """To our caller, and to the /dev/log of the program's host, as the host's own init would say it."""
        self._tell(f"{program} {text}")
        if not self.settings.has_rsyslog:
            return
        dev_log = Path(self.inventory.host(program.host or CONTROLLER).paths.dev_log)
        now = datetime.now(UTC).astimezone()  # RFC 3164 has local time
        line = f"<{_DAEMON_WARNING}>{now:%b %e %H:%M:%S} cloud-up[{os.getpid()}]: {program} {text}"
        self._host_logs.add(dev_log, line)
        self._host_logs.send()

    def _take_directory(self) -> None:
        """Make our directory, for us alone, and hold it: two clouds in one would share sockets and files."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise ProcessError(f"cannot use {self.directory}: another `cloud up` has it") from exc
        except OSError as exc:
            raise ProcessError(f"cannot use {self.directory}: {exc.strerror}") from exc

    @staticmethod
    def _reach_bus(url: str) -> None:
        """BusUnavailableError when the given broker does not answer: better now than from eleven services."""
        broker = broker_for(url)
        try:
            broker.drop(broker.connect(is_consumed=False))
        except broker.failures as exc:
            raise BusUnavailableError(f"cannot reach {broker}: {one_line(exc)}") from exc

    def _collector_command(self) -> Sequence[str]:
        listen = self.syslog_url or self.settings.listen or f"{syslog_scheme(self.settings.has_rsyslog)}://127.0.0.1:0"
        http = self.http_url.removeprefix("http://") or self.settings.http
        command = [sys.executable, "-m", "cloud", "log", "collector", "--listen", listen, "--http", http]
        return [*command, "--data", str(self.directory / "store")]

    def _render(self) -> None:
        endpoints = Endpoints(
            collector_url=self.syslog_url,
            transport_url=self.settings.transport_url or broker_url(self._broker_socket()),
            database_url=self._database_url(),
            identity_url=self.identity_url,
            image_url=self.image_url,
            compute_url=self.compute_url,
            account=self._account,
            host_size=self.settings.host_size,
        )
        paths = {host: {"root": self.tree(host), "run": self._run(host)} for host in self.hosts}
        content = inventory_of(
            self.settings.layout,
            endpoints,
            paths,
            has_rsyslog=self.settings.has_rsyslog,
            nova_options={**NOVA_OPTIONS, **self.settings.nova_options},
            shared_disks=dict.fromkeys(self.settings.shared_disks, self.directory / "shared-disks"),
        )
        file = self.directory / "inventory.yaml"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            os.fchmod(stream.fileno(), 0o600)  # it may be an older one
            stream.write(yaml.safe_dump(content, sort_keys=False))  # passwords of a bus or a database that was given
        inventory = self.inventory
        for host in self.hosts:
            write_tree(render_host(inventory, host), self.tree(host))
            for path in inventory.host(host).paths.needed_directories:
                Path(path).mkdir(parents=True, exist_ok=True)

    def _rsyslogd(self, host: str) -> Program:
        paths = self.inventory.host(host).paths
        log_socket, dev_log, pid_file = Path(paths.socket), Path(paths.dev_log), Path(paths.run) / "rsyslogd.pid"
        program = shutil.which("rsyslogd", path=_PATH) or "rsyslogd"

        def clear() -> None:
            for left_over in (log_socket, dev_log, pid_file):
                left_over.unlink(missing_ok=True)

        return Program(
            "rsyslogd",
            host,
            Stage.RSYSLOGD,
            lambda: [program, "-n", "-f", str(paths.rsyslog_conf), "-i", str(pid_file)],
            self._output("rsyslogd", host),
            prepare=clear,
            is_ready=log_socket.exists,
        )

    def _broker(self) -> Program:
        program = find_redis_server()
        if program is None:
            raise ProcessError("cannot start the bus: there is no redis-server here; install it, or name a broker")
        directory, bus_socket = self.directory / "bus", self._broker_socket()
        directory.mkdir(mode=0o700, exist_ok=True)
        return Program(
            "redis-server",
            None,
            Stage.BROKER,
            lambda: redis_command(program, directory, bus_socket),
            self._output("redis-server"),
            prepare=lambda: bus_socket.unlink(missing_ok=True),
            is_ready=bus_socket.exists,
        )

    def _service(self, host: str, name: str) -> Program:
        etc = self.inventory.host(host).paths.etc
        files = [f"--config-file={etc}/nova.conf", f"--config-file={etc}/{name}.conf"]
        command = [sys.executable, "-m", "cloud", "service", name, *files]
        return Program(name, host, Stage.SERVICE, lambda: command, self._output(name, host))

    def _database_url(self) -> str:
        return self.settings.database_url or f"sqlite:///{self.directory / 'nova.sqlite'}"

    def _broker_socket(self) -> Path:
        return self._short(self.directory / "bus", "bus") / "redis.sock"

    def _run(self, host: str) -> Path:
        return self._short(self.tree(host) / "run/nova", host)

    def _short(self, directory: Path, name: str) -> Path:
        """`directory`, or one elsewhere when a socket in it would have too long a path."""
        if len(bytes(directory / LONGEST_SOCKET)) <= MAX_SOCKET_PATH_BYTES:
            return directory
        if self._sockets is None:
            self._sockets = Path(tempfile.mkdtemp(prefix="cloud-"))
        elsewhere = self._sockets / name
        elsewhere.mkdir(mode=0o700, exist_ok=True)
        return elsewhere

    def _output(self, name: str, host: str | None = None) -> Path:
        return self.directory / "output" / f"{name}{f'@{host}' if host else ''}.txt"


_LIBRARIES = (Path("/usr/lib"), Path("/usr/lib64"), *Path("/usr/lib").glob("*-linux-*"))
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"  # sbin is not on everybody's PATH


def _free_url(address: str) -> str:
    """`address` as a URL; where its port is 0, with one that is free now, which all who ask are told beforehand."""
    host, _, port = address.rpartition(":")
    if int(port) == 0:
        with socket.create_server((host, 0)) as probe:
            port = str(probe.getsockname()[1])
    return f"http://{host}:{port}"


def has_rsyslogd() -> bool:
    """Whether this machine has one."""
    return shutil.which("rsyslogd", path=_PATH) is not None


def syslog_scheme(has_rsyslog: bool) -> str:
    """How lines come to the collector: acknowledged, where there is an rsyslogd that can."""
    can_relp = any((directory / "rsyslog/omrelp.so").exists() for directory in _LIBRARIES)
    return "relp" if has_rsyslog and can_relp else "tcp"
