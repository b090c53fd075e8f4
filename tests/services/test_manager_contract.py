"""What every daemon does, whichever it is: on the files that the generator renders, over a real bus."""

import inspect
import json
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloud.db.engine import open_database
from cloud.db.schema import sync
from cloud.logs.emit import request_context
from cloud.logs.generator.inventory import load_inventory
from cloud.logs.generator.render import render_host, write_tree
from cloud.rpc.brokers import broker_for
from cloud.rpc.client import RpcClient
from cloud.rpc.errors import NoSuchTargetError
from cloud.rpc.publisher import Publisher
from cloud.rpc.topology import ROLES, Target
from cloud.services.api.manager import ApiManager
from cloud.services.compute.manager import ComputeManager
from cloud.services.conductor.manager import ConductorManager
from cloud.services.control import ControlClient, ControlEndpoint
from cloud.services.identity.manager import IdentityManager
from cloud.services.image.manager import ImageManager
from cloud.services.manager import Manager
from cloud.services.network.manager import NetworkManager
from cloud.services.scheduler.manager import SchedulerManager
from cloud.up.layout import Endpoints, Layout, inventory_of
from tests.brokers import RedisBroker
from tests.waiting import wait_until

# Of an INFO line: 8 times the facility's number, and 6.
PRIORITIES = {
    "nova-api": 134,  # local0
    "nova-compute": 142,  # local1
    "nova-conductor": 150,  # local2
    "nova-scheduler": 150,
    "nova-network": 158,  # local3
    "nova-cert": 166,  # local4
    "nova-consoleauth": 166,
    "nova-novncproxy": 166,
    "nova-objectstore": 174,  # local5
    "image": 174,
    "identity": 182,  # local6
}
HOST_OF = dict.fromkeys(PRIORITIES, "controller-01") | {"nova-compute": "compute-01", "nova-network": "compute-01"}
MANAGERS = [
    ApiManager,
    ComputeManager,
    ConductorManager,
    IdentityManager,
    ImageManager,
    Manager,
    NetworkManager,
    SchedulerManager,
]
Line = tuple[str, dict[str, Any]]
"""The header, and the content of the body."""


class Site:
    """A controller and a compute host: their rendered files, the sockets of their rsyslogds, and what they share."""

    def __init__(self, broker: RedisBroker) -> None:
        self.root = broker.directory
        database_url = f"sqlite:///{self.root}/nova.sqlite"
        with open_database(database_url) as database:
            sync(database)
        free = "http://127.0.0.1:0"
        endpoints = Endpoints("tcp://127.0.0.1:1024", broker.url, database_url, free, free, free)
        paths = {host: {"root": self.root / host, "run": self.root / f"r-{host}"} for host in Layout(1).services}
        file = self.root / "inventory.yaml"
        file.write_text(yaml.safe_dump(inventory_of(Layout(1), endpoints, paths, has_rsyslog=True)))
        inventory = load_inventory(file)
        self.sockets: dict[str, socket.socket] = {}
        for host in paths:
            write_tree(render_host(inventory, host), self.root / host)
            for path in inventory.host(host).paths.needed_directories:
                Path(path).mkdir(parents=True, exist_ok=True)
            self.sockets[host] = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.sockets[host].bind(str(inventory.host(host).paths.socket))
            self.sockets[host].settimeout(10)
        self._lines: dict[str, deque[Line]] = {binary: deque() for binary in PRIORITIES}
        self.publisher = Publisher(broker_for(broker.url))
        self.client = RpcClient(self.publisher, "test", timeout_s=10)

    def start(self, binary: str) -> "subprocess.Popen[str]":
        etc = self.root / HOST_OF[binary] / "etc/nova"
        files = [f"--config-file={etc}/nova.conf", f"--config-file={etc}/{binary}.conf"]
        role = Target.of(binary).role
        main = f"from cloud.services.{role}.daemon import main; main()"
        command = [sys.executable, "-c", main, *files]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def receive(self, binary: str) -> Line:
        """The next line of `binary`; those of others on the same host are kept for them."""
        while not self._lines[binary]:
            head, _, text = self.sockets[HOST_OF[binary]].recv(1 << 18).decode().partition(" - @cee: ")
            app_name = head.split()[3]  # RFC 5424 section 6
            self._lines[app_name].append((head, json.loads(text)))
        return self._lines[binary].popleft()

    def receive_line(self, binary: str, message: str) -> dict[str, Any]:
        while True:
            _, content = self.receive(binary)
            if content["message"] == message:
                return content

    def close(self) -> None:
        self.client.close()
        self.publisher.close()
        for receiver in self.sockets.values():
            receiver.close()


@dataclass(frozen=True, slots=True)
class Life:
    """What was seen of one daemon from its start to its end."""

    pid: int
    first_line: Line
    answer: dict[str, Any]
    ping_line: dict[str, Any]
    has_database: bool
    arguments: bytes
    stop_s: float = inf
    ended: tuple[int, str, str] | None = None
    """Exit code, stdout and stderr."""
    last_line: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
def lives() -> Iterator[dict[str, Life]]:
    """Of all, which run at the same time."""
    processes: dict[str, subprocess.Popen[str]] = {}
    with RedisBroker() as broker:
        site = Site(broker)
        try:
            processes.update((binary, site.start(binary)) for binary in PRIORITIES)
            yield live(site, processes)
        finally:
            for process in processes.values():
                process.kill()
                process.communicate()
            site.close()


def live(site: Site, processes: "dict[str, subprocess.Popen[str]]") -> dict[str, Life]:
    lives: dict[str, Life] = {}
    for binary, process in processes.items():
        first_line = site.receive(binary)
        target = Target.of(binary, HOST_OF[binary])
        wait_until(lambda target=target: answers(site, target), what=f"{binary} to listen")  # type: ignore[misc]
        with request_context(request_id=f"req-{binary}"):
            (answer,) = ControlClient(site.client).ping_along([target])
        ping_line = site.receive_line(binary, "ping received")
        while "request_id" not in ping_line:  # of the wait above
            ping_line = site.receive_line(binary, "ping received")
        arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        has_database = has_loaded_a_database(process.pid)
        lives[binary] = Life(process.pid, first_line, answer, ping_line, has_database, arguments)
    started_s = time.monotonic()
    for process in processes.values():
        process.send_signal(signal.SIGTERM)
    for binary, process in processes.items():
        out, err = process.communicate(timeout=20)
        stop_s = time.monotonic() - started_s
        last_line = site.receive_line(binary, "service stopped")
        ended = (process.returncode, out, err)
        lives[binary] = replace(lives[binary], stop_s=stop_s, ended=ended, last_line=last_line)
    return lives


@pytest.mark.server
@pytest.mark.parametrize("binary", PRIORITIES)
def test_first_line_is_its_start_on_its_own_facility(lives: dict[str, Life], binary: str) -> None:
    head, started = lives[binary].first_line
    assert head.startswith(f"<{PRIORITIES[binary]}>1 ")
    assert head.endswith(f" {HOST_OF[binary]} {binary} {lives[binary].pid} service.start")
    assert (started["message"], started["logger"], started["level"]) == ("service started", "nova.daemon", "INFO")


@pytest.mark.server
@pytest.mark.parametrize("binary", PRIORITIES)
def test_it_answers_a_ping_and_logs_it_under_the_callers_request(lives: dict[str, Life], binary: str) -> None:
    answer = lives[binary].answer
    assert (answer["binary"], answer["host"], answer["pid"]) == (binary, HOST_OF[binary], lives[binary].pid)
    line = lives[binary].ping_line
    assert (line["request_id"], line["level"], line["logger"]) == (f"req-{binary}", "INFO", "nova.control")


@pytest.mark.server
@pytest.mark.parametrize("binary", PRIORITIES)
def test_only_some_have_loaded_what_opens_a_database(lives: dict[str, Life], binary: str) -> None:
    assert lives[binary].has_database == (binary in {"nova-api", "nova-conductor", "nova-scheduler", "identity"})


@pytest.mark.server
@pytest.mark.parametrize("binary", PRIORITIES)
def test_its_argument_list_has_no_url(lives: dict[str, Life], binary: str) -> None:
    assert b"--config-file" in lives[binary].arguments
    assert b"://" not in lives[binary].arguments


@pytest.mark.server
@pytest.mark.parametrize("binary", PRIORITIES)
def test_it_stops_in_time_with_success_and_says_so(lives: dict[str, Life], binary: str) -> None:
    assert lives[binary].stop_s < 3
    assert lives[binary].ended == (0, "", "")
    last_line = lives[binary].last_line
    assert (last_line["event"], last_line["signal"]) == ("service.stop", "SIGTERM")


def answers(site: Site, target: Target) -> bool:
    try:
        return bool(ControlClient(site.client).ping_along([target]))
    except NoSuchTargetError:  # it has not yet told the bus where it listens
        return False


def has_loaded_a_database(pid: int) -> bool:
    """By the extension modules that SQLAlchemy and psycopg load; what is imported stays mapped."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert "site-packages" in maps  # it is the daemon that we look at
    return "/sqlalchemy/" in maps or "/psycopg" in maps


@pytest.mark.parametrize("binary", [binary for binary in PRIORITIES if binary.startswith("nova-")])
def test_console_script_of_its_own_name_tells_how_it_is_used(binary: str) -> None:
    script = Path(sys.executable).with_name(binary)
    done = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=20, check=True)
    assert f"Run {binary} until SIGTERM." in done.stdout
    assert "--config-file" in done.stdout
    assert "--host" in done.stdout


def test_table_above_has_every_daemon_that_there_is() -> None:
    assert set(PRIORITIES) == {Target(role).binary for role in ROLES}


@pytest.mark.parametrize("kind", MANAGERS)
def test_manager_starts_reports_and_stops_without_arguments(kind: type[Manager]) -> None:
    for method in ("start", "report", "stop"):
        assert list(inspect.signature(getattr(kind, method)).parameters) == ["self"]


@pytest.mark.parametrize("kind", MANAGERS)
def test_no_manager_offers_what_every_daemon_answers(kind: type[Manager]) -> None:
    control = {name for name in vars(ControlEndpoint) if not name.startswith("_")}
    assert control == {"ping", "set_log_level", "get_log_level"}
    assert control.isdisjoint(dir(kind))
