"""What a process gives up for good before it runs what somebody typed."""

import ctypes
import os
import resource
import signal
from contextlib import suppress

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38


def end_with_parent() -> None:
    """Be killed when the process that started this one dies; nobody else may look into this one."""
    with suppress(AttributeError, OSError):  # another system
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def confine(memory_bytes: int, cpu_s: int) -> None:
    """From here on no file is opened and no socket made, for want of a descriptor, none grows, and no process starts.

    What is open stays so. Memory beyond `memory_bytes` more than now is refused, and `cpu_s` more of CPU end it.
    """
    pages = int(os.pread(_STATM, 100, 0).split()[0])
    used_cpu_s = int(sum(os.times()[:2]))
    limits = {
        resource.RLIMIT_AS: pages * resource.getpagesize() + memory_bytes,
        resource.RLIMIT_CPU: used_cpu_s + cpu_s,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: 0,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))


_STATM = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
