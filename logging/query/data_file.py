"""A small file in the data directory: changed by one at a time, whole or not at all, and its owner's alone."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def changing(data: Path) -> Iterator[None]:
    """No other process changes files of `data` meanwhile; what `replace` did is durable at the end. `OSError`."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
        os.fsync(directory)
    finally:
        os.close(directory)


def replace(path: Path, text: str) -> None:
    """Write the file anew: whole or not at all, readable by the owner of its directory alone."""
    owner = path.parent.stat()
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    opened = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(opened, "w", encoding="utf-8") as file:
        if os.geteuid() == 0:  # root may write for a collector that runs as somebody else
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)


def version_of(path: Path) -> object:
    """What changes when the file is replaced; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
