"""An index file: which version of a data file it is about, its blocks, and for each bit the blocks that have it.

    segment*   up to SEGMENT_BLOCKS blocks: a slice for each bit, in which each of the blocks has a bit; slices lie in
               pages, each followed by its checksum
    about      JSON, LF, and the table of blocks
    trailer    length of `about`, its checksum, MAGIC

The trailer is written last: without it, or with a checksum that is not right, the file says nothing.
"""

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from cloud.logs.collector.index.grams import BITS_LOG2, GRAM_BYTES

MAGIC = b"CLOUDGR1"
BITS = 1 << BITS_LOG2
SEGMENT_BLOCKS = 1024
PAGE_BYTES = 512
CHECKSUM_BYTES = 4
BLOCK_COLUMNS = ("first_row_id", "last_row_id", "first_us", "last_us")
TRAILER = struct.Struct("<II8s")
MAX_ABOUT_BYTES = 64 << 20
_TRANSPOSED_BYTES = 1024  # of each block at once, which takes 8 MB for those of a segment

Blocks = npt.NDArray[np.int64]
"""A row for each of BLOCK_COLUMNS."""
Bitmaps = npt.NDArray[np.uint8]


class IndexDamagedError(Exception):
    """Bytes that are not what was written."""


@dataclass(frozen=True, slots=True)
class Version:
    """Of a data file: two with the same are one file."""

    name: str
    created_us: int
    rows: int
    first_row_id: int
    last_row_id: int
    last_batch: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Segment:
    """Where the slices of some blocks are."""

    offset: int
    blocks: int

    @property
    def slice_bytes(self) -> int:
        return -(-self.blocks // 8)

    @property
    def page_slices(self) -> int:
        """A power of 2, so that pages are full."""
        return 1 << max(0, (PAGE_BYTES // self.slice_bytes).bit_length() - 1)

    @property
    def page_bytes(self) -> int:
        """With its checksum."""
        return self.page_slices * self.slice_bytes + CHECKSUM_BYTES

    @property
    def pages(self) -> int:
        return BITS // self.page_slices


@dataclass(frozen=True, slots=True)
class About:
    """What an index file says of itself."""

    version: Version
    segments: Sequence[Segment]
    blocks: Blocks
    gram_bytes: int = GRAM_BYTES
    bits: int = BITS

    def to_bytes(self) -> bytes:
        head: dict[str, Any] = {
            "version": asdict(self.version),
            "segments": [asdict(segment) for segment in self.segments],
            "gram_bytes": self.gram_bytes,
            "bits": self.bits,
        }
        return json.dumps(head).encode() + b"\n" + self.blocks.astype("<i8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """`IndexDamagedError` for what another version has written, too."""
        try:
            head, _, table = data.partition(b"\n")
            content = json.loads(head)
            segments = [Segment(**each) for each in content["segments"]]
            blocks = np.frombuffer(table, "<i8").reshape(len(BLOCK_COLUMNS), -1)
            about = cls(Version(**content["version"]), segments, blocks, content["gram_bytes"], content["bits"])
        except (ValueError, KeyError, TypeError) as exc:
            raise IndexDamagedError(f"cannot read what an index is about: {exc}") from exc
        if (about.gram_bytes, about.bits) != (GRAM_BYTES, BITS) or sum(
            each.blocks for each in segments
        ) != blocks.shape[1]:
            raise IndexDamagedError("cannot use an index of other blocks or grams")
        return about


def write_segment(file: BinaryIO, bitmaps: Bitmaps) -> Segment:
    """Append the slices of blocks, whose `bitmaps` have a row for each of them and BITS bits in a row."""
    segment = Segment(file.tell(), len(bitmaps))
    width = segment.page_slices * segment.slice_bytes
    for begin in range(0, bitmaps.shape[1], _TRANSPOSED_BYTES):
        part = np.unpackbits(bitmaps[:, begin : begin + _TRANSPOSED_BYTES], axis=1, bitorder="little")
        slices = np.packbits(part, axis=0, bitorder="little").T
        pages = np.ascontiguousarray(slices).reshape(-1, width)
        checksums = (
            np.array([zlib.crc32(page.data) for page in pages], "<u4").view(np.uint8).reshape(-1, CHECKSUM_BYTES)
        )
        file.write(np.hstack([pages, checksums]).data)
    return segment


def write_about(file: BinaryIO, about: About) -> None:
    """End the file."""
    data = about.to_bytes()
    file.write(data)
    file.write(TRAILER.pack(len(data), zlib.crc32(data), MAGIC))
