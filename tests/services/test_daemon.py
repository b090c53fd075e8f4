"""nova-compute as a process: it starts, reports, stops, and no log socket holds it up."""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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


class Host:
    """A directory with nova.conf, logging.conf and the socket that rsyslogd would read."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket_path = directory / "log.sock"
        self.logging_conf = self.write("logging.conf", LOGGING_CONF.format(socket=self.socket_path))
        self.nova_conf = self.write(
            "nova.conf",
            f"[DEFAULT]\nhost = compute-01\nstate_path = {directory}\nreport_interval = 1\nlog-config = {self.logging_conf}\n",
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


def receive_until(receiver: socket.socket, message: str) -> dict[str, Any]:
    while True:
        content = receive(receiver)[1]
        if content["message"] == message:
            return content


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
        head, audit = receive(receiver)
        assert head.startswith("<141>1 ")  # local1, notice
        assert (audit["message"], audit["level"]) == ("resources audited", "AUDIT")
        assert (audit["logger"], audit["event"]) == ("nova.compute.manager", "service.up")
        assert audit["memory_mb"] > audit["free_memory_mb"] > 0
        assert {"vcpus", "disk_gb", "free_disk_gb", "uptime_s"} <= audit.keys()
    assert stop(process) == ""
    stopped = receive_until(receiver, "service stopped")
    assert (stopped["event"], stopped["signal"]) == ("service.stop", "SIGTERM")


def test_interrupt_stops_it_too(
    receiver: socket.socket, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
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
        ("[DEFAULT]\nlog-config = /nonexistent/l.conf\n", "", "cannot load logging configuration /nonexistent/l.conf: "),
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


def test_console_script_tells_how_it_is_used(start: Callable[..., "subprocess.Popen[str]"]) -> None:
    script = Path(sys.executable).with_name("nova-compute")
    done = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=20, check=True)
    assert "--config-file" in done.stdout
    assert "until SIGTERM" in done.stdout
