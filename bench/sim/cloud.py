"""A cloud of many compute hosts on this machine: controllers as `cloud up` runs them, many hosts to a process."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import yaml

from bench.sim.counts import CountFile
from bench.sim.hosts import DAEMONS, HOSTS_CONF, speakers_of
from cloud.logs.generator.inventory import load_inventory
from cloud.logs.generator.render import render_host, write_tree
from cloud.rpc.client import RpcClient
from cloud.rpc.options import configured_publisher
from cloud.services.conductor.client import ConductorClient
from cloud.services.configuration import read_configuration
from cloud.services.identity.bootstrap import SERVICE_PROJECT, SERVICE_USER
from cloud.services.identity.openrc import read_openrc
from cloud.up.accounts import SERVICE_OPENRC
from cloud.up.layout import COMPUTE_SERVICES, CONTROLLER, NOVA_OPTIONS, Endpoints, Layout, inventory_of
from cloud.up.machine import Machine, Settings
from cloud.up.process import Process, ProcessError, start_process

TEMPLATE_HOST = "hosts"
"""In the inventory, for the files that all compute hosts have in common."""
HOST_SIZE = {"vcpus": 32, "memory_mb": 65_536, "disk_gb": 100}
HOSTS_OPTIONS = """\
[DEFAULT]
state_path = {hosts}/$host
# Instances run while they migrate.
live_migration_flag = VIR_MIGRATE_UNDEFINE_SOURCE, VIR_MIGRATE_PEER2PEER, VIR_MIGRATE_LIVE
block_migration_flag = VIR_MIGRATE_UNDEFINE_SOURCE, VIR_MIGRATE_PEER2PEER, VIR_MIGRATE_NON_SHARED_INC, VIR_MIGRATE_LIVE
"""
START_TIMEOUT_S = 600.0
STOP_TIMEOUT_S = 90.0
LIST_TIMEOUT_S = 30.0
POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Controllers(Layout):
    """The first controller has one of each service; the further ones more of those that take turns."""

    computes: int = 0
    """None of `cloud up`'s own."""
    conductors: int = 2
    schedulers: int = 1

    def __post_init__(self) -> None:
        if self.conductors < 1 or self.schedulers < 1:
            raise ValueError("cannot do without a nova-conductor or a nova-scheduler")

    @property
    def services(self) -> Mapping[str, Sequence[str]]:
        more = max(self.conductors, self.schedulers)
        further = {
            f"controller-{number:02}": (
                *(["nova-conductor"] if number <= self.conductors else []),
                *(["nova-scheduler"] if number <= self.schedulers else []),
            )
            for number in range(2, more + 1)
        }
        return {CONTROLLER: ("nova-api", "nova-conductor", "nova-scheduler", "identity", "image"), **further}


class Hosts(Layout):
    """What is rendered for all compute hosts alike."""

    def __post_init__(self) -> None:
        """There is no bound: nothing of it is started by itself."""

    @property
    def services(self) -> Mapping[str, Sequence[str]]:
        return {TEMPLATE_HOST: COMPUTE_SERVICES}


@dataclass(slots=True)
class HostProcess:
    """Hosts that share a process."""

    number: int
    hosts: tuple[str, ...]
    counts: CountFile
    process: Process | None = None
    killed: int = 0

    def __str__(self) -> str:
        return f"hosts-{self.number}"


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """How the cloud is made."""

    hosts: int
    processes: int
    """Of those that are many hosts each."""
    lone_hosts: int = 0
    """Of the hosts, those with a process of their own, which may be killed without the others; the last ones."""
    controllers: Controllers = field(default_factory=Controllers)
    transport_url: str | None = None
    database_url: str | None = None
    options: Mapping[str, int | float] = field(default_factory=dict)
    """Of nova.conf, on all hosts."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"compute-{number:04}" for number in range(1, self.hosts + 1))

    def shares(self) -> Iterator[tuple[str, ...]]:
        """The hosts of each process."""
        shared, lone = self.names[: self.hosts - self.lone_hosts], self.names[self.hosts - self.lone_hosts :]
        for number in range(min(self.processes, len(shared))):
            yield shared[number :: self.processes]
        for host in lone:
            yield (host,)


class SimulatedCloud:
    """Started and stopped as a context manager; everything is in `directory`."""

    def __init__(self, directory: Path, settings: CloudSettings, tell: Callable[[str], None]) -> None:
        self.settings = settings
        self._tell = tell
        self.machine = Machine(
            directory / "c",
            Settings(
                settings.controllers,
                transport_url=settings.transport_url,
                database_url=settings.database_url,
                nova_options=settings.options,
                has_rsyslog=False,
            ),
            tell=tell,
        )
        self._config = directory / "etc"
        self._hosts = directory / "hosts"
        self._counts = directory / "counts"
        self._output = directory / "output"
        self.processes: tuple[HostProcess, ...] = ()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """All services are up."""
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._stop_hosts()
        finally:
            self.machine.stop()
            self._stack.close()

    @property
    def hosts_directory(self) -> Path:
        """Of each compute host it has the state_path."""
        return self._hosts

    def kill(self, host: str) -> None:
        """kill -9 of the process of a lone host."""
        process = self.process_of(host)
        if len(process.hosts) > 1 or process.process is None:
            raise ValueError(f"cannot kill {host}: it shares its process, or has none")
        os.kill(process.process.pid, signal.SIGKILL)
        process.process.end(STOP_TIMEOUT_S)
        process.process, process.killed = None, process.killed + 1

    def revive(self, host: str) -> None:
        """Start the process of a host that was killed."""
        self._launch(self.process_of(host))

    def process_of(self, host: str) -> HostProcess:
        return next(process for process in self.processes if host in process.hosts)

    def watch(self) -> None:
        """Start again what has ended of the controllers; ProcessError for hosts that have ended by themselves."""
        self.machine.watch()
        for process in self.processes:
            if process.process is not None:
                process.process.check()

    def put_down(self) -> None:
        """Stop hosts and services, in this order; the collector goes on. Whoever waits for lines waits after this."""
        self._stop_hosts()
        if not self.machine.stop_services(STOP_TIMEOUT_S):
            self._tell("not all services have ended by themselves")

    def _start(self) -> None:
        self.machine.start()
        self.machine.wait_until_services_are_up()
        for directory in (self._hosts, self._counts, self._output):
            directory.mkdir(parents=True)
        self._render()
        shares = enumerate(self.settings.shares(), start=1)
        self.processes = tuple(
            HostProcess(number, hosts, CountFile(self._counts / str(number), list(speakers_of(hosts))))
            for number, hosts in shares
        )
        for process in self.processes:
            self._launch(process)
        self._wait_until_hosts_are_up()

    def _launch(self, process: HostProcess) -> None:
        command = [sys.executable, "-m", "bench.sim.hosts", "--config", str(self._config)]
        command += ["--syslog", self.machine.syslog_url, "--counts", str(self._counts / str(process.number))]
        process.process = start_process(str(process), [*command, *process.hosts], self._output / f"{process}.txt")

    def _render(self) -> None:
        """The files that all hosts share, and one that says what is each host's own."""
        machine = self.machine
        account = read_openrc(machine.directory / SERVICE_OPENRC)
        inventory = load_inventory(machine.directory / "inventory.yaml")
        endpoints = Endpoints(
            collector_url=machine.syslog_url,
            transport_url=inventory.host(CONTROLLER).transport_url or "",
            database_url=inventory.host(CONTROLLER).database or "",
            identity_url=machine.identity_url,
            image_url=machine.image_url,
            compute_url=machine.compute_url,
            account={"user": SERVICE_USER, "password": account["OS_PASSWORD"], "project": SERVICE_PROJECT},
            host_size=HOST_SIZE,
        )
        tree = self._config / "tree"
        content = inventory_of(
            Hosts(0),
            endpoints,
            {TEMPLATE_HOST: {"root": tree}},
            has_rsyslog=False,
            nova_options={**NOVA_OPTIONS, **self.settings.options},
        )
        self._config.mkdir(mode=0o700)
        (self._config / "inventory.yaml").write_text(yaml.safe_dump(content))
        write_tree(render_host(load_inventory(self._config / "inventory.yaml"), TEMPLATE_HOST), tree)
        for name in ("nova.conf", *(f"{binary}.conf" for binary in DAEMONS)):
            shutil.copy(tree / "etc/nova" / name, self._config / name)
        (self._config / HOSTS_CONF).write_text(HOSTS_OPTIONS.format(hosts=self._hosts))

    def _wait_until_hosts_are_up(self) -> None:
        expected = {(host, binary) for host in self.settings.names for binary in DAEMONS}
        deadline_s = time.monotonic() + START_TIMEOUT_S
        publisher = configured_publisher(read_configuration([self.machine.nova_conf()]))
        client = RpcClient(publisher, "sim")
        try:
            while missing := expected - self._up(client):
                if time.monotonic() > deadline_s:
                    raise ProcessError(f"{len(missing)} services are not up after {START_TIMEOUT_S:.0f} s")
                self.watch()
                time.sleep(POLL_S)
        finally:
            client.close()
            publisher.close()

    @staticmethod
    def _up(client: RpcClient) -> set[tuple[str, str]]:
        services = ConductorClient(client, timeout_s=LIST_TIMEOUT_S).list_services()
        return {(service.host, service.binary) for service in services if service.is_up}

    def _stop_hosts(self) -> None:
        running = [(hosts, hosts.process) for hosts in self.processes if hosts.process is not None]
        for _, process in running:
            process.terminate()
        for hosts, process in running:
            if not process.end(STOP_TIMEOUT_S):
                self._tell(f"{hosts} had to be killed")
            hosts.process = None
