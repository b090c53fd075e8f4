"""Calls and casts over both brokers: how long a call takes, and what a message costs its two ends in CPU.

python -m bench.rpc [--calls 5000] [--casts 20000] [--threads 8]

The server is a process of its own with one consumer, as a daemon has it. "per core" is messages by the CPU seconds of
client and server together; the broker's own CPU stands beside it. Brokers take turns, three rounds.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from loguru import logger

from cloud.rpc.brokers import broker_for
from cloud.rpc.client import RpcClient
from cloud.rpc.methods import methods_of, rpc_method
from cloud.rpc.publisher import Publisher
from cloud.rpc.server import RpcServer
from cloud.rpc.topology import Target
from tests.brokers import Broker, RabbitMqBroker, RedisBroker

TARGET = Target("compute", "bench-01")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ROUNDS = 3
TIMEOUT_S = 120.0


class Endpoint:
    """Counts what it gets."""

    def __init__(self) -> None:
        self._casts = 0

    @rpc_method
    def note(self, number: int) -> None:  # noqa: ARG002 - a message has a body
        self._casts += 1

    @rpc_method
    def casts(self) -> int:
        return self._casts


def serve(url: str) -> None:
    """The server's process, until its stdin is closed."""
    server = RpcServer(Publisher(broker_for(url)), TARGET, methods_of(Endpoint()))
    server.start()
    assert server.wait_until_up(10)
    print("ready", flush=True)
    sys.stdin.read()
    server.stop(5)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def measure(broker: Broker, calls: int, casts: int, threads: int) -> None:
    command = [sys.executable, "-m", "bench.rpc", "--serve"]
    environment = {**os.environ, "BENCH_URL": broker.url}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        publisher = Publisher(broker_for(broker.url))
        client = RpcClient(publisher, "bench", timeout_s=TIMEOUT_S)
        client.call(TARGET, "casts")
        took_s = []
        before = cpu_s(server.pid) + cpu_s(os.getpid())
        for _ in range(calls):
            started_s = time.perf_counter()
            client.call(TARGET, "casts")
            took_s.append(time.perf_counter() - started_s)
        call_cpu_s = cpu_s(server.pid) + cpu_s(os.getpid()) - before
        took_s.sort()

        before, broker_before = cpu_s(server.pid) + cpu_s(os.getpid()), cpu_s(broker.pid)
        started_s = time.perf_counter()
        share = casts // threads

        def send() -> None:
            for number in range(share):
                client.cast(TARGET, "note", {"number": number})

        senders = [threading.Thread(target=send) for _ in range(threads)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        while client.call(TARGET, "casts") < share * threads:
            time.sleep(0.05)
        wall_s = time.perf_counter() - started_s
        cast_cpu_s = cpu_s(server.pid) + cpu_s(os.getpid()) - before
        broker_cpu_s = cpu_s(broker.pid) - broker_before
        client.close()
        publisher.close()
        assert server.stdin is not None
        server.stdin.close()
    p50, p99 = took_s[len(took_s) // 2], took_s[len(took_s) * 99 // 100]
    print(
        f"{broker.name:9} call p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f}, max {took_s[-1] * 1e3:.1f};"
        f" {calls / call_cpu_s:.0f} calls/s per core;"
        f" casts {share * threads / wall_s:.0f}/s, {share * threads / cast_cpu_s:.0f}/s per core"
        f" (broker {broker_cpu_s / share / threads * 1e6:.0f} us each)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--casts", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=8, help="that cast at the same time")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    logger.remove()  # what is measured is the bus
    if options.serve:
        serve(os.environ["BENCH_URL"])
        return
    with RedisBroker() as redis, RabbitMqBroker() as rabbitmq:
        for _ in range(ROUNDS):
            for broker in (redis, rabbitmq):
                measure(broker, options.calls, options.casts, options.threads)


main()
