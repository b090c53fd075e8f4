"""nova-conductor and nova-network as processes: a conductor is killed while it builds, and all is built all the same."""

import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cloud.db.engine import Database, open_database
from cloud.db.schema import sync
from cloud.domain.flavor import Resources
from cloud.domain.host import BuildRequest
from cloud.domain.instance import PowerState, VmState
from cloud.rpc.client import RpcClient
from cloud.rpc.errors import NoSuchTargetError
from cloud.rpc.methods import rpc_method
from cloud.rpc.topology import Target
from cloud.services.conductor.client import ConductorClient
from cloud.services.conductor.tables import Tables
from cloud.services.control import ControlClient
from tests.conductor.site import IMAGE
from tests.conductor.site import Scheduler as Chooser
from tests.db.conftest import LIMITS
from tests.db.making import NO_QUOTA, SMALL, compute_node, new_instance
from tests.rpc.bus import Bus
from tests.waiting import wait_until

COMPUTE = "compute-01"
BUILDS = 20
WAIT_S = 60.0


class Scheduler:
    def __init__(self, tables: Tables) -> None:
        self._chooser = Chooser(tables)

    @rpc_method
    def select_hosts(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        return [each.as_dict() for each in self._chooser.select_hosts(BuildRequest.from_dict(request))]


class Compute:
    """It spawns nothing before the gate is opened."""

    def __init__(self, conductor: ConductorClient) -> None:
        self._conductor = conductor
        self.gate = threading.Event()
        self.asked: Counter[str] = Counter()
        self.guests: set[str] = set()

    @rpc_method
    def prepare_image(self, image_id: str) -> None:
        assert image_id == IMAGE

    @rpc_method
    def spawn(self, uuid: str, fixed_ips: Sequence[dict[str, str]]) -> int:
        assert self._conductor.get_instance(uuid).host == COMPUTE
        assert len(fixed_ips) == 1
        self.asked[uuid] += 1
        assert self.gate.wait(WAIT_S)
        self.guests.add(uuid)
        return int(PowerState.RUNNING)

    @rpc_method
    def destroy(self, uuid: str) -> None:
        self.guests.discard(uuid)


class Processes:
    """Daemons with a nova.conf each, on one bus and one database."""

    def __init__(self, directory: Path, bus_url: str, database_url: str) -> None:
        self._directory = directory
        self._bus_url = bus_url
        self._database_url = database_url
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, binary: str, host: str) -> "subprocess.Popen[bytes]":
        conf = self._directory / f"{binary}-{host}.conf"
        database = f"[database]\nconnection = {self._database_url}\n" if binary == "nova-conductor" else ""
        conf.write_text(
            f"[DEFAULT]\nhost = {host}\ntransport_url = {self._bus_url}\nmax_concurrent_builds = 4\n"
            f"rpc_workers = 4\nreport_interval = 1\nstate_path = {self._directory}\n{database}"
        )
        role = binary.removeprefix("nova-")
        main = f"from cloud.services.{role}.daemon import main; main()"
        with (self._directory / f"{binary}-{host}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", main, f"--config-file={conf}"], stdout=log, stderr=subprocess.STDOUT
            )
        self._running.append(process)
        return process

    def kill(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()


@pytest.fixture
def tables() -> Iterator[tuple[str, Tables]]:
    """And where they are."""
    with tempfile.TemporaryDirectory(prefix="t-") as directory:
        url = f"sqlite:///{directory}/nova.db"
        with open_database(url, LIMITS) as database:
            sync(database)
            yield url, tables_of(database)


def tables_of(database: Database) -> Tables:
    tables = Tables.of(database, lambda: datetime.now(UTC), down_after_s=60)
    tables.compute_nodes.report(compute_node(COMPUTE, Resources(BUILDS * SMALL.memory_mb, 1000, 10_000)))
    return tables


@pytest.mark.server
def test_a_conductor_is_killed_while_it_builds_and_another_one_goes_on(
    bus: Bus, tables: tuple[str, Tables], tmp_path: Path
) -> None:
    url, found = tables
    compute = Compute(ConductorClient(bus.client()))
    bus.server(Target("scheduler", "controller-01"), Scheduler(found))
    bus.server(Target("compute", COMPUTE), compute, workers=2 * BUILDS)
    entered = found.instances.create([new_instance(n, image_id=IMAGE) for n in range(1, BUILDS + 1)], NO_QUOTA)
    with ExitStack() as stack:
        processes = Processes(tmp_path, bus.url, url)
        stack.callback(processes.kill)
        stack.callback(compute.gate.set)
        processes.start("nova-network", COMPUTE)
        first = processes.start("nova-conductor", "controller-01")
        client = bus.client()
        wait_until(lambda: answers(client, Target("network", COMPUTE)), WAIT_S, "nova-network")
        wait_until(lambda: answers(client, Target("conductor", "controller-01")), WAIT_S, "nova-conductor")
        for each in entered:
            request = BuildRequest(each.uuid, each.project_id, each.flavor, each.image_id)
            ConductorClient(client).build_instance(request)
        wait_until(lambda: len(compute.asked) == 4, WAIT_S, "as many builds as it has under way at a time")

        first.kill()
        processes.start("nova-conductor", "controller-02")
        compute.gate.set()
        uuids = [each.uuid for each in entered]

        def are_ended() -> bool:
            return all(found.instances.get(uuid).vm_state is not VmState.BUILDING for uuid in uuids)

        wait_until(are_ended, WAIT_S, "all builds to end")

    assert {found.instances.get(uuid).vm_state for uuid in uuids} == {VmState.ACTIVE}
    assert compute.guests == set(uuids)
    assert [list(found.claims.of(uuid)) for uuid in uuids] == [[COMPUTE]] * BUILDS
    addresses = [found.instances.get(uuid).addresses for uuid in uuids]
    assert {len(each) for each in addresses} == {1}
    assert len(set(addresses)) == BUILDS
    assert found.instances.faults(uuids) == {}


def answers(client: RpcClient, target: Target) -> bool:

    try:
        return bool(ControlClient(client).ping_along([target]))
    except NoSuchTargetError:
        return False
