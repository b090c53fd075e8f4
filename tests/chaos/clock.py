"""A process's clock that can be set while it runs: libfaketime on a file."""

from collections.abc import Mapping
from pathlib import Path


class Clock:
    """Wall-clock time only: intervals are measured on the monotonic clock, which no one can set."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.shift_s(0)

    def shift_s(self, seconds: int) -> None:
        """Set it to so many seconds from now; processes that run under it see that at once."""
        unfinished = self._file.with_suffix(".new")
        unfinished.write_text(f"{seconds:+d}\n")
        unfinished.rename(self._file)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process is started with; `RuntimeError` where libfaketime is not installed."""
        libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not libraries:
            raise RuntimeError("cannot set a clock: libfaketime is not installed (Debian's package faketime)")
        return {
            "LD_PRELOAD": str(libraries[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }
