"""What a database and hosts' directories hold at one moment, to be had again: begun once, gone on with many times."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from cloud.db.engine import Database
from cloud.db.models import Base


class Saved:
    """All rows of a database, and all that is below a directory, as they are when this is made."""

    def __init__(self, database: Database, directory: Path) -> None:
        """Nobody writes in either meanwhile, nor when they are restored."""
        self._database = database
        with database.reading() as session:
            found = {table: session.execute(select(table)).mappings() for table in Base.metadata.sorted_tables}
            self._rows = {table: [dict(row) for row in rows] for table, rows in found.items()}
        self._directory = directory
        paths = sorted(directory.rglob("*"))
        self._directories = {path: path.stat().st_mode for path in paths if path.is_dir()}
        self._files = {path: _File.read(path) for path in paths if path.is_file()}

    def restore(self) -> None:
        """Whoever has read something before does not know of it."""
        with self._database.transaction() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(table.delete())
            for table, rows in self._rows.items():
                if rows:
                    session.execute(table.insert(), rows)
        for path in self._directory.iterdir():
            shutil.rmtree(path)
        for path, mode in self._directories.items():
            path.mkdir()
            path.chmod(mode)
        for path, file in self._files.items():
            file.write(path)


@dataclass(frozen=True, slots=True)
class _File:
    """A disk of many GiB is one hole but for its beginning, and stays so."""

    mode: int
    size: int
    pieces: Mapping[int, bytes]
    """What is no hole, by where it begins."""

    @classmethod
    def read(cls, path: Path) -> "_File":
        found, pieces, end = path.stat(), {}, 0
        with path.open("rb") as file, suppress(OSError):  # ENXIO: from there on it is a hole (lseek(2))
            while end < found.st_size:
                begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
                end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
                pieces[begin] = os.pread(file.fileno(), end - begin, begin)
        return cls(found.st_mode, found.st_size, pieces)

    def write(self, path: Path) -> None:
        with path.open("xb") as file:
            for begin, piece in self.pieces.items():
                os.pwrite(file.fileno(), piece, begin)
            file.truncate(self.size)
        path.chmod(self.mode)
