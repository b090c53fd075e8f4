"""Resource limits: no descriptor for a file or a socket, no byte into a file, no process, so much memory and CPU."""

import os
import resource


def put_up(memory_bytes: int, cpu_s: int) -> None:
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
