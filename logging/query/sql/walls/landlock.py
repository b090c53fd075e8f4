"""Landlock: a thread, and those that it starts, open, make, change and run no file any more, and speak no TCP.

Of the kernel since 5.13; its numbers and names are those of linux/landlock.h and of the three calls in unistd.h.
"""

import ctypes
import os

from cloud.logs.query.sql.walls.errors import WallError

_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # the same on every architecture
_VERSION = 1
_PR_SET_NO_NEW_PRIVS = 38
_READ = 1 << 2 | 1 << 3  # files, directories
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""From a version of the interface on, so many rights: the lowest bits."""
_TCP = 0b11  # bind, connect
_TCP_VERSION = 4
_SCOPES = 0b11  # abstract sockets, signals
_SCOPES_VERSION = 6


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


def version() -> int:
    """Of the kernel's interface; `WallError` where there is none."""
    return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))


def put_up(*, may_read: bool) -> None:
    """For this thread and those that it starts from here on; again later with less. `WallError`.

    What is open stays so. Where files may be read, so may directories.
    """
    there = version()
    rights = (1 << max(count for least, count in _FILE_RIGHTS.items() if least <= there)) - 1
    ruleset = _Ruleset(
        files=rights & ~_READ if may_read else rights,
        network=_TCP if there >= _TCP_VERSION else 0,
        scopes=_SCOPES if there >= _SCOPES_VERSION else 0,
    )
    size = 24 if there >= _SCOPES_VERSION else 16 if there >= _TCP_VERSION else 8
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # What is handled and allowed by no rule is refused: there is none.
    descriptor = _call(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        _call(_RESTRICT_SELF, ctypes.c_int(descriptor), ctypes.c_uint32(0))
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    try:
        system_call = ctypes.CDLL(None, use_errno=True).syscall
    except (AttributeError, OSError) as exc:
        raise WallError(f"no system calls: {exc}") from exc
    result = int(system_call(ctypes.c_long(number), *arguments))
    if result < 0:
        raise WallError(
            f"the kernel, or what confines the collector, has no Landlock: {os.strerror(ctypes.get_errno())}"
        )
    return result
