"""A program that `cloud up` starts and stops: it never outlives us, and its output is kept in a file."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TAIL_BYTES = 2000


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

    def check(self) -> None:
        """`ProcessError` when it has ended, with its exit code and what it said last."""
        if (code := self._popen.poll()) is not None:
            said = self.output.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()
            raise ProcessError(f"{self.name} ended with {code}: {said or 'without a word'}")

    def stop(self, timeout_s: float) -> bool:
        """Ask it to end, and kill it after `timeout_s`; whether it ended by itself."""
        if self._popen.poll() is not None:
            return True
        self._popen.send_signal(signal.SIGTERM)
        try:
            self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
            return False
        return True


def start_process(name: str, command: Sequence[str], output: Path, *, shows_output: bool = False) -> Process:
    """Start `command` in a session of its own, so that a Ctrl-C reaches us alone and we stop all in their order.

    `ProcessError` when it cannot be started. With `shows_output` it writes to our stdout, otherwise to `output`.
    """
    if setpriv := shutil.which("setpriv"):  # util-linux; where it is missing a kill -9 of ours leaves orphans
        command = [setpriv, "--pdeathsig", "TERM", *command]
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        with output.open("ab") as file:
            popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=None if shows_output else file,
                stderr=None if shows_output else subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
    except OSError as exc:
        raise ProcessError(f"cannot start {name}: {exc}") from exc
    return Process(name, output, popen)
