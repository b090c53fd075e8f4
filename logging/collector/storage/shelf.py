"""The attached files: which there are, and who is reading them."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cloud.logs.collector.storage.datafile import DataFile

SWITCH_S = 2.0  # how long new readers wait at most while a file is attached anew


class Shelf:
    """A reader holds the files that it was given: none is detached before it has let go of it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._files: dict[str, DataFile] = {}
        self._held: Counter[str] = Counter()
        self._switching = False

    def files(self) -> list[DataFile]:
        """All of them, by day and rows; without a hold."""
        with self._changed:
            return sorted(self._files.values(), key=lambda file: file.name)

    @contextmanager
    def reading(self) -> Iterator[Sequence[DataFile]]:
        """The files, those with the newest rows first, held until the context is left."""
        with self._changed:
            self._changed.wait_for(lambda: not self._switching, 2 * SWITCH_S)
            held = sorted(self._files.values(), key=lambda file: file.last_row_id, reverse=True)
            self._held.update(file.database for file in held)
        try:
            yield held
        finally:
            with self._changed:
                self._held.subtract(file.database for file in held)
                self._held = +self._held  # without those at 0
                self._changed.notify_all()

    @contextmanager
    def holding(self, files: Sequence[DataFile]) -> Iterator[None]:
        """Hold `files` beyond the `reading` within which this is entered."""
        with self._changed:
            self._held.update(file.database for file in files)
        try:
            yield
        finally:
            with self._changed:
                self._held.subtract(file.database for file in files)
                self._held = +self._held
                self._changed.notify_all()

    def put(self, *added: DataFile, instead_of: Sequence[DataFile] = ()) -> None:
        """Show `added` from now on, in the same moment in which `instead_of` go."""
        with self._changed:
            for file in instead_of:
                self._files.pop(file.database, None)
            self._files.update((file.database, file) for file in added)

    def is_held(self, file: DataFile) -> bool:
        with self._changed:
            return self._held[file.database] > 0

    def has(self, file: DataFile) -> bool:
        with self._changed:
            return file.database in self._files

    @contextmanager
    def switching(self, file: DataFile) -> Iterator[bool]:
        """Whether nobody reads `file`, waiting up to 2 s for that; who wants to read waits while the context lasts."""
        with self._changed:
            self._switching = True
            is_free = self._changed.wait_for(lambda: self._held[file.database] <= 0, SWITCH_S)
        try:
            yield is_free
        finally:
            with self._changed:
                self._switching = False
                self._changed.notify_all()
