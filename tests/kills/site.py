"""A cloud as `cloud up` runs it, with one process for each daemon, any of which may be stopped or killed."""

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sqlalchemy import select

from bench.sim.api import Api
from cloud.db.engine import Database, open_database
from cloud.db.models import ServiceRow
from cloud.logs.query.client import CollectorClient
from cloud.rpc.client import RpcClient
from cloud.rpc.options import configured_publisher
from cloud.services.conductor.tables import Tables
from cloud.services.configuration import read_configuration
from cloud.up.layout import COMPUTE_SERVICES, CONTROLLER, Layout
from cloud.up.machine import Machine, Settings
from tests.kills.daemons import Daemon
from tests.kills.moves import BROKEN_OWN, BROKEN_SHARED, OWN, SHARED

DOWN_AFTER_S = 8
STATE_PATH = "var/lib/nova"
"""In the directory of a host."""
HOST_SIZE = {"vcpus": 256, "memory_mb": 524_288, "disk_gb": 8192}
UP_S = 60.0
STOPPED_S = 5.0
POLL_S = 0.1
_FLAGS = "VIR_MIGRATE_UNDEFINE_SOURCE,VIR_MIGRATE_PEER2PEER,VIR_MIGRATE_LIVE"
ZONES = {"own": (*OWN, BROKEN_OWN), "shared": (*SHARED, BROKEN_SHARED)}
SHARING = ZONES["shared"]
BROKEN = (BROKEN_OWN, BROKEN_SHARED)
_PLACE = "/tmp"  # noqa: S108 - a directory of our own is made there; short, for a socket's path has 107 bytes at most


@dataclass(frozen=True, slots=True)
class Site:
    """A running cloud, and what it is asked and looked at with. Its methods are for the thread that has started it."""

    machine: Machine
    api: Api
    database: Database
    tables: Tables
    client: RpcClient
    collector: CollectorClient
    failed: set[str]
    """Hosts without power."""

    @property
    def hosts_directory(self) -> Path:
        return self.machine.directory / "hosts"

    def state_path(self, host: str) -> Path:
        """Of the simulated hypervisor there."""
        return self.hosts_directory / host / STATE_PATH / "simulated"

    def turn_knobs(self, delay: Mapping[str, Sequence[str]], fail: Mapping[str, Sequence[str]]) -> None:
        """Those of each host; nothing is as it was."""
        for host in self.machine.settings.layout.compute_hosts:
            file = self.state_path(host) / "knobs.toml"
            file.parent.mkdir(parents=True, exist_ok=True)
            new = file.with_suffix(".new")
            new.write_text(
                f"delay = {json.dumps(list(delay.get(host, ())))}\nfail = {json.dumps(list(fail.get(host, ())))}\n"
            )
            new.replace(file)

    def stop(self, daemon: Daemon) -> None:
        """Let it do nothing more, in whatever it is."""
        pid = self.pid(daemon)
        os.kill(pid, signal.SIGSTOP)
        deadline_s = time.monotonic() + STOPPED_S
        while _state_of(pid) != "T":
            if time.monotonic() >= deadline_s:
                raise TimeoutError(f"{daemon} does not stop")

    def resume(self, daemon: Daemon) -> None:
        """Let it go on."""
        os.kill(self.pid(daemon), signal.SIGCONT)

    def kill(self, daemon: Daemon) -> None:
        """As the kernel does it where memory runs out; the machine starts it again."""
        os.kill(self.pid(daemon), signal.SIGKILL)

    def pid(self, daemon: Daemon) -> int:
        """RuntimeError while it is down."""
        for status in self.machine.statuses():
            program = status.program
            if (program.name, program.host) == (daemon.binary, daemon.host) and status.pid is not None:
                return status.pid
        raise RuntimeError(f"{daemon} does not run")

    def fail_hosts(self) -> None:
        """Those that are there for it, until `revive_hosts`."""
        for host in BROKEN:
            self.machine.fail_host(host)
        self.failed.update(BROKEN)

    def wait_until_known_down(self) -> None:
        """All that have failed."""
        self.wait(lambda: not any(map(self._is_up, self.failed)), UP_S, f"{', '.join(self.failed)} to be down")

    def revive_hosts(self) -> None:
        """All that have failed; return when they are up."""
        hosts, since = sorted(self.failed), datetime.now(UTC)
        for host in hosts:
            self.machine.start_host(host)
        self.failed.clear()
        self.wait_until_up(since)

    def wait_until_up(self, since: datetime) -> None:
        """Every service that should has said so since then."""
        expected = {
            (host, name)
            for host, names in self.machine.settings.layout.services.items()
            for name in names
            if host not in self.failed
        }

        def missing() -> set[tuple[str, str]]:
            with self.database.reading() as session:
                rows = session.execute(select(ServiceRow.host, ServiceRow.binary, ServiceRow.updated_at)).all()
            return expected - {(host, binary) for host, binary, updated_at in rows if updated_at > since}

        self.wait(lambda: not missing(), UP_S, "all services to be up")

    def wait(self, predicate: Callable[[], bool], timeout_s: float, what: str) -> None:
        """TimeoutError; who dies meanwhile is started again."""
        deadline_s = time.monotonic() + timeout_s
        while not predicate():
            if time.monotonic() >= deadline_s:
                raise TimeoutError(f"waited {timeout_s:g} s for {what}")
            self.machine.watch()
            time.sleep(POLL_S)

    def _is_up(self, host: str) -> bool:
        return any(service.is_up for service in self.tables.services.all(host=host))

    @classmethod
    @contextmanager
    def running(cls, database_url: str | None = None) -> Iterator[Self]:
        """With two zones: in one each host has its own disks, in the other they share them."""
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="t-", dir=_PLACE)))
            machine = stack.enter_context(Machine(directory, _settings(database_url)))
            machine.start()
            machine.wait_until_services_are_up()
            database = stack.enter_context(open_database(database_url or f"sqlite:///{directory / 'nova.sqlite'}"))
            publisher = configured_publisher(read_configuration([machine.nova_conf()]))
            stack.callback(publisher.close)
            client = RpcClient(publisher, "kills")
            stack.callback(client.close)
            api = stack.enter_context(Api(machine))
            api.lift_quotas()
            for zone, hosts in ZONES.items():
                _make_zone(api, zone, hosts)
            for host in BROKEN:
                api.close_host(host)  # nothing moves there
            yield cls(
                machine,
                api,
                database,
                Tables.of(database, lambda: datetime.now(UTC), down_after_s=DOWN_AFTER_S),
                client,
                stack.enter_context(CollectorClient(machine.http_url)),
                set(),
            )


class _Layout(Layout):
    """Without those services of a controller that no move has to do with."""

    @property
    def services(self) -> Mapping[str, Sequence[str]]:
        controller = ("nova-api", "nova-conductor", "nova-scheduler", "identity", "image")
        return {CONTROLLER: controller, **dict.fromkeys(self.compute_hosts, COMPUTE_SERVICES)}


def zone_of(host: str) -> str:
    """Moves stay within it."""
    return next(zone for zone, hosts in ZONES.items() if host in hosts)


def _settings(database_url: str | None) -> Settings:
    return Settings(
        _Layout(sum(map(len, ZONES.values()))),
        database_url=database_url,
        host_size=HOST_SIZE,
        nova_options={
            "report_interval": 2,
            "service_down_time": DOWN_AFTER_S,
            "live_migration_flag": _FLAGS,
            "block_migration_flag": f"{_FLAGS},VIR_MIGRATE_NON_SHARED_INC",
            "max_concurrent_migrations": 64,
        },
        shared_disks=SHARING,
        steady_s=0.0,  # who is killed again and again would be started later and later
    )


def _make_zone(api: Api, name: str, hosts: Sequence[str]) -> None:
    body = {"aggregate": {"name": name, "availability_zone": name}}
    made = api.post("/os-aggregates", body).json()["aggregate"]
    for host in hosts:
        api.post(f"/os-aggregates/{made['id']}/action", {"add_host": {"host": host}})


def _state_of(pid: int) -> str:
    """T is stopped; see proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
