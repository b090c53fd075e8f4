"""A program that `cloud up` starts and stops: it never outlives us, and its output is kept in a file."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TAIL_BYTES = 2000
SECRETS = ("CLOUD_TRANSPORT_URL", "CLOUD_DATABASE")
"""Variables that are ours alone: a compute host's processes have no business with the database's password."""


class ProcessError(Exception):
    """A program that did not start or ended when it should not; the message has its last output."""


@dataclass(slots=True)
class Process:
    """A running program."""

    name: str
    output: Path
    _popen: "subprocess.Popen[bytes]"

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs, negative when a signal ended it."""
        return self._popen.poll()

    def check(self) -> None:
        """`ProcessError` when it has ended, with its exit code and what it said last."""
        if (code := self.exit_code) is not None:
            said = self.output.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()
            raise ProcessError(f"{self.name} {end_of(code)}: {said or 'without a word'}")

    def terminate(self) -> None:
        """Ask it to end."""
        if self.exit_code is None:
            self._popen.send_signal(signal.SIGTERM)

    def end(self, timeout_s: float) -> bool:
        """Kill it if it has not ended within `timeout_s`; whether it ended by itself."""
        try:
            self._popen.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
            return False
        return True


def end_of(code: int) -> str:
    """How a program ended whose exit code is `code`."""
    return f"ended with {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"


def start_process(name: str, command: Sequence[str], output: Path, *, shows_output: bool = False) -> Process:
    """Start `command` in a session of its own, so that a Ctrl-C reaches us alone and we stop all in their order.

    `ProcessError` when it cannot be started. With `shows_output` it writes to our stdout, otherwise to `output`.
    To be called by the main thread: a program ends with the thread that has started it.
    """
    if setpriv := shutil.which("setpriv"):  # util-linux; where it is missing a kill -9 of ours leaves orphans
        command = [setpriv, "--pdeathsig", "TERM", *command]
    output.parent.mkdir(parents=True, exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if key not in SECRETS}
    try:
        with output.open("ab") as file:
            popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=None if shows_output else file,
                stderr=None if shows_output else subprocess.STDOUT,
                start_new_session=True,
                env={**environment, "PYTHONUNBUFFERED": "1"},
            )
    except OSError as exc:
        raise ProcessError(f"cannot start {name}: {exc}") from exc
    return Process(name, output, popen)
