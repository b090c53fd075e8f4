"""The files of a host that ssh leads to, which needs no more there than a shell, ls, cat and tail."""

import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from cloud.logs.backfill.files import ReadError

COMMAND_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0
MAX_LIST_BYTES = 1 << 20
_SAID_BYTES = 2000
# No prompt, no forwarding that the user's configuration may ask for, and a dead connection is noticed.
_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "10",
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
    "ClearAllForwardings": "yes",
    "ControlPath": "none",
}
_TARGET = re.compile(r"[A-Za-z0-9_.@:%\[\]][A-Za-z0-9_.@:%\[\]-]{0,300}\Z")


class SshFiles:
    """Those of `directory` on `target`, which is USER@HOST or a name of the ssh configuration."""

    def __init__(self, target: str, directory: str, configuration: Path | None = None) -> None:
        if not _TARGET.match(target):
            raise ReadError(f"cannot use ssh target {target!r}: expected USER@HOST")
        options = [f"-o{name}={value}" for name, value in _OPTIONS.items()]
        own = ["-F", str(configuration)] if configuration else []
        self._ssh = ["ssh", "-T", *own, *options, "--", target]
        self._target = target
        self._directory = directory

    def names(self) -> Sequence[tuple[str, int]]:
        listed = self._output(f"cd -- {shlex.quote(self._directory)} && ls -1i", f"list {self._directory}")
        lines = (line.split(maxsplit=1) for line in listed.decode(errors="replace").splitlines())
        return [(line[1], int(line[0])) for line in lines if len(line) == 2 and line[0].isdigit()]

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        path = f"{self._directory}/{name}"
        with tempfile.TemporaryFile() as said:
            process = self._start(f"cat -- {shlex.quote(path)}", said)
            stream = cast("BinaryIO", process.stdout)
            try:
                yield stream
                if stream.read(1):  # the reader has enough: cat will not end well, and need not
                    return
                code = process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                code = -1
            finally:
                process.kill()
                process.wait()
                stream.close()
            if code:
                raise ReadError(f"cannot read {path} on {self._target}: {_last_words(said, code)}")

    def tail(self, name: str, count: int) -> bytes:
        path = f"{self._directory}/{name}"
        return self._output(f"tail -c {count} -- {shlex.quote(path)}", f"read {path}", count)

    def _start(self, command: str, said: IO[bytes]) -> "subprocess.Popen[bytes]":
        try:
            return subprocess.Popen(
                [*self._ssh, command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
            )
        except OSError as exc:
            raise ReadError(f"cannot start ssh: {exc}") from exc

    def _output(self, command: str, what: str, most: int = MAX_LIST_BYTES) -> bytes:
        """What a short command writes, at most `most` bytes."""
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as written:
            try:
                done = subprocess.run(
                    [*self._ssh, command],
                    stdin=subprocess.DEVNULL,
                    stdout=written,
                    stderr=said,
                    timeout=COMMAND_TIMEOUT_S,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as exc:
                raise ReadError(f"cannot {what} on {self._target}: {exc}") from exc
            if done.returncode:
                raise ReadError(f"cannot {what} on {self._target}: {_last_words(said, done.returncode)}")
            written.seek(0)
            return written.read(most)


def _last_words(said: IO[bytes], code: int) -> str:
    size = said.seek(0, 2)
    said.seek(max(0, size - _SAID_BYTES))
    text = said.read(_SAID_BYTES).decode(errors="replace").strip()
    return text.splitlines()[-1] if text else f"ssh ended with {code}"
