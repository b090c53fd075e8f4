"""The bytes of one image on their way to a file, and out of it again, hashed as they pass."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cloud.errors import CloudError


class DamagedImageError(CloudError):
    """The file of an image does not have the bytes that were stored."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What is known of data once all of it has passed."""

    size: int
    md5: str
    sha256: str


class DataWriter:
    """A new file, readable to us alone. OSError where the disk does not take what it is given."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)

    def write(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._md5.update(piece)
        self._sha256.update(piece)
        self.size += len(piece)

    def finish(self) -> Digest:
        """All has been written: it is on the disk when this returns."""
        os.fsync(self._file.fileno())
        self._file.close()
        return Digest(self.size, self._md5.hexdigest(), self._sha256.hexdigest())

    def discard(self) -> None:
        """Close and remove it; the second time, or once it has another name, nothing happens."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class DataReader:
    """The bytes of an image from the first to the last, which is only given when all of them are as stored.

    The file may be removed meanwhile: what is open stays.
    """

    def __init__(self, path: Path, size: int, sha256: str) -> None:
        """DamagedImageError when the file is gone, or is not of that size."""
        self.size = size
        self._path = path
        self._expected = sha256
        self._sha256 = hashlib.sha256()
        self._rest = size
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as exc:
            raise DamagedImageError(f"cannot read image data {path}: {exc}") from exc
        found = os.fstat(self._file.fileno()).st_size
        if found != size:
            self.close()
            raise DamagedImageError(f"cannot read image data {path}: it has {found} bytes, and {size} were stored")

    def read(self, max_bytes: int) -> bytes:
        """The next bytes, none behind the last. DamagedImageError, also instead of the last ones when any of all that
        were read is not what was stored.
        """
        if not self._rest:
            if not self.size:
                self._check()
            return b""
        try:
            piece = self._file.read(min(max_bytes, self._rest))
        except OSError as exc:
            raise DamagedImageError(f"cannot read image data {self._path}: {exc}") from exc
        if not piece:
            raise DamagedImageError(f"cannot read image data {self._path}: it has become shorter")
        self._sha256.update(piece)
        self._rest -= len(piece)
        if not self._rest:
            self._check()
        return piece

    def _check(self) -> None:
        if self._sha256.hexdigest() != self._expected:
            raise DamagedImageError(f"cannot read image data {self._path}: its checksum is not that of what was stored")

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
