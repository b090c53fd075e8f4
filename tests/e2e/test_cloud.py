"""All daemons on three hosts, over a real bus and database: what an operator sees of them, and what their logs say."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest

from cloud.logs.facilities import FACILITIES
from cloud.logs.query.client import CollectorClient, Parameters
from cloud.up.machine import Machine
from tests.waiting import wait_until

pytestmark = pytest.mark.server

CONTROLLER_SERVICES = [
    "identity",
    "image",
    "nova-api",
    "nova-cert",
    "nova-conductor",
    "nova-consoleauth",
    "nova-novncproxy",
    "nova-objectstore",
    "nova-scheduler",
]
EVERY_SERVICE = sorted(
    [
        *((name, "controller-01") for name in CONTROLLER_SERVICES),
        *((name, host) for name in ("nova-compute", "nova-network") for host in ("compute-01", "compute-02")),
    ]
)


def cloud(machine: Machine, *arguments: str) -> str:
    """What the command prints, run as an operator on the controller would."""
    environment = {**os.environ, "CLOUD_CONFIG_FILE": str(machine.nova_conf()), "CLOUD_LOG_URL": machine.http_url}
    command = [sys.executable, "-m", "cloud", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def services(machine: Machine, *arguments: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(cloud(machine, "service", "list", "--output", "json", *arguments))
    return listed


def state(machine: Machine, binary: str, host: str) -> bool:
    (found,) = services(machine, "--binary", binary, "--host", host)
    return bool(found["is_up"])


def pid_of(machine: Machine, name: str, host: str) -> int:
    (pid,) = [status.pid for status in machine.statuses() if (status.program.name, status.program.host) == (name, host)]
    assert pid is not None
    return pid


def test_every_service_of_every_host_is_up_in_its_zone(machine: Machine) -> None:
    listed = services(machine)
    assert [(item["binary"], item["host"]) for item in listed] == EVERY_SERVICE
    assert all(item["is_up"] and item["is_enabled"] for item in listed)
    assert {item["availability_zone"] for item in listed if item["binary"] == "nova-compute"} == {"nova"}
    assert {item["availability_zone"] for item in listed if item["binary"] != "nova-compute"} == {"internal"}


def test_the_list_is_the_guides_table(machine: Machine) -> None:
    lines = cloud(machine, "service", "list", "--binary", "nova-cert").splitlines()
    assert lines[0] == lines[2] == lines[4]
    assert re.split(r"\s*\|\s*", lines[1].strip("| ")) == [
        *("Binary", "Host", "Zone", "Status", "State", "Updated_at", "Disabled Reason"),
    ]
    cells = re.split(r"\s*\|\s*", lines[3].strip("| "))
    assert cells[:5] == ["nova-cert", "controller-01", "internal", "enabled", "up"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", cells[5])


def test_each_service_logs_its_start_on_its_own_facility_from_its_own_host(
    machine: Machine, client: CollectorClient
) -> None:
    wanted: Parameters = {"field": ["no=such"], "n": 1}
    assert client.rows(wanted) == []
    for binary, host in EVERY_SERVICE:
        rows = client.rows({"service": binary, "host": host, "n": 10_000})
        assert rows[0]["event"] == "service.start"
        assert {row["facility"] for row in rows} == {FACILITIES[binary]}


def test_one_request_id_finds_every_hop_of_a_ping_in_order(machine: Machine, client: CollectorClient) -> None:
    said = cloud(machine, "service", "ping")
    request_id = said.split()[1]
    wait_until(lambda: len(client.rows({"request_id": request_id})) == 5, 15, "all five hops in the store")
    shown = cloud(machine, "log", "tail", "--no-follow", "--request", request_id, "--output", "json")
    rows = [json.loads(line) for line in shown.splitlines()]
    assert [(row["app_name"], row["hostname"]) for row in rows] == [
        ("nova-api", "controller-01"),
        ("nova-conductor", "controller-01"),
        ("nova-scheduler", "controller-01"),
        ("nova-compute", "compute-01"),
        ("nova-compute", "compute-02"),
    ]
    assert {row["message"] for row in rows} == {"ping received"}
    assert [row["procid"] for row in rows] == re.findall(r"\| (\d+) +\| [\d.]+ +\|", said)


def test_a_level_changed_on_one_host_shows_there_alone_and_goes_back(machine: Machine, client: CollectorClient) -> None:
    said = cloud(machine, "log", "level", "nova-network", "debug", "--host", "compute-01", "--for", "4s")
    assert said == "nova-network on compute-01: DEBUG for 4 s, then INFO\n"
    for host in ("compute-01", "compute-02"):
        cloud(machine, "service", "ping", f"nova-network@{host}")

    def lines(host: str) -> list[tuple[str, str]]:
        rows = client.rows({"service": "nova-network", "host": host, "n": 10_000})
        return [(row["level"], row["message"]) for row in rows]

    wait_until(lambda: ("INFO", "log level is as configured again") in lines("compute-01"), 20, "the level's way back")
    assert ("INFO", "log level changed") in lines("compute-01")
    assert ("DEBUG", "request handled") in lines("compute-01")
    assert {level for level, _ in lines("compute-02")} == {"INFO"}
    assert cloud(machine, "log", "level", "nova-network") == (
        "nova-network on compute-01: INFO\nnova-network on compute-02: INFO\n"
    )


def test_disabling_takes_a_reason_and_is_on_record(machine: Machine, client: CollectorClient) -> None:
    said = cloud(machine, "service", "disable", "compute-02", "nova-compute", "--reason", "disk swap")
    assert re.search(r"\| nova-compute \| compute-02 \| nova \| disabled \| up +\| [^|]+ \| disk swap +\|", said)
    assert re.search(r"\| enabled \| up ", cloud(machine, "service", "enable", "compute-02", "nova-compute"))

    def on_record() -> list[tuple[str, str | None]]:
        rows = client.rows({"service": "nova-conductor", "field": ["service_host=compute-02"], "n": 1000})
        changes = [row for row in rows if row.get("event") in ("service.disable", "service.enable")]
        return [(row["event"], row["fields"].get("reason")) for row in changes]

    expected = [("service.disable", "disk swap"), ("service.enable", None)]
    wait_until(lambda: on_record() == expected, 15, "both changes in the store")


def test_a_killed_service_turns_down_and_its_restart_up_and_the_log_says_both(
    machine: Machine, client: CollectorClient
) -> None:
    os.kill(pid_of(machine, "nova-cert", "controller-01"), signal.SIGKILL)
    wait_until(lambda: not state(machine, "nova-cert", "controller-01"), 30, "nova-cert to be down")

    def events() -> list[tuple[str, str]]:
        rows = client.rows({"service": "nova-conductor", "field": ["service=nova-cert"], "n": 1000})
        return [(row["event"], row["severity"]) for row in rows]

    wait_until(lambda: events()[-1:] == [("service.down", "err")], 20, "the word of it in the store")

    def is_up_again() -> bool:
        machine.watch()
        return state(machine, "nova-cert", "controller-01")

    wait_until(is_up_again, 30, "nova-cert to be up again")
    wait_until(lambda: len(client.rows({"service": "cloud-up"})) == 2, 15, "what the host's supervisor says of it")
    ended, started = client.rows({"service": "cloud-up"})
    assert (ended["hostname"], ended["severity"], ended["facility"]) == ("controller-01", "warning", "daemon")
    assert ended["message"].startswith("nova-cert on controller-01 was killed by SIGKILL; again in 0.5 s, see ")
    assert started["message"] == "nova-cert on controller-01 started again"
    wait_until(lambda: events()[-1:] == [("service.up", "info")], 20, "the word of that too")


def test_what_libvirt_and_dnsmasq_say_on_a_host_is_found_by_host(machine: Machine, client: CollectorClient) -> None:
    libvirt = machine.tree("compute-01") / "var/log/libvirt"
    (libvirt / "qemu").mkdir(parents=True, exist_ok=True)
    (libvirt / "qemu/instance-000015b9.log").write_text(
        "2026-11-25 01:22:33.123+0000: starting up libvirt version: 9.0.0, hostname: compute-01\n"
        "qemu-system-x86_64: -blockdev x: Could not open '/x': No such file or directory\n"
    )
    (libvirt / "libvirtd.log").write_text(
        "2026-11-25 01:22:34.000+0000: 1234: error : virNetSocketReadWire:1808 : End of file while reading data\n"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dev_log:
        dev_log.connect(str(machine.tree("compute-01") / "run/nova/dev-log"))
        dev_log.send(b"<28>dnsmasq-dhcp[77]: no address range available for DHCP request via br100")

    def found(service: str) -> list[dict[str, Any]]:
        return client.rows({"host": "compute-01", "service": service})

    wait_until(lambda: len(found("qemu")) == 2, 15, "both lines of QEMU")
    assert {row["procid"] for row in found("qemu")} == {"instance-000015b9"}
    assert "Could not open '/x'" in found("qemu")[1]["message"]
    wait_until(lambda: len(found("libvirtd")) == 1, 15, "libvirtd's line")
    assert (found("libvirtd")[0]["severity"], found("libvirtd")[0]["procid"]) == ("err", "1234")
    wait_until(lambda: len(found("dnsmasq-dhcp")) == 1, 15, "dnsmasq's warning")
    assert found("dnsmasq-dhcp")[0]["severity"] == "warning"


def test_a_compute_host_knows_no_database_and_no_argument_list_a_url(machine: Machine) -> None:
    for path in (machine.tree("compute-01") / "etc").rglob("*"):
        assert not path.is_file() or "sqlite" not in path.read_text()
    for status in machine.statuses():
        assert b"://" not in status_arguments(status.pid) or status.program.name == "collector"


def status_arguments(pid: int | None) -> bytes:
    with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123
        return file.read()
