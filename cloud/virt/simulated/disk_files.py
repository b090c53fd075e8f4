"""An image or another disk -> a disk: a file that is one hole but for its beginning."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloud.virt.driver import VirtError
from cloud.virt.simulated.guest import DiskContent

MAX_IMAGE_BYTES = 1 << 20
"""What a disk takes of its image; the rest of it is left out."""

_PIECE_BYTES = 1 << 16


@contextmanager
def new_file(path: Path) -> Iterator[int]:
    """Its descriptor; the file stays only if nothing fails. FileExistsError leaves what is there."""
    with path.open("xb") as file:
        try:
            yield file.fileno()
        except BaseException:
            path.unlink()
            raise


def make_disk(path: Path, size: int, image: Path | None, uuid: str) -> DiskContent:
    """VirtError for an image that is larger than the disk. 0 is as large as it takes."""
    with new_file(path) as disk:
        if image is None:
            image_size = copied = os.write(disk, f"disk of {uuid}\n".encode())
        else:
            with image.open("rb") as source:
                image_size = os.fstat(source.fileno()).st_size
                if 0 < size < image_size:
                    raise VirtError(f"its image has {image_size} bytes, its disk {size}")
                copied = _copy(source.fileno(), disk, MAX_IMAGE_BYTES)
        os.truncate(disk, max(size, image_size))
        return DiskContent(copied, image_size, max(size, image_size))


def copy_disk(path: Path, target: Path, content: DiskContent, size: int) -> None:
    """Its data, into a new file of that size."""
    with path.open("rb") as disk, new_file(target) as copy:
        _copy(disk.fileno(), copy, content.image_bytes)
        if size > content.image_bytes:
            os.truncate(copy, size)


def _copy(source: int, target: int, max_bytes: int) -> int:
    """The bytes that were copied: all there are, but no more than `max_bytes`."""
    copied = 0
    while piece := os.read(source, min(_PIECE_BYTES, max_bytes - copied)):
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(target, rest) :]
        copied += len(piece)
    return copied
