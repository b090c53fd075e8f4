"""A small disk that can be full: a tmpfs of its own for the collector's data."""

import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

_BLOCK = bytes(64 << 10)


class SmallDisk:
    """A tmpfs at `path`, mounted while the context lasts. Needs root."""

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path = path
        self._megabytes = megabytes
        self._filler = path / "filler"

    def fill(self) -> None:
        """Leave no free block."""
        with self._filler.open("ab", buffering=0) as filler:
            try:
                while filler.write(_BLOCK):
                    pass
            except OSError:
                return

    @property
    def free_bytes(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_bsize

    def clear(self) -> None:
        """Give back what `fill` has taken."""
        self._filler.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.path.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self._megabytes}m,mode=0700", "tmpfs", str(self.path)], check=True
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)
