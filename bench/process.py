"""What a process costs, as the kernel counts it, and how one is started so that it ends with the benchmark."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

POLL_S = 0.02
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def start(
    command: Sequence[str],
    *,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] | None = subprocess.DEVNULL,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command`; it gets SIGTERM when the benchmark is gone, however that ended."""
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", *command],  # noqa: S607 - wherever it is installed
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env={**os.environ, **(environment or {})},
    )


def stop(process: subprocess.Popen[bytes], timeout_s: float) -> float:
    """End it by SIGTERM, by SIGKILL after `timeout_s`; the CPU seconds of its life, 0 where it had ended."""
    if process.poll() is not None:
        return 0.0
    process.terminate()
    try:
        wait_until(lambda: _has_ended(process.pid), timeout_s, f"process {process.pid} to end")
    except TimeoutError:
        process.kill()
        raise
    finally:
        spent_s = cpu_s(process.pid)  # it can be read until somebody has waited for the process
        process.wait()
    return spent_s


def cpu_s(pid: int) -> float:
    """User and system time so far, of all its threads; to 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def rss_bytes(pid: int, *, peak: bool = False) -> int:
    """Memory in RAM now, or the most that it ever was."""
    name = "VmHWM:" if peak else "VmRSS:"
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def directory_bytes(directory: Path) -> int:
    """The lengths of all files below `directory`; one that vanishes meanwhile counts nothing."""
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def wait_until(predicate: Callable[[], object], timeout_s: float, what: str, poll_s: float = POLL_S) -> None:
    """Return when `predicate` holds; `TimeoutError`, which names `what`, when it does not within `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() >= deadline_s:
            raise TimeoutError(f"waited {timeout_s:g} s for {what}")
        time.sleep(poll_s)


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
