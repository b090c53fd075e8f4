"""Many boots at once on a cloud with room for half of them, by HTTP through all daemons: what an owner and an operator see."""

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloud.logs.query.client import CollectorClient, Parameters
from cloud.services.identity.openrc import read_openrc
from cloud.up.accounts import OPENRC
from cloud.up.layout import Layout
from cloud.up.machine import Machine, Settings
from tests.waiting import wait_until

pytestmark = pytest.mark.server

BOOTS, ROOM = 200, 100
CLIENTS = 8
TRIES = 20
BUILD_TIMEOUT_S = 240


@dataclass(frozen=True, slots=True)
class Cloud:
    """A running cloud, and its admin at nova-api."""

    machine: Machine
    http: httpx.Client
    project_id: str

    def servers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get("/servers/detail").raise_for_status().json()["servers"]
        return found

    def statuses(self) -> Counter[str]:
        return Counter(server["status"] for server in self.servers())

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Again where the database was away for the moment: SQLite lets one writer in, and the others wait 5 s at most."""
        for _ in range(TRIES):
            answer = self.http.request(method, path, **request)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
        return answer

    def used_disk_gb(self) -> int:
        hypervisors = self.http.get("/os-hypervisors/detail").raise_for_status().json()["hypervisors"]
        return sum(int(hypervisor["local_gb_used"]) for hypervisor in hypervisors)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """Of two hosts whose disks hold 50 instances of m1.tiny each; the quotas are not in the way."""
    directory = Path(tempfile.mkdtemp(prefix="t-"))  # short: a socket's path has 107 bytes at most
    size = {"vcpus": 64, "memory_mb": 131_072, "disk_gb": ROOM // 2}
    try:
        with Machine(directory, Settings(Layout(2), host_size=size)) as machine:
            machine.start()
            machine.wait_until_services_are_up()
            openrc = read_openrc(directory / OPENRC)
            credentials = {"username": openrc["OS_USERNAME"], "password": openrc["OS_PASSWORD"]}
            body = {"auth": {"passwordCredentials": credentials, "tenantName": openrc["OS_TENANT_NAME"]}}
            with httpx.Client(trust_env=False, timeout=60) as http:
                access = http.post(f"{openrc['OS_AUTH_URL']}/tokens", json=body).raise_for_status().json()["access"]
                project_id = access["token"]["tenant"]["id"]
                http.headers["X-Auth-Token"] = access["token"]["id"]
                http.base_url = httpx.URL(f"{machine.compute_url}/v2/{project_id}")
                unlimited = {"quota_set": dict.fromkeys(("instances", "cores", "ram"), -1)}
                http.put(f"/os-quota-sets/{project_id}", json=unlimited).raise_for_status()
                yield Cloud(machine, http, project_id)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def test_exactly_as_many_as_there_is_room_for_are_active_and_each_other_says_why(cloud: Cloud) -> None:
    image = cloud.http.get("/images?name=hello").raise_for_status().json()["images"][0]["id"]

    def boot(number: int) -> tuple[int, str]:
        server = {"name": f"vm-{number}", "imageRef": image, "flavorRef": "1"}
        answer = cloud.ask("POST", "/servers", json={"server": server})
        return answer.status_code, answer.headers["x-compute-request-id"]

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(boot, range(BOOTS)))
    assert Counter(status for status, _ in answers) == {202: BOOTS}
    wait_until(lambda: cloud.statuses()["BUILD"] == 0, BUILD_TIMEOUT_S, "the end of all builds")

    servers = cloud.servers()
    assert Counter(server["status"] for server in servers) == {"ACTIVE": ROOM, "ERROR": BOOTS - ROOM}
    assert {server["OS-EXT-STS:task_state"] for server in servers} == {None}
    assert cloud.used_disk_gb() == ROOM
    addresses = [server["addresses"] for server in servers]
    given = [address["addr"] for each in addresses for address in each.get("private", ())]
    assert (len(given), len(set(given))) == (ROOM, ROOM)
    faults = [server["fault"] for server in servers if server["status"] == "ERROR"]
    assert {fault["code"] for fault in faults} == {500}
    assert all(fault["message"].startswith("no valid host: ") for fault in faults)

    requests = dict(zip((f"vm-{number}" for number in range(BOOTS)), (request for _, request in answers), strict=True))
    failed = next(server for server in servers if server["status"] == "ERROR" and "DiskFilter" in str(server["fault"]))
    with CollectorClient(cloud.machine.http_url) as client:
        told: Parameters = {"request_id": requests[failed["name"]], "n": 1000}

        def is_told() -> bool:
            return any(row.get("event") == "instance.error" for row in client.rows(told))

        wait_until(is_told, 20, "the log's word of it")
        events = [row["event"] for row in client.rows(told) if row.get("event")]
    assert events == [
        "build.request.started",
        "build.request.completed",
        "build.schedule.started",
        "build.schedule.failed",
        "instance.error",
    ]


def doctor(machine: Machine, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """As an operator on the controller would run it."""
    conf = machine.nova_conf()
    files = [f"--config-file={conf}", f"--config-file={conf.with_name('nova-conductor.conf')}"]
    command = [sys.executable, "-m", "cloud", "doctor", *files, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_doctor_finds_nothing_among_them(cloud: Cloud) -> None:
    done = doctor(cloud.machine)
    active = cloud.statuses()["ACTIVE"]
    counts = f"{BOOTS} instances, {active} claims, {active} addresses, 0 migrations, 2 hosts, {active} guests"
    assert (done.returncode, done.stdout, done.stderr) == (0, f"nothing found; looked at {counts}\n", "")


def test_deleting_them_all_gives_everything_back(cloud: Cloud) -> None:
    with ThreadPoolExecutor(CLIENTS) as pool:
        ids = [server["id"] for server in cloud.servers()]
        assert {
            answer.status_code for answer in pool.map(lambda uuid: cloud.ask("DELETE", f"/servers/{uuid}"), ids)
        } == {204}
    wait_until(lambda: not cloud.servers(), BUILD_TIMEOUT_S, "the end of all servers")
    assert cloud.used_disk_gb() == 0
    for host in cloud.machine.settings.layout.compute_hosts:
        rows = cloud.http.get(f"/os-hosts/{host}").raise_for_status().json()["host"]
        assert [row["resource"]["cpu"] for row in rows[1:]] == [0, 0]
