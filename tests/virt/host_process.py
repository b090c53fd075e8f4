"""A simulated host in a process of its own, so that it can be killed at any of its steps.

The process is forked off one that has imported all and does nothing else. Calls and answers are pickled.
"""

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from typing import Any

from cloud.logs.emit import logger
from cloud.virt.simulated.driver import SimulatedDriver
from cloud.virt.simulated.guest import Settings
from cloud.virt.simulated.host import HostSettings, HostSize
from cloud.virt.simulated.knobs import Knobs, KnobSettings
from tests.virt.hypervisors import AT_ONCE, MACHINE

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 30.0
MAX_PATHS_BYTES = 8192


class HostProcess:
    """Calls the driver over there as if it were here; `kill` is SIGKILL."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection = connection
        self._calls = connection.makefile("wb")
        self._pid = pid
        self._answers: Queue[tuple[str, Any]] = Queue()
        self._waits: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        self.send(method, *args, **kwargs)
        kind, value = self._answers.get(timeout=TIMEOUT_S)
        if kind == "error":
            raise value
        return value

    def send(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Without waiting for the answer."""
        pickle.dump((method, args, kwargs), self._calls)
        self._calls.flush()

    def wait_for_step(self, step: str) -> None:
        """Until a knob lets that step wait."""
        while (found := self._waits.get(timeout=TIMEOUT_S)) != step:
            assert found != "end", f"the process has ended before {step}"

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        self._close()

    def end(self) -> None:
        """In good order."""
        self._connection.shutdown(socket.SHUT_WR)
        self._close()

    def _close(self) -> None:
        self._reader.join(TIMEOUT_S)  # it reads until the process is dead
        assert not self._reader.is_alive()
        with self._connection:
            self._calls.close()

    def _read(self) -> None:
        with self._connection.makefile("rb") as answers:
            while True:
                try:
                    kind, value = pickle.load(answers)  # noqa: S301 - from our own process
                except (EOFError, OSError, pickle.UnpicklingError):
                    self._waits.put("end")
                    self._answers.put(("error", EOFError("the process has ended")))
                    return
                if kind == "waits":
                    self._waits.put(value)
                else:
                    self._answers.put((kind, value))


class HostProcesses:
    """Starts them."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def start(self, directory: Path, shared: Path | None) -> HostProcess:
        here, there = socket.socketpair()
        with there:
            paths = pickle.dumps((directory, shared))
            socket.send_fds(self._control, [paths], [there.fileno()])
        return HostProcess(here, int(self._control.recv(32)))


@contextmanager
def host_processes() -> Iterator[HostProcesses]:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here:
        with there:
            command = [sys.executable, "-m", "tests.virt.host_process", str(there.fileno())]
            process = subprocess.Popen(command, cwd=ROOT, pass_fds=[there.fileno()])
        yield HostProcesses(here)
    process.wait(TIMEOUT_S)


def _fork_hosts(control: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    while True:
        paths, descriptors, _flags, _address = socket.recv_fds(control, MAX_PATHS_BYTES, 1)
        if not paths:
            return
        connection = socket.socket(fileno=descriptors[0])
        pid = os.fork()
        if pid == 0:
            control.close()
            _serve(connection, *pickle.loads(paths))  # noqa: S301 - from our own process
            os._exit(0)
        connection.close()
        control.send(str(pid).encode())


def _serve(connection: socket.socket, directory: Path, shared: Path | None) -> None:
    calls, answers = connection.makefile("rb"), connection.makefile("wb")
    lock = threading.Lock()

    def say(kind: str, value: Any) -> None:
        with lock:
            pickle.dump((kind, value), answers)
            answers.flush()

    logger.remove()
    logger.add(
        lambda message: say("waits", message.record["extra"]["step"]),
        filter=lambda record: record["message"] == "step waits by a knob",
        catch=False,
    )
    driver = SimulatedDriver(
        directory,
        Knobs(KnobSettings(), directory / "knobs.toml", wait_s=time.sleep, chance=lambda: 0.5),
        size=HostSize(),
        read_machine=lambda: MACHINE,
        now=lambda: datetime.now(UTC),
        settings=HostSettings(shared, AT_ONCE, Settings(f"dhcp-{directory.name}", f"vnc-{directory.name}")),
    )
    while True:
        try:
            method, args, kwargs = pickle.load(calls)  # noqa: S301 - from our own process
        except EOFError:
            return
        if method in ("spawn", "send_disk"):
            args = (*args, lambda _percent: None)  # which cannot travel
        try:
            answer = getattr(driver, method)(*args, **kwargs)
        except Exception as exc:  # noqa: BLE001 - told to whoever called
            say("error", exc)
        else:
            say("answer", answer)


if __name__ == "__main__":
    _fork_hosts(socket.socket(fileno=int(sys.argv[1])))
