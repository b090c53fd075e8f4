"""From what rows must hold to the blocks of a data file that may have such rows: what an index file is asked."""

import itertools
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cloud.logs.collector.index.grams import bits_of
from cloud.logs.collector.index.layout import (
    CHECKSUM_BYTES,
    MAGIC,
    MAX_ABOUT_BYTES,
    TRAILER,
    About,
    IndexDamagedError,
    Segment,
    Version,
)
from cloud.logs.collector.index.needs import AllOf, AnyOf, Holds, Need, holdings

MAX_HOLDINGS = 64
"""Of one question; with more of them the index is not asked."""
MAX_GRAMS = 48
"""Of one text; a uuid has 33."""
MAX_SHARE = 0.5
"""Of the blocks: where more of them may have such rows, to read all rows is as quick."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_Candidates = npt.NDArray[np.uint8]
"""Of a segment, a bit for each block."""


@dataclass(frozen=True, slots=True)
class Span:
    """Rows next to each other."""

    first_row_id: int
    last_row_id: int
    first: datetime
    """When the earliest of them arrived."""
    last: datetime


class TextIndex:
    """An index file that is whole as far as it has been read. Any thread may ask; it holds no file open."""

    def __init__(self, path: Path, version: Version, on_damage: Callable[[Exception], None]) -> None:
        """`IndexDamagedError` or `OSError` where `path` is no index of `version`; `on_damage` hears of it later."""
        self._path = path
        self._on_damage = on_damage
        about, self.size_bytes = _read_about(path)
        if about.version != version:
            raise IndexDamagedError(f"cannot use {path.name}: it is about another version of {version.name}")
        self._segments = about.segments
        self._first_row_id, self._last_row_id, self._first_us, self._last_us = about.blocks

    @property
    def whole(self) -> Span | None:
        """All rows of the data file; None where it has none."""
        if not len(self._first_us):
            return None
        return self._span(np.arange(len(self._first_us)))

    def spans(self, need: Need) -> Sequence[Span] | None:
        """Where rows are that may meet `need`, in order; no others do. None where that is no help, or not known."""
        if len(list(itertools.islice(holdings(need), MAX_HOLDINGS + 1))) > MAX_HOLDINGS:
            return None
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                found = [self._candidates(descriptor, segment, need) for segment in self._segments]
            finally:
                os.close(descriptor)
        except (IndexDamagedError, FileNotFoundError) as exc:
            self._on_damage(exc)
            return None
        except OSError:  # too many open files, say: the next question may have it again
            return None
        blocks = np.flatnonzero(np.concatenate([np.zeros(0, np.uint8), *found]))
        if len(blocks) > MAX_SHARE * len(self._first_us):
            return None
        groups = np.split(blocks, np.flatnonzero(np.diff(blocks) > 1) + 1)
        return [self._span(group) for group in groups if len(group)]

    def check(self) -> None:
        """Read all of it; `IndexDamagedError` or `OSError`."""
        with self._path.open("rb") as file:
            for segment in self._segments:
                file.seek(segment.offset)
                for _ in range(segment.pages):
                    _checked(file.read(segment.page_bytes), segment.page_bytes)

    def _span(self, blocks: npt.NDArray[np.intp]) -> Span:
        return Span(
            int(self._first_row_id[blocks].min()),
            int(self._last_row_id[blocks].max()),
            _EPOCH + timedelta(microseconds=int(self._first_us[blocks].min())),
            _EPOCH + timedelta(microseconds=int(self._last_us[blocks].max())),
        )

    def _candidates(self, descriptor: int, segment: Segment, need: Need) -> npt.NDArray[np.uint8]:
        """0 or 1 for each block of `segment`."""
        packed = self._packed(descriptor, segment, need)
        return np.unpackbits(packed, count=segment.blocks, bitorder="little")

    def _packed(self, descriptor: int, segment: Segment, need: Need) -> _Candidates:
        match need:
            case Holds(text):
                return _holding(descriptor, segment, text)
            case AllOf(needs):
                found = np.full(segment.slice_bytes, 0xFF, np.uint8)
                for each in needs:
                    if not found.any():
                        break
                    found = found & self._packed(descriptor, segment, each)
                return found
            case AnyOf(needs):
                found = np.zeros(segment.slice_bytes, np.uint8)
                for each in needs:
                    found = found | self._packed(descriptor, segment, each)
                return found


def _holding(descriptor: int, segment: Segment, text: str) -> _Candidates:
    """The blocks that have all grams of `text`."""
    slice_bytes, page_slices, page_bytes = segment.slice_bytes, segment.page_slices, segment.page_bytes
    found = np.full(slice_bytes, 0xFF, np.uint8)
    for bit in bits_of(text)[:MAX_GRAMS]:
        page, place = divmod(bit, page_slices)
        data = _checked(os.pread(descriptor, page_bytes, segment.offset + page * page_bytes), page_bytes)
        found &= np.frombuffer(data, np.uint8, slice_bytes, place * slice_bytes)
        if not found.any():
            break
    return found


def _checked(page: bytes, size_bytes: int) -> bytes:
    content = page[:-CHECKSUM_BYTES]
    if len(page) != size_bytes or zlib.crc32(content) != int.from_bytes(page[-CHECKSUM_BYTES:], "little"):
        raise IndexDamagedError("cannot read a page: its checksum is not that of its bytes")
    return content


def _read_about(path: Path) -> tuple[About, int]:
    """What the file is about, and its size."""
    with path.open("rb") as file:
        size_bytes = os.fstat(file.fileno()).st_size
        if size_bytes < TRAILER.size:
            raise IndexDamagedError(f"cannot use {path.name}: it has no end")
        file.seek(size_bytes - TRAILER.size)
        length, checksum, magic = TRAILER.unpack(file.read(TRAILER.size))
        if magic != MAGIC or length > min(MAX_ABOUT_BYTES, size_bytes - TRAILER.size):
            raise IndexDamagedError(f"cannot use {path.name}: it has no end")
        file.seek(size_bytes - TRAILER.size - length)
        data = file.read(length)
    if zlib.crc32(data) != checksum:
        raise IndexDamagedError(f"cannot use {path.name}: its checksum is not that of its bytes")
    return About.from_bytes(data), size_bytes
