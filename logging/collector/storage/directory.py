"""The data directory: one process at a time, names that survive a power cut, and files that are set aside."""

import fcntl
import os
import re
import shutil
from pathlib import Path
from typing import IO

import duckdb
from loguru import logger

from cloud.logs.collector.storage.names import DAMAGED, UNFINISHED
from cloud.logs.collector.store import StoreError, StoreInUseError

TEMP = "tmp"
SNAPSHOT = "snapshot-"
BUDGET = "budget.json"
"""How much of its budget each host has used today; no part of the store, and of no use tomorrow."""
_BAD_ENTRY = re.compile(r"entry at byte position (\d+)")
_ENTRY_HEAD_BYTES = 16  # size and checksum of an entry; DuckDB names the position behind them


def lock(directory: Path) -> IO[bytes]:
    """The lock file of `directory`, which is made where it is missing; held until closed or the process ends."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)  # whatever the umask, and whoever made it
        lock_file = os.fdopen(os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
        give_to_owner(directory / "lock")
    except OSError as exc:
        raise StoreError(f"cannot use data directory {directory}: {exc}", is_lasting=True) from exc
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        lock_file.close()
        raise StoreInUseError(
            f"cannot use data directory {directory}: another collector has it", is_lasting=True
        ) from exc
    return lock_file


def sweep(directory: Path) -> None:
    """Remove what a process that was killed left half done; nothing of it was ever counted as stored."""
    for path in directory.glob(f"{UNFINISHED}*"):
        path.unlink()
    for path in (directory / TEMP, *directory.glob(f"{SNAPSHOT}*")):
        shutil.rmtree(path, ignore_errors=True)


def publish(unfinished: Path, path: Path) -> None:
    """Give the closed file `unfinished` its name, for good: it is whole on disk before, and the name is after."""
    unfinished.chmod(0o600)
    give_to_owner(unfinished)
    sync(unfinished)
    unfinished.rename(path)
    sync(path.parent)


def give_to_owner(path: Path) -> None:
    """Root may write for a collector that runs as somebody else: what it makes is whose the directory is."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def sync(path: Path) -> None:
    """fsync a file, or the names in a directory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_ahead_log(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def total_bytes(path: Path) -> int:
    """The size of a file and of its write-ahead log."""
    return size_bytes(path) + size_bytes(write_ahead_log(path))


def size_bytes(path: Path) -> int:
    """The size of a file; 0 for one that is not there, or not any more."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def set_aside(path: Path, cause: Exception) -> None:
    """Rename a damaged file and its log to `*.damaged`: nothing reads them any more, and nothing deletes them."""
    for each in (path, write_ahead_log(path)):
        if each.exists():
            each.rename(_free_name(each))
    sync(path.parent)
    logger.bind(file=str(path), error=str(cause)).error("damaged file set aside")


def cut_log(path: Path, cause: duckdb.Error) -> None:
    """Keep of a damaged write-ahead log the transactions before the damage; the log as it was is set aside."""
    log = write_ahead_log(path)
    position = _BAD_ENTRY.search(str(cause))
    kept = _free_name(log)
    log.rename(kept)
    if position:
        unfinished = path.with_name(f"{UNFINISHED}{log.name}")
        shutil.copyfile(kept, unfinished)
        os.truncate(unfinished, max(0, int(position[1]) - _ENTRY_HEAD_BYTES))
        publish(unfinished, log)
    sync(path.parent)
    logger.bind(file=str(log), kept=str(kept), error=str(cause)).error("damaged write-ahead log cut short")


def damaged_files(directory: Path) -> list[Path]:
    """What was set aside, by name."""
    return sorted(path for path in directory.glob(f"*{DAMAGED}*") if path.is_file())


def _free_name(path: Path) -> Path:
    name = path.with_name(path.name + DAMAGED)
    number = 1
    while name.exists():
        number += 1
        name = path.with_name(f"{path.name}{DAMAGED}.{number}")
    return name
