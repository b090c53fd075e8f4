"""A cloud of three hosts on this machine: how long its start takes, what it costs, and what kill -9 does to it.

python -m bench.recovery [--hosts 2] [--idle 30] [--rabbitmq] [--postgresql]

For each program in turn: kill -9, then the time until it does its work again (a service answers a ping, a line of a
host is stored, the collector answers), and the log lines that tell of it. With --postgresql and --rabbitmq database and
broker are real servers, down for --down seconds each; otherwise SQLite, which has no process, and the private redis.
"""

import argparse
import json
import os
import socket
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx

from cloud.errors import CloudError
from cloud.logs.emit.settings import LogSettings
from cloud.logs.emit.setup import set_up_logging
from cloud.logs.query.client import ClientError, CollectorClient
from cloud.rpc.client import RpcClient
from cloud.rpc.options import configured_publisher
from cloud.rpc.topology import Target
from cloud.services.conductor.client import ConductorClient
from cloud.services.configuration import read_configuration
from cloud.up.layout import Layout
from cloud.up.machine import Machine, Settings
from cloud.up.supervisor import Status
from tests.brokers import RabbitMqBroker
from tests.postgresql import PostgreSql

RECOVERY_TIMEOUT_S = 90.0
POLL_S = 0.05
SETTLE_S = 3.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=2, help="compute hosts")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds over which idle CPU is measured")
    parser.add_argument("--down", type=float, default=5.0, help="seconds that a killed server stays down")
    parser.add_argument("--rabbitmq", action="store_true")
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    set_up_logging(LogSettings(level=40), service="bench", host="-")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="b-")))
        rabbitmq = stack.enter_context(RabbitMqBroker()) if options.rabbitmq else None
        postgresql = stack.enter_context(PostgreSql()) if options.postgresql else None
        settings = Settings(
            Layout(options.hosts),
            transport_url=rabbitmq.url if rabbitmq else None,
            database_url=postgresql.create_database("nova") if postgresql else None,
        )
        started_s = time.monotonic()
        machine = stack.enter_context(Machine(directory, settings, tell=lambda line: print(f"    cloud up: {line}")))
        machine.start()
        machine.wait_until_services_are_up()
        print(f"all up after {time.monotonic() - started_s:.1f} s: {len(machine.statuses())} programs")
        footprint(machine, options.idle)
        bench = Bench(machine, stack)
        for status in machine.statuses():
            bench.kill(status)
        if rabbitmq:
            bench.outage("rabbitmq", rabbitmq.kill, rabbitmq.start, options.down)
        if postgresql:
            bench.outage("postgresql", postgresql.kill, postgresql.start, options.down)
        stopped_s = time.monotonic()
        machine.stop()
        print(f"all stopped after {time.monotonic() - stopped_s:.1f} s")


def footprint(machine: Machine, idle_s: float) -> None:
    """Print memory (PSS: shared pages divided by their users) and CPU over `idle_s` of each program."""
    time.sleep(10)  # the first minute of a service is not its idle life
    before = {status.pid: cpu_s(status.pid) for status in machine.statuses() if status.pid}
    time.sleep(idle_s)
    print(f"{'program':32} {'PSS MiB':>8} {'CPU %':>7}")
    totals: Counter[str] = Counter()
    for status in machine.statuses():
        assert status.pid is not None
        pss_mib = pss_kib(status.pid) / 1024
        percent = (cpu_s(status.pid) - before[status.pid]) / idle_s * 100
        totals["pss"] += round(pss_mib * 10)
        totals["cpu"] += round(percent * 100)
        print(f"{status.program!s:32} {pss_mib:8.1f} {percent:7.2f}")
    print(f"{'all':32} {totals['pss'] / 10:8.1f} {totals['cpu'] / 100:7.2f}")


class Bench:
    def __init__(self, machine: Machine, stack: ExitStack) -> None:
        self._machine = machine
        publisher = configured_publisher(read_configuration([machine.nova_conf()]))
        self._client = RpcClient(publisher, "bench")
        stack.callback(publisher.close)
        stack.callback(self._client.close)
        self._rows = stack.enter_context(CollectorClient(machine.http_url))

    def kill(self, status: Status) -> None:
        """Kill -9 one program, and wait for its work."""
        assert status.pid is not None
        name, host = status.program.name, status.program.host
        works: Callable[[], bool]
        if name == "collector":
            works = self._collector_works
        elif name == "rsyslogd":
            assert host is not None
            works = self._line_arrives_from(host)
        elif name == "redis-server":
            works = self._all_services_answer
        else:
            works = self._answers(Target.of(name, host))
        since = self._position()
        os.kill(status.pid, 9)
        self._await(str(status.program), works, since)

    def outage(self, name: str, kill: Callable[[], None], start: Callable[[], None], down_s: float) -> None:
        """Kill a server, leave it down, start it again, and wait until all services do their work again."""
        since = self._position()
        kill()
        end_s = time.monotonic() + down_s
        while time.monotonic() < end_s:
            self._machine.watch()
            time.sleep(POLL_S)
        start()
        self._await(f"{name}, down for {down_s:g} s and its start", self._all_services_answer, since)

    def _await(self, what: str, works: Callable[[], bool], since: int) -> None:
        started_s = time.monotonic()
        while not works():
            self._machine.watch()
            if time.monotonic() - started_s > RECOVERY_TIMEOUT_S:
                print(f"{what}: does not work again after {RECOVERY_TIMEOUT_S:.0f} s")
                return
            time.sleep(POLL_S)
        print(f"{what}: works again after {time.monotonic() - started_s:.1f} s", flush=True)
        end_s = time.monotonic() + SETTLE_S
        while time.monotonic() < end_s:
            self._machine.watch()
            time.sleep(POLL_S)
        self._print_lines(since)

    def _print_lines(self, since: int) -> None:
        """What the cloud's logs say of it: messages without what is said anyway, with how often and by whom."""
        usual = {"resources audited", "ping received"}
        said: Counter[tuple[str, str]] = Counter()
        by: dict[tuple[str, str], set[str]] = {}
        for row in self._rows.rows({"n": 2000}):
            is_ours = row["app_name"].startswith(("nova-", "cloud-up"))
            if row["row_id"] > since and row["message"] not in usual and is_ours:
                key = (row["severity"], row["message"])
                said[key] += 1
                by.setdefault(key, set()).add(row["app_name"])
        for (severity, message), count in said.most_common():
            print(f"    {count:3} x {severity:8} {message[:90]} ({', '.join(sorted(by[severity, message]))})")

    def _position(self) -> int:
        rows = self._rows.rows({"n": 1})
        return int(rows[-1]["row_id"]) if rows else 0

    def _answers(self, target: Target) -> Callable[[], bool]:
        def works() -> bool:
            try:
                answers = self._client.call(target, "ping", {"route": []}, timeout_s=0.3)
            except CloudError:
                return False
            return bool(answers[0]["pid"])

        return works

    def _all_services_answer(self) -> bool:
        try:
            services = ConductorClient(self._client, timeout_s=2.0).list_services()
        except CloudError:
            return False
        return all(item.is_up and self._answers(Target.of(item.binary, item.host))() for item in services)

    def _collector_works(self) -> bool:
        try:
            return httpx.get(f"{self._machine.http_url}/readyz", timeout=1.0, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def _line_arrives_from(self, host: str) -> Callable[[], bool]:
        path = self._machine.syslog_address(host).removeprefix("unix:")

        def works() -> bool:
            request_id = f"req-{uuid.uuid4()}"
            body = "@cee: " + json.dumps({"message": "bench", "request_id": request_id})
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                    sender.connect(path)
                    sender.send(f"<134>1 - - bench - - - {body}".encode())
                end_s = time.monotonic() + 1.0
                while time.monotonic() < end_s:
                    if self._rows.rows({"request_id": request_id}):
                        return True
                    time.sleep(POLL_S)
            except (OSError, ClientError):
                pass
            return False

        return works


def cpu_s(pid: int | None) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def pss_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


main()
