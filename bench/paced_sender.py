"""Sends numbered lines without end at a steady rate, one connection for each host. A process of its own.

python -m bench.paced_sender PORT RATE SECONDS [--seed 4]

A small corpus is sent again and again, with numbers that go on ascending, so that no two lines have the same identity.
On stdout: a line `sending` once all connections are there; at the end what was sent, as JSON.
"""

import argparse
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from bench import process
from bench.corpus import HOSTS, corpus

MESSAGES = 80_000
TICK_S = 0.01
TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What went out: on each connection the last number, and how many lines, some of which have none."""

    numbers: dict[str, int]
    lines: int
    seconds: float
    behind_s: float
    """The farthest that the sender was behind its plan."""


class NumberedLines:
    """One host's lines, LF-framed, over and over, numbered from 1 on."""

    def __init__(self, payloads: list[bytes]) -> None:
        self._parts = [_around_number(payload) for payload in payloads]
        self._place = 0
        self.number = 0

    def take(self, count: int) -> bytes:
        """The next `count` lines."""
        taken = []
        for _ in range(count):
            head, tail = self._parts[self._place]
            self._place = (self._place + 1) % len(self._parts)
            if tail:
                self.number += 1
                taken.append(b"%b%d%b\n" % (head, self.number, tail))
            else:
                taken.append(head + b"\n")
        return b"".join(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("rate", type=float, help="messages a second over all connections")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--seed", type=int, default=4)
    options = parser.parse_args()
    payloads: list[list[bytes]] = [[] for _ in HOSTS]
    for host, payload in corpus(MESSAGES, options.seed):
        payloads[host].append(payload)
    hosts = list(map(NumberedLines, payloads))
    connections = [socket.create_connection(("127.0.0.1", options.port), TIMEOUT_S) for _ in hosts]
    print("sending", flush=True)
    sent = send(hosts, connections, options.rate, options.seconds)
    for connection in connections:
        connection.close()
    print(json.dumps(asdict(sent)), flush=True)


@contextmanager
def sending(port: int, rate: float, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """Such a process, which has its connections and begins to send."""
    command = [sys.executable, "-m", "bench.paced_sender", str(port), str(rate), str(seconds)]
    sender = process.start(command, stdout=subprocess.PIPE, stderr=None)
    try:
        assert sender.stdout is not None
        if sender.stdout.readline() != b"sending\n":
            raise RuntimeError("cannot send: the sender has ended")
        yield sender
    finally:
        process.stop(sender, STOP_TIMEOUT_S)


def sent_by(sender: subprocess.Popen[bytes], timeout_s: float) -> Sent:
    """What the process of `sending` sent, once it has ended; `RuntimeError` when it could not end its work."""
    said = sender.communicate(timeout=timeout_s)[0]
    if sender.returncode:
        raise RuntimeError(f"cannot send: the sender ended with {sender.returncode}")
    return Sent(**json.loads(said))


def send(hosts: list[NumberedLines], connections: list[socket.socket], rate: float, seconds: float) -> Sent:
    """Send `rate` lines a second; a receiver that blocks makes it late, and then it sends what is due at once."""
    started_s = time.monotonic()
    lines = 0
    behind_s = 0.0
    while (elapsed_s := time.monotonic() - started_s) < seconds:
        due = int(elapsed_s * rate / len(hosts)) - lines // len(hosts)
        behind_s = max(behind_s, due * len(hosts) / rate)
        for host, connection in zip(hosts, connections, strict=True):
            connection.sendall(host.take(due))
        lines += due * len(hosts)
        time.sleep(max(0.0, TICK_S - (time.monotonic() - started_s - elapsed_s)))
    numbers = {name: host.number for name, host in zip(HOSTS, hosts, strict=True)}
    return Sent(numbers, lines, time.monotonic() - started_s, behind_s)


def _around_number(payload: bytes) -> tuple[bytes, bytes]:
    """What stands before and after the number of a line's identity; nothing after it where there is none."""
    head, mark, rest = payload.partition(b' n="')
    if not mark:
        return payload, b""
    return head + mark, rest[rest.index(b'"') :]


if __name__ == "__main__":
    main()
