"""Programs that sessions run, each time in a process of its own, but without the time that importing them takes."""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

TIMEOUT_S = 60
FORK_SERVER = Path(__file__).with_name("fork_server.py")


@dataclass(frozen=True, slots=True)
class Done:
    """A process that has ended."""

    code: int
    """Negative when a signal ended it, as one does after a minute."""
    stdout: str
    stderr: str


class Program:
    """A Python script in an environment of its own; what it imports it imports in the background, and once."""

    def __init__(self, python: Path, script: Path, environment: Mapping[str, str]) -> None:
        """`environment` is what the interpreter needs: PATH, and settings of its own."""
        self._script = script
        self._server = subprocess.Popen(
            [python, "-P", FORK_SERVER, script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(environment), text=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        with suppress(BrokenPipeError), self._server:  # closes its stdin, at which it ends
            pass

    def run(self, commands: Sequence[Sequence[str]], environment: Mapping[str, str], directory: Path) -> Sequence[Done]:
        """A process for each list of arguments, all of them at once, in that order."""
        with tempfile.TemporaryDirectory(prefix="t-") as place:
            outputs = [
                (Path(place) / f"{number}.out", Path(place) / f"{number}.err") for number in range(len(commands))
            ]
            for stdout, stderr in outputs:
                stdout.touch()
                stderr.touch()
            processes = [
                {
                    "arguments": list(arguments),
                    "environment": dict(environment),
                    "directory": str(directory),
                    "stdout": str(stdout),
                    "stderr": str(stderr),
                    "timeout_s": TIMEOUT_S,
                }
                for arguments, (stdout, stderr) in zip(commands, outputs, strict=True)
            ]
            codes = self._ask(json.dumps(processes))
            return [
                Done(code, stdout.read_text(), stderr.read_text())
                for code, (stdout, stderr) in zip(codes, outputs, strict=True)
            ]

    def _ask(self, line: str) -> list[int]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        answer = ""
        with suppress(BrokenPipeError):
            self._server.stdin.write(line + "\n")
            self._server.stdin.flush()
            answer = self._server.stdout.readline()
        if not answer:
            raise RuntimeError(f"cannot run {self._script}: its server has ended with {self._server.wait(TIMEOUT_S)}")
        codes: list[int] = json.loads(answer)
        return codes
