"""nova-api under load: requests a second, CPU a request, and how long `nova list` takes with 100 and 10,000 instances.

python -m bench.api [--requests 1000] [--instances 100 10000] [--no-json]

A whole cloud runs, with SQLite; the instances are rows of the database, of no hypervisor. `nova list` is what
novaclient asks for: a token, and then GET /servers/detail, which answers with at most osapi_max_limit (1,000) of them.
"""

import argparse
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from bench import process
from bench.result import Result, as_text
from cloud.db.engine import Database, open_database
from cloud.db.fixed_ips import FixedIpTable
from cloud.db.flavors import FlavorTable
from cloud.db.instances import Expected, InstanceTable, NewInstance
from cloud.db.quotas import QuotaLimits
from cloud.domain.instance import PowerState, VmState
from cloud.services.identity.openrc import read_openrc
from cloud.up.accounts import OPENRC
from cloud.up.layout import CONTROLLER, Layout
from cloud.up.machine import Machine, Settings

CLIENTS = 4
CHUNK = 500
COLUMNS = ("request", "instances", "p50", "p99", "req/s", "CPU ms/req", "kB/answer")


@dataclass(frozen=True, slots=True)
class Sample:
    """One kind of request: one at a time for the times, several clients at once for the rate."""

    request: str
    instances: int
    delays_s: list[float]
    per_s: float
    cpu_s: float
    """Of nova-api, for each request of the several clients."""
    answer_bytes: int


@dataclass(frozen=True, slots=True)
class Access:
    """The admin, signed in."""

    url: str
    headers: Mapping[str, str]
    project_id: str
    sign_in: Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=400, help="of each kind, for times and again for the rate")
    parser.add_argument("--instances", type=int, nargs="+", default=[100, 10_000], help="ascending")
    parser.add_argument("--no-json", action="store_true", help="write nothing to bench/results")
    options = parser.parse_args()
    samples: list[Sample] = []
    with (
        tempfile.TemporaryDirectory(prefix="b-") as directory,
        Machine(Path(directory), Settings(Layout(1))) as machine,
    ):
        machine.start()
        machine.wait_until_services_are_up()
        pid = _pid_of(machine, "nova-api")
        access = signed_in(machine)
        there = 0
        with open_database(f"sqlite:///{machine.directory / 'nova.sqlite'}") as database:
            for instances in options.instances:
                add_instances(database, access.project_id, instances - there)
                there = instances
                samples += measure(access, pid, instances, options.requests)
    result = Result(
        "api",
        f"nova-api: one client for p50 and p99, {CLIENTS} for the rate",
        COLUMNS,
        [_row(sample) for sample in samples],
        {"requests": options.requests, "clients": CLIENTS},
        [asdict(sample) for sample in samples],
        ["Clients, identity, database and nova-api share the cores; CPU is nova-api's alone."],
    )
    print(as_text(result))
    if not options.no_json:
        result.write()


def measure(access: Access, pid: int, instances: int, requests: int) -> Iterator[Sample]:
    with connection(access) as client:
        servers = client.get("/servers", params={"limit": 1}).json()["servers"]
    kinds: dict[str, str] = {
        "GET /flavors/detail": "/flavors/detail",
        "GET /servers/{id}": f"/servers/{servers[0]['id']}",
        "GET /servers/detail?limit=100": "/servers/detail?limit=100",
        "GET /servers/detail": "/servers/detail",
    }
    for name, path in kinds.items():
        count = requests if "limit" in path or "detail" not in path or "flavors" in path else max(50, requests // 4)
        yield measure_one(access, pid, name, instances, lambda client, path=path: client.get(path), count)  # type: ignore[misc]

    def nova_list(client: httpx.Client) -> httpx.Response:
        access.sign_in()
        return client.get("/servers/detail")

    yield measure_one(access, pid, "nova list (with its token)", instances, nova_list, max(50, requests // 4))


def measure_one(
    access: Access, pid: int, name: str, instances: int, ask: Callable[[httpx.Client], httpx.Response], count: int
) -> Sample:
    delays_s = []
    size = 0
    with connection(access) as client:
        for _ in range(count):
            asked_s = time.monotonic()
            size = len(ask(client).raise_for_status().content)
            delays_s.append(time.monotonic() - asked_s)

    def work(share: int) -> None:
        with connection(access) as client:
            for _ in range(share):
                ask(client).raise_for_status()

    with ThreadPoolExecutor(CLIENTS) as pool:
        before_s, started_s = process.cpu_s(pid), time.monotonic()
        list(pool.map(work, [count // CLIENTS] * CLIENTS))
        took_s, spent_s = time.monotonic() - started_s, process.cpu_s(pid) - before_s
    done = count // CLIENTS * CLIENTS
    return Sample(name, instances, delays_s, done / took_s, spent_s / done, size)


@contextmanager
def connection(access: Access) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=access.url, headers=access.headers, timeout=60, trust_env=False) as client:
        yield client


def signed_in(machine: Machine) -> Access:
    openrc = read_openrc(machine.directory / OPENRC)
    credentials = {"username": openrc["OS_USERNAME"], "password": openrc["OS_PASSWORD"]}
    body: dict[str, Any] = {"auth": {"passwordCredentials": credentials, "tenantName": openrc["OS_TENANT_NAME"]}}

    def sign_in() -> dict[str, Any]:
        with httpx.Client(trust_env=False, timeout=60) as client:
            answer = client.post(f"{openrc['OS_AUTH_URL']}/tokens", json=body).raise_for_status()
        token: dict[str, Any] = answer.json()["access"]["token"]
        return token

    token = sign_in()
    project_id = token["tenant"]["id"]
    url = f"{machine.compute_url}/v2/{project_id}"
    return Access(url, {"X-Auth-Token": token["id"]}, project_id, sign_in)


def add_instances(database: Database, project_id: str, count: int) -> None:
    """Active ones with an address each, as the build leaves them."""

    def now() -> datetime:
        return datetime.now(UTC)

    flavor = FlavorTable(database, now).get("1")
    instances, addresses = InstanceTable(database, now), FixedIpTable(database, now)
    for start in range(0, count, CHUNK):
        new = [
            NewInstance(str(uuid.uuid4()), project_id, "user", f"vm-{start + number}", flavor, "r-bench")
            for number in range(min(CHUNK, count - start))
        ]
        for instance in instances.create(new, QuotaLimits(-1, -1, -1)):
            addresses.allocate(instance.uuid, "private", "10.0.0.0/16")
            changes = {
                "vm_state": VmState.ACTIVE, "task_state": None, "power_state": PowerState.RUNNING,
                "host": "compute-01", "node": "compute-01", "launched_at": now(),
            }  # fmt: skip
            instances.update(instance.uuid, changes, expected=Expected())


def _pid_of(machine: Machine, name: str) -> int:
    for status in machine.statuses():
        if (status.program.name, status.program.host) == (name, CONTROLLER) and status.pid is not None:
            return status.pid
    sys.exit(f"{name} does not run")


def _row(sample: Sample) -> list[str]:
    cuts = statistics.quantiles(sample.delays_s, n=100)
    return [
        sample.request,
        f"{sample.instances:,}",
        f"{cuts[49] * 1000:.1f} ms",
        f"{cuts[98] * 1000:.1f} ms",
        f"{sample.per_s:.0f}",
        f"{sample.cpu_s * 1000:.2f}",
        f"{sample.answer_bytes / 1000:.1f}",
    ]


if __name__ == "__main__":
    main()
