"""What the servers of the bus's tests offer, and such a server as a process of its own that can be killed."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from loguru import logger

from cloud.logs.emit.context import current_context
from cloud.rpc.brokers import Broker, broker_for
from cloud.rpc.brokers.redis import Redis
from cloud.rpc.client import RpcClient
from cloud.rpc.errors import RpcError
from cloud.rpc.methods import methods_of, rpc_method
from cloud.rpc.publisher import Publisher
from cloud.rpc.server import RpcServer
from cloud.rpc.topology import Target

REDELIVER_AFTER_S = 2.0
ROOT = Path(__file__).parents[2]
WAIT_S = 20.0


def connect_to(url: str) -> Broker:
    """The broker there; on Redis a message of a dead server comes back sooner than it would in earnest."""
    if url.startswith("redis+socket"):
        return Redis(url, url, None, redeliver_after_s=REDELIVER_AFTER_S)
    return broker_for(url)


class Endpoint:
    """Remembers what it was asked; `gate` lets those go who wait in `work`."""

    def __init__(self, name: str = "", client: RpcClient | None = None) -> None:
        self.name = name
        self.client = client
        self.notes: list[tuple[str, int]] = []
        self.works: Counter[str] = Counter()
        self.gate = threading.Event()

    @rpc_method
    def whoami(self) -> str:
        return self.name

    @rpc_method
    def note(self, sender: str, number: int) -> None:
        self.notes.append((sender, number))

    @rpc_method
    def noted(self) -> list[tuple[str, int]]:
        return self.notes

    @rpc_method
    def work(self, name: str) -> str:
        """Wait for the gate."""
        self.works[name] += 1
        self.gate.wait(WAIT_S)
        return f"{name} by {self.name}"

    @rpc_method
    def worked(self) -> dict[str, int]:
        return self.works

    @rpc_method
    def open(self) -> None:
        self.gate.set()

    @rpc_method
    def context(self, then: list[str]) -> dict[str, list[dict[str, str]]]:
        """The context here, and that of the services that `then` names, each asked by the one before."""
        logger.info("asked for the context")
        mine = [current_context().as_fields()]
        if then:
            assert self.client is not None
            mine += self.client.call(Target("conductor", then[0]), "context", {"then": then[1:]})["contexts"]
        return {"contexts": mine}


@dataclass(frozen=True)
class ServerProcess:
    """How such a server runs."""

    url: str
    role: str
    host: str
    workers: int = 4

    def start(self) -> "Running":
        command = [
            *("setpriv", "--pdeathsig", "KILL"),
            *(sys.executable, "-m", "tests.rpc.endpoint", "serve", json.dumps(asdict(self))),
        ]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return Running(process)


class Running:
    """A helper process; `wait_until_up` reads its first line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def wait_until_up(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "up\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.process.kill()
        with self.process:  # closes its pipes and waits
            pass


def start_caster(url: str, target: Target, sender: str, count: int) -> Running:
    """A process that casts `note` with 0 to `count` - 1 to `target`, one after another."""
    arguments = json.dumps({"url": url, "role": target.role, "host": target.host, "sender": sender, "count": count})
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.rpc.endpoint", "cast", arguments]
    return Running(subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))


def start_caller(url: str, target: Target, name: str) -> Running:
    """A process that calls `work` of `target`, which does not return."""
    arguments = json.dumps({"url": url, "role": target.role, "host": target.host, "name": name})
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.rpc.endpoint", "call", arguments]
    return Running(subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))


def _serve(url: str, role: str, host: str, workers: int) -> None:
    publisher = Publisher(connect_to(url))
    endpoint = Endpoint(host)
    server = RpcServer(publisher, Target(role, host), methods_of(endpoint), workers=workers)
    server.start()
    if server.wait_until_up(WAIT_S):
        print("up", flush=True)  # noqa: T201 - it is how the test hears of it
    sys.stdin.read()
    server.stop(1)


def _cast(url: str, role: str, host: str | None, sender: str, count: int) -> None:
    client = RpcClient(Publisher(connect_to(url)), sender, timeout_s=WAIT_S)
    print("up", flush=True)  # noqa: T201 - as above
    sys.stdin.readline()
    for number in range(count):
        client.cast(Target(role, host), "note", {"sender": sender, "number": number})


def _call(url: str, role: str, host: str | None, name: str) -> None:
    client = RpcClient(Publisher(connect_to(url)), name, timeout_s=WAIT_S)
    try:
        client.call(Target(role, host), "work", {"name": name})
    except RpcError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    logger.remove()
    commands: dict[str, Callable[..., None]] = {"serve": _serve, "cast": _cast, "call": _call}
    commands[sys.argv[1]](**json.loads(sys.argv[2]))
