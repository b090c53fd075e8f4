"""How many lines each service of a process has logged, in a file: it outlives the process, however that ends."""

import mmap
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cloud.logs.emit.counts import LineCounts, Outcome
from cloud.logs.emit.speaker import Speaker

_CELL_BYTES = 8


class CountFile:
    """A row for each speaker, and a last one for the process itself. A later process goes on counting."""

    def __init__(self, path: Path, speakers: Sequence[Speaker]) -> None:
        self._rows: Mapping[Speaker | None, int] = {speaker: number for number, speaker in enumerate([*speakers, None])}
        size = len(self._rows) * len(Outcome) * _CELL_BYTES
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, size)
            self._cells = memoryview(mmap.mmap(descriptor, size)).cast("Q")
        finally:
            os.close(descriptor)

    def counts(self, speaker: Speaker | None) -> LineCounts:
        """Those of the speaker; KeyError for one that was not named."""
        first = self._rows[speaker] * len(Outcome)
        return LineCounts(self._cells[first : first + len(Outcome)])
