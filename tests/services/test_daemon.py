"""Daemons as processes: they start, report and stop, and neither a log socket nor bus or database holds them up."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cloud.db.engine import open_database
from cloud.db.schema import sync
from cloud.domain.service import Service
from cloud.errors import CloudError
from cloud.rpc.brokers import broker_for
from cloud.rpc.client import RpcClient
from cloud.rpc.publisher import Publisher
from cloud.services.conductor.client import ConductorClient
from tests.brokers import RedisBroker
from tests.waiting import wait_until

MAIN = "from cloud.services.compute.daemon import main; main()"
LOGGING_CONF = """
[loggers]
keys = root, nova
[handlers]
keys = syslog
[formatters]
keys = cee
[logger_root]
level = WARNING
handlers = syslog
[logger_nova]
level = INFO
handlers = syslog
qualname = nova
propagate = 0
[handler_syslog]
class = cloud.logs.emit.syslog.SyslogHandler
formatter = cee
args = ('unix:{socket}',)
kwargs = {{'facility': 'local1', 'app_name': 'nova-compute', 'hostname': 'compute-01'}}
[formatter_cee]
class = cloud.logs.emit.cee.CeeFormatter
"""
STOP_WITHIN_S = 5.0
STOP_IN_TIME_S = 2.0
"""With a graceful_shutdown_timeout of half a second, and somebody to take the log."""


class Host:
    """A directory with nova.conf, logging.conf and the socket that rsyslogd would read."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket_path = directory / "log.sock"
        self.logging_conf = self.write("logging.conf", LOGGING_CONF.format(socket=self.socket_path))
        self.nova_conf = self.write(
            "nova.conf",
            f"[DEFAULT]\nhost = compute-01\nstate_path = {directory}\nreport_interval = 1\nupdate_resources_interval = 1\nlog-config = {self.logging_conf}\n"
            f"transport_url = redis+socket://{directory}/no-redis.sock\ngraceful_shutdown_timeout = 0.2\n",
        )

    def write(self, name: str, text: str) -> Path:
        file = self.directory / name
        file.write_text(text)
        return file


@pytest.fixture
def host() -> Iterator[Host]:
    with tempfile.TemporaryDirectory(prefix="t-") as directory:  # short: a socket's path has at most 107 bytes
        yield Host(Path(directory))


@pytest.fixture
def receiver(host: Host) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(host.socket_path))
        receiver.settimeout(10)
        yield receiver


@pytest.fixture
def start(host: Host) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", MAIN, *(options or ("--config-file", str(host.nova_conf)))]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def receive(receiver: socket.socket) -> tuple[str, dict[str, Any]]:
    head, _, text = receiver.recv(1 << 18).decode().partition(" - @cee: ")
    return head, json.loads(text)


def receive_line(receiver: socket.socket, message: str) -> tuple[str, dict[str, Any]]:
    while True:
        head, content = receive(receiver)
        if content["message"] == message:
            return head, content


def receive_until(receiver: socket.socket, message: str) -> dict[str, Any]:
    return receive_line(receiver, message)[1]


def stop(process: "subprocess.Popen[str]", number: int = signal.SIGTERM) -> str:
    """Ask it to stop, which it does within 5 s and with success; what it said on stderr."""
    started_s = time.monotonic()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    assert time.monotonic() - started_s < STOP_WITHIN_S
    assert (process.returncode, stdout) == (0, ""), stderr
    return stderr


def test_daemon_tells_its_start_its_resources_again_and_again_and_its_stop(
    host: Host, receiver: socket.socket, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    process = start()
    head, started = receive(receiver)
    assert head.startswith("<142>1 ")  # local1, info
    assert head.endswith(f" compute-01 nova-compute {process.pid} service.start")
    assert started.pop("src").startswith("daemon.py:")
    assert started == {
        "message": "service started",
        "level": "INFO",
        "logger": "nova.daemon",
        "event": "service.start",
        "config_files": str(host.nova_conf),
    }
    for _ in range(2):
        head, audit = receive_line(receiver, "resources audited")
        assert head.startswith("<141>1 ")  # local1, notice
        assert audit["level"] == "AUDIT"
        assert audit["logger"] == "nova.compute.manager"
        assert audit["memory_mb"] > audit["free_memory_mb"] > 0
        assert {"vcpus", "disk_gb", "free_disk_gb", "uptime_s"} <= audit.keys()
    assert stop(process) == ""
    stopped = receive_until(receiver, "service stopped")
    assert (stopped["event"], stopped["signal"]) == ("service.stop", "SIGTERM")
    assert stopped["lines_dropped"] == {}


def test_last_word_says_how_many_lines_there_were_before(
    receiver: socket.socket, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    process = start()
    receive_until(receiver, "service started")
    process.send_signal(signal.SIGTERM)
    lines = 1
    while (said := receive(receiver)[1])["message"] != "service stopped":
        lines += 1
    assert said["lines"] == lines
    process.communicate(timeout=20)


def test_interrupt_stops_it_too(receiver: socket.socket, start: Callable[..., "subprocess.Popen[str]"]) -> None:
    process = start()
    receive_until(receiver, "resources audited")
    assert stop(process, signal.SIGINT) == ""
    assert receive_until(receiver, "service stopped")["signal"] == "SIGINT"


def test_later_config_file_and_the_command_lines_host_win(
    host: Host, receiver: socket.socket, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    shared = host.write("shared.conf", "[DEFAULT]\nreport_interval = 3600\nlog-config = /nonexistent\n")
    process = start("--config-file", str(shared), "--config-file", str(host.nova_conf), "--host", "other")
    assert receive(receiver)[1]["config_files"] == f"{shared}, {host.nova_conf}"
    for _ in range(2):
        receive_until(receiver, "resources audited")
    stop(process)


def test_options_that_log_config_rules_out_are_named_once_at_start(
    host: Host, receiver: socket.socket, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    extra = host.write("extra.conf", "[DEFAULT]\ndebug = True\nuse_syslog = True\n")
    process = start("--config-file", str(host.nova_conf), "--config-file", str(extra))
    _, warned = receive(receiver)
    assert (warned["level"], warned["ignored"]) == ("WARNING", "debug, use_syslog")
    assert warned["log_config"] == str(host.logging_conf)
    assert receive(receiver)[1]["message"] == "service started"
    stop(process)


def test_missing_socket_does_not_hold_up_the_start_or_the_stop(
    start: Callable[..., "subprocess.Popen[str]"],
) -> None:
    process = start()
    assert process.stderr is not None
    assert process.stderr.readline().startswith("nova-compute: cannot reach unix:")
    assert "lines could not be sent" in stop(process)


def test_full_socket_does_not_hold_up_the_stop(
    receiver: socket.socket, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    process = start()
    receive_until(receiver, "resources audited")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.connect(receiver.getsockname())
        other.setblocking(False)
        wait_until(lambda: is_full(other), what="a full socket")
        assert "nova-compute: " in stop(process)


def is_full(sender: socket.socket) -> bool:
    try:
        sender.send(b"x")
    except BlockingIOError:
        return True
    return False


def test_socket_that_comes_later_gets_the_lines_from_the_start_on(
    host: Host, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    process = start()
    assert process.stderr is not None
    assert "cannot reach" in process.stderr.readline()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(host.socket_path))
        receiver.settimeout(10)
        assert receive(receiver)[1]["message"] == "service started"
        assert receive_until(receiver, "syslog is back")["dropped"] == 0
        assert stop(process) == ""


@pytest.mark.parametrize(
    ("nova", "logging_conf", "complaint"),
    [
        ("[DEFAULT]\nreport_interval = soon\n", "", "cannot use option report_interval of {nova}: invalid literal"),
        ("[DEFAULT]\ngarbage\n", "", "cannot read configuration {nova}: Failed to parse {nova}: at {nova}:2"),
        ("[DEFAULT]\nsyslog_log_facility = LOG_LOCAL9\n", "", "cannot use option syslog_log_facility of {nova}: "),
        (
            "[DEFAULT]\nlog-config = /nonexistent/l.conf\n",
            "",
            "cannot load logging configuration /nonexistent/l.conf: ",
        ),
        ("[DEFAULT]\nlog-config = {logging}\n", "[loggers]\n", "cannot load logging configuration {logging}: "),
    ],
)
def test_bad_configuration_is_one_line_and_exit_1(
    host: Host, start: Callable[..., "subprocess.Popen[str]"], nova: str, logging_conf: str, complaint: str
) -> None:
    names = {"nova": host.nova_conf, "logging": host.logging_conf}
    host.logging_conf.write_text(logging_conf)
    host.nova_conf.write_text(nova.format_map(names))
    process = start()
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 1
    assert stdout == ""
    assert stderr.startswith("nova-compute: " + complaint.format_map(names))
    assert len(stderr.splitlines()) == 1


def test_missing_nova_conf_is_one_line_and_exit_1(start: Callable[..., "subprocess.Popen[str]"]) -> None:
    process = start("--config-file", "/nonexistent/nova.conf")
    assert process.communicate(timeout=20)[1] == (
        "nova-compute: cannot read configuration /nonexistent/nova.conf: "
        "Failed to find some config files: /nonexistent/nova.conf\n"
    )
    assert process.returncode == 1


def test_zone_that_no_report_can_carry_is_one_line_and_exit_1(
    host: Host, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    extra = host.write("extra.conf", "[DEFAULT]\ndefault_availability_zone =\n")
    process = start("--config-file", str(host.nova_conf), "--config-file", str(extra))
    assert process.communicate(timeout=20)[1] == (
        f"nova-compute: cannot use option default_availability_zone of {extra}: "
        "a service's availability_zone is 1 to 255 printable characters\n"
    )
    assert process.returncode == 1


class Cloud:
    """nova-conductor and others on host-01, which log to files, with a bus and a database that one can take away."""

    def __init__(self, broker: RedisBroker) -> None:
        self.broker = broker
        self.directory = broker.directory
        self.database = self.directory / "nova.sqlite"
        with open_database(f"sqlite:///{self.database}") as database:
            sync(database)
        self.nova_conf = self.directory / "nova.conf"
        self.nova_conf.write_text(
            f"[DEFAULT]\nhost = host-01\nstate_path = {self.directory}\nverbose = True\nreport_interval = 1\n"
            f"service_down_time = 2\ngraceful_shutdown_timeout = 0.5\ntransport_url = {broker.url}\n"
            f"[database]\nconnection = sqlite:///{self.database}\n"
        )
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._publisher = Publisher(broker_for(broker.url))
        self._client = RpcClient(self._publisher, "test")
        self.conductor = ConductorClient(self._client, timeout_s=2)

    def start(self, *roles: str) -> None:
        for role in roles:
            main = f"from cloud.services.{role}.daemon import main; main()"
            with self._output(role).open("ab") as output:
                self.processes[role] = subprocess.Popen(
                    [sys.executable, "-c", main, "--config-file", str(self.nova_conf)], stderr=output
                )

    def run(self, *arguments: str) -> str:
        """What `cloud` says."""
        command = [sys.executable, "-m", "cloud", *arguments, "--config-file", str(self.nova_conf)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def stop(self, *roles: str) -> list[float]:
        """Ask all to stop, at the same time; how long each took. All end with success."""
        started_s = time.monotonic()
        for role in roles:
            self.processes[role].terminate()
        took_s = []
        for role in roles:
            assert self.processes[role].wait(20) == 0
            took_s.append(time.monotonic() - started_s)
        return took_s

    def said(self, role: str) -> list[str]:
        """The messages of a service, but not its audits and pings, as `LEVEL message`."""
        output = self._output(role)
        lines = re.findall(r"\d+ ([A-Z]+) \S+ \[[^]]*\] (.*)", output.read_text() if output.exists() else "")
        # A message is constant, its fields follow it.
        return [f"{level} {re.split(' [a-z_]+=', text)[0]}" for level, text in lines if level not in ("AUDIT", "DEBUG")]

    def events(self) -> list[str]:
        """What nova-conductor says of nova-compute: up, down, disable."""
        lines = self._output("conductor").read_text().splitlines()
        return re.findall(r"event=service\.(\w+)", "\n".join(line for line in lines if "service=nova-compute" in line))

    def service(self, binary: str) -> Service | None:
        try:
            found = self.conductor.list_services(binary=binary)
        except CloudError:
            return None
        return found[0] if found else None

    def is_up(self, binary: str) -> bool:
        found = self.service(binary)
        return found is not None and found.is_up

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self._client.close()
        self._publisher.close()

    def _output(self, role: str) -> Path:
        return self.directory / f"{role}.txt"


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with RedisBroker() as broker:
        cloud = Cloud(broker)
        try:
            yield cloud
        finally:
            cloud.close()


def wait_until_up(cloud: Cloud, *binaries: str) -> None:
    for binary in binaries:
        wait_until(lambda binary=binary: cloud.is_up(binary), 20, f"{binary} to be up")  # type: ignore[misc]


def start_in_order(cloud: Cloud, *roles: str) -> None:
    """Each when the one before is up: nobody has to wait for nova-conductor."""
    for role in roles:
        cloud.start(role)
        wait_until_up(cloud, f"nova-{role}")


@pytest.mark.server
def test_services_are_listed_disabled_pinged_and_missed(cloud: Cloud) -> None:
    start_in_order(cloud, "conductor", "compute")
    wait_until(lambda: cloud.events() == ["up"])
    listed = cloud.run("service", "list", "--binary", "nova-compute")
    assert re.search(r"\| nova-compute \| host-01 \| nova \| enabled \| up +\|", listed)
    changed = cloud.run("service", "disable", "host-01", "nova-compute", "--reason", "disk swap")
    assert re.search(r"\| disabled \| up .*\| disk swap +\|", changed)
    request_id = cloud.run("service", "ping", "nova-conductor", "nova-compute@host-01").split()[1]
    for role in ("conductor", "compute"):
        assert f" INFO nova.control [{request_id}] ping received" in (cloud.directory / f"{role}.txt").read_text()
    said = cloud.run("log", "level", "nova-compute", "error", "--for", "1s")
    assert said == "nova-compute on host-01: ERROR for 1 s, then INFO\n"
    wait_until(lambda: "INFO log level is as configured again" in cloud.said("compute"))

    cloud.processes["compute"].kill()
    cloud.processes["compute"].wait()
    wait_until(lambda: not cloud.is_up("nova-compute"), 10, "nova-compute to be down")
    wait_until(lambda: cloud.events()[-1] == "down")
    cloud.start("compute")
    wait_until_up(cloud, "nova-compute")
    wait_until(lambda: cloud.events()[-1] == "up")
    assert cloud.events() == ["up", "disable", "down", "up"]
    found = cloud.service("nova-compute")
    assert found is not None
    assert (found.is_enabled, found.disabled_reason) == (False, "disk swap")
    assert max(cloud.stop("conductor", "compute")) < STOP_IN_TIME_S


@pytest.mark.server
def test_bus_that_was_away_is_told_once_and_once_when_it_is_back(cloud: Cloud) -> None:
    start_in_order(cloud, "conductor", "compute")
    cloud.broker.kill()
    wait_until(lambda: {"WARNING bus is away", "WARNING cannot report"} <= set(cloud.said("compute")), 20)
    count = len(cloud.said("compute"))
    failing_since_s = time.monotonic()
    wait_until(lambda: time.monotonic() - failing_since_s > 1.2, what="some more attempts")
    assert len(cloud.said("compute")) == count
    cloud.broker.start()
    wait_until(lambda: "WARNING reports again" in cloud.said("compute"), 20)
    wait_until_up(cloud, "nova-conductor", "nova-compute")
    assert sorted(cloud.said("compute")) == [
        *("INFO service started", "WARNING bus is away", "WARNING bus is back"),
        *("WARNING cannot report", "WARNING reports again"),
    ]

    def of_conductor() -> list[str]:
        return sorted(line for line in cloud.said("conductor") if "bus" in line)

    # Only one of its connections says so: not those for builds and moves.
    told = ["WARNING bus is away", "WARNING bus is back"]
    wait_until(lambda: of_conductor() == told, 20, "the conductor's bus to be back")


@pytest.mark.server
def test_conductor_that_was_away_is_told_once_and_once_when_it_is_back(cloud: Cloud) -> None:
    start_in_order(cloud, "conductor", "compute")
    cloud.stop("conductor")
    wait_until(lambda: "WARNING cannot report" in cloud.said("compute"), 20)
    failing_since_s = time.monotonic()
    wait_until(lambda: time.monotonic() - failing_since_s > 1.7, what="some more attempts")
    cloud.start("conductor")
    wait_until(lambda: "WARNING reports again" in cloud.said("compute"), 20)
    assert cloud.said("compute") == ["INFO service started", "WARNING cannot report", "WARNING reports again"]


@pytest.mark.server
def test_database_that_was_locked_is_told_once_and_once_when_it_is_free(cloud: Cloud) -> None:
    with cloud.nova_conf.open("a") as file:
        file.write("lock_timeout_s = 0.2\n")
    start_in_order(cloud, "conductor", "api")
    with closing(sqlite3.connect(cloud.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for role in ("conductor", "api"):
            wait_until(lambda role=role: "WARNING cannot report" in cloud.said(role), 20)  # type: ignore[misc]
        failing_since_s = time.monotonic()
        wait_until(lambda: time.monotonic() - failing_since_s > 1.2, what="some more attempts")
    for role in ("conductor", "api"):
        wait_until(lambda role=role: "WARNING reports again" in cloud.said(role), 20)  # type: ignore[misc]
        warnings = [line for line in cloud.said(role) if line.startswith("WARNING")]
        assert warnings == ["WARNING cannot report", "WARNING reports again"]


@pytest.mark.server
def test_stop_is_in_time_whatever_is_away_and_a_second_signal_changes_nothing(cloud: Cloud) -> None:
    roles = ("conductor", "compute", "api")

    def all_are_up() -> None:
        """As seen by themselves too: the table takes those for up that have just stopped."""
        starts = cloud.said("compute").count("INFO service started")
        cloud.start(*roles)
        for role in roles:
            wait_until(lambda role=role: cloud.said(role).count("INFO service started") > starts)  # type: ignore[misc]
        wait_until_up(cloud, "nova-conductor", "nova-compute", "nova-api")

    all_are_up()
    os.kill(cloud.broker.pid, signal.SIGSTOP)  # a bus that is there, and silent
    try:
        assert max(cloud.stop(*roles)) < STOP_IN_TIME_S
    finally:
        os.kill(cloud.broker.pid, signal.SIGCONT)

    all_are_up()
    with closing(sqlite3.connect(cloud.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        reported_s = time.monotonic()
        wait_until(lambda: time.monotonic() - reported_s > 1.5, what="reports that wait for the database")
        for role in roles:
            cloud.processes[role].terminate()
        assert max(cloud.stop(*roles)) < STOP_IN_TIME_S

    all_are_up()
    cloud.broker.kill()
    assert max(cloud.stop(*roles)) < STOP_IN_TIME_S
    for role in roles:
        assert len([line for line in cloud.said(role) if "service stopped" in line]) == 3
