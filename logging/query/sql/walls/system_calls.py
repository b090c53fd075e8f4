"""A filter of system calls (seccomp): what computes on what is open goes on, and every other call is refused.

libseccomp knows the numbers for each machine and writes the filter. It is called as it is: the Python package around
it has had no release since 2021, and starts a program to find the library.
"""

import ctypes
import os
from pathlib import Path

from cloud.logs.query.sql.walls.errors import WallError

_NAMES = """
read readv pread64 preadv lseek write writev close
brk mremap munmap madvise
futex futex_time64 sched_yield sched_getaffinity getcpu membarrier restart_syscall set_robust_list rseq
clock_gettime clock_gettime64 clock_getres clock_nanosleep clock_nanosleep_time64 nanosleep gettimeofday time
getrandom getpid gettid times getrusage sysinfo
rt_sigaction rt_sigprocmask rt_sigreturn sigreturn sigaltstack
exit exit_group
"""
ALLOWED = tuple(_NAMES.split())
"""Nothing that opens, makes, names or changes a file, a socket, a process or a limit. Some exist on some machines."""
ALLOWED_UNLESS_EXECUTABLE = ("mmap", "mmap2", "mprotect")
"""Their third argument says what memory is for: code comes in no more."""
_LIBRARY = "libseccomp.so.2"
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | 1  # with EPERM
_ALL_THREADS = 4  # SCMP_FLTATR_CTL_TSYNC
_MASKED_EQUAL = 7
_PROTECTION = 2
_PROT_EXEC = 4
_UNKNOWN = -1


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


class Filter:
    """Written while files can be opened; it holds for all threads from `put_up` on, and for good."""

    def __init__(self) -> None:
        """`WallError`."""
        self._library = _loaded()
        self._filter = self._library.seccomp_init(_REFUSE)
        if not self._filter:
            raise WallError("cannot make a filter of system calls")
        self._do("seccomp_attr_set", _ALL_THREADS, ctypes.c_uint32(1))
        for name in ALLOWED:
            self._allow(name, [])
        for name in ALLOWED_UNLESS_EXECUTABLE:
            self._allow(name, [_Comparison(_PROTECTION, _MASKED_EQUAL, _PROT_EXEC, 0)])

    def put_up(self) -> None:
        """`WallError`, and then nothing is filtered."""
        self._do("seccomp_load")

    def _allow(self, name: str, comparisons: list[_Comparison]) -> None:
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number == _UNKNOWN:
            return
        array = (_Comparison * len(comparisons))(*comparisons)
        self._do("seccomp_rule_add_array", ctypes.c_uint32(_ALLOW), number, len(comparisons), array)

    def _do(self, function: str, *arguments: object) -> None:
        result = int(self._library[function](ctypes.c_void_p(self._filter), *arguments))
        if result < 0:
            raise WallError(f"{function} of {_LIBRARY}: {os.strerror(-result)}")


def look() -> None:
    """`WallError` where no filter could be put up; nothing is changed."""
    actions = _actions()
    if "errno" not in actions:
        raise WallError("the kernel filters no system calls")
    _loaded()


def _actions() -> list[str]:
    try:
        return Path("/proc/sys/kernel/seccomp/actions_avail").read_text("ascii").split()
    except OSError:
        return []


def _loaded() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as exc:
        raise WallError(f"cannot load {_LIBRARY} (Debian: libseccomp2): {exc}") from exc
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    return library
