"""A host's local log and its rotated files, the oldest first: where backfill reads."""

import bz2
import gzip
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

NAME = "nova.log"
# logrotate's names: nova.log.2.gz, with dateext nova.log-20260131.gz, with `extension .log` nova-20260131.log.
_ROTATED = re.compile(
    r"nova(?:\.log(?:(?P<number>\.[0-9]{1,5})|(?P<date>[.-][0-9][0-9-]{5,30}))?|(?P<before>-[0-9][0-9-]{5,30})\.log)"
    r"(?P<packed>\.(?:gz|xz|bz2|zst|lz4|Z))?\Z"
)
_OPENERS: dict[str, Callable[[BinaryIO], BinaryIO]] = {
    ".gz": lambda packed: cast("BinaryIO", gzip.GzipFile(fileobj=packed)),
    ".xz": lambda packed: cast("BinaryIO", lzma.open(packed)),  # noqa: SIM115  # what is below is closed by its owner
    ".bz2": lambda packed: cast("BinaryIO", bz2.open(packed)),  # noqa: SIM115
}
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, OSError)


class ReadError(Exception):
    """A file, or all of them, cannot be read, or not to its end."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file as it was listed. Its inode tells whether the name still means the same file."""

    name: str
    inode: int

    @property
    def packing(self) -> str:
        """`.gz` and the like; empty for plain text."""
        match = _ROTATED.match(self.name)
        return (match["packed"] or "") if match else ""


class LogFiles(Protocol):
    """The files of one host."""

    def names(self) -> Sequence[tuple[str, int]]:
        """What the directory holds, each with its inode; `ReadError`."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """The bytes of a file as they are; `ReadError`, also at the end when it did not end well."""

    def tail(self, name: str, count: int) -> bytes:
        """The last `count` bytes of a file, or all; `ReadError`."""


class LocalFiles:
    """Those of a directory of this machine."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def names(self) -> Sequence[tuple[str, int]]:
        try:
            with os.scandir(self.directory) as entries:
                return [(entry.name, entry.inode()) for entry in entries if entry.is_file()]
        except OSError as exc:
            raise ReadError(f"cannot list {self.directory}: {exc.strerror}") from exc

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        try:
            with (self.directory / name).open("rb") as stream:
                yield stream
        except OSError as exc:
            raise ReadError(f"cannot read {self.directory / name}: {exc}") from exc

    def tail(self, name: str, count: int) -> bytes:
        with self.open(name) as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - count))
            return stream.read(count)


def list_files(files: LogFiles) -> Sequence[LogFile]:
    """The logs among what is there, the oldest first."""
    found = [LogFile(name, inode) for name, inode in files.names() if _age(name) is not None]
    return sorted(found, key=lambda file: _age(file.name) or (2, ""))


@contextmanager
def unpacked(files: LogFiles, file: LogFile) -> Iterator[BinaryIO]:
    """The text of a file; `ReadError` where it is damaged, after what could be read."""
    if file.packing and file.packing not in _OPENERS:
        raise ReadError(f"cannot read {file.name}: nothing here unpacks {file.packing}")
    with files.open(file.name) as raw:
        try:
            yield _OPENERS[file.packing](raw) if file.packing else raw
        except _DAMAGE as exc:
            raise ReadError(f"cannot read all of {file.name}: {exc}") from exc


def _age(name: str) -> tuple[int, str] | None:
    """What sorts the oldest first; None for a file of somebody else."""
    match = _ROTATED.match(name)
    if match is None:
        return None
    if date := match["date"] or match["before"]:
        return 0, re.sub("[^0-9]", "", date)
    if match["number"]:
        return 1, f"{99_999 - int(match['number'][1:]):05}"
    return 2, ""
