"""Images on their way from the image service to a disk: kept on the host for the next instance, within a bound."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cloud.domain.image import IMAGE_ID
from cloud.errors import ComputeError, ImageNotFoundError
from cloud.logs.emit import logger
from cloud.services.compute.locks import KeyLocks
from cloud.services.compute.records import ImageSource

WAIT_S = 3600.0
"""For another's download of the same image."""
_UNFINISHED = "."
"""Begins the name of a file that is still being written."""


@dataclass(frozen=True, slots=True)
class _Kept:
    path: Path
    size: int
    used_at_s: float


class ImageCache:
    """One file for each image, named by its id and checksum: an image never changes.

    Each image is fetched by one at a time; those that nobody uses go when room is needed, the one unused for longest
    first.
    """

    def __init__(self, source: ImageSource, directory: Path, *, max_bytes: int) -> None:
        """`directory` is made when the first image comes. Nobody else may write there."""
        self._source = source
        self._directory = directory
        self._max_bytes = max_bytes
        self._fetching = KeyLocks(wait_s=WAIT_S)
        self._lock = threading.Lock()
        self._used: Counter[str] = Counter()
        """How many use each image now."""
        self._coming: dict[str, int] = {}
        """The bytes of those that are being fetched."""
        with suppress(OSError):
            for path in directory.glob(f"{_UNFINISHED}*"):  # of a process that died meanwhile
                path.unlink()

    def prepare(self, image_id: str) -> None:
        """See to it that it is here, as long as others do not need the room. Errors as of `lease`."""
        with self.lease(image_id):
            pass

    @contextmanager
    def lease(self, image_id: str | None) -> Iterator[Path | None]:
        """The image's file, which stays while it is used; None for no image.

        The errors of the image service, or ComputeError when there is no room for it here.
        """
        if image_id is None:
            yield None
            return
        if not IMAGE_ID.fullmatch(image_id):  # it names a file
            raise ImageNotFoundError(f"cannot find image {image_id}: there is none")
        with self._using(image_id):
            yield self._fetched(image_id)

    @contextmanager
    def _using(self, image_id: str) -> Iterator[None]:
        with self._lock:
            self._used[image_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._used[image_id] -= 1
                if not self._used[image_id]:
                    del self._used[image_id]

    def _fetched(self, image_id: str) -> Path:
        with self._fetching.hold(image_id):
            image = self._source.show(image_id)
            path = self._directory / f"{image_id}.{image.checksum}"
            try:
                if path.exists():
                    path.touch()  # that it was used
                else:
                    self._fetch(image_id, image.size or 0, path)
            except OSError as exc:
                raise ComputeError(f"cannot keep image {image_id}: {exc}") from exc
            return path

    def _fetch(self, image_id: str, size: int, path: Path) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._make_room(image_id, size)
        try:
            self._source.download(image_id, path)
        finally:
            with self._lock:
                del self._coming[image_id]
        logger.bind(image=image_id, size=size).info("image fetched")

    def _make_room(self, image_id: str, size: int) -> None:
        """Removes others, and takes the room for this one."""
        with self._lock:
            kept = self._kept()
            excess = sum(each.size for each in kept) + sum(self._coming.values()) + size - self._max_bytes
            for each in sorted(kept, key=lambda each: each.used_at_s):
                if excess <= 0:
                    break
                if self._used[_image_id(each.path)] == 0:
                    each.path.unlink()
                    excess -= each.size
                    logger.bind(image=_image_id(each.path), size=each.size).info("image removed to make room")
            if excess > 0:
                raise ComputeError(
                    f"cannot keep image {image_id}: it has {size} bytes, and {excess} more are in use than may be"
                )
            self._coming[image_id] = size

    def _kept(self) -> list[_Kept]:
        found = []
        for path in self._directory.iterdir():
            if not path.name.startswith(_UNFINISHED):
                status = path.stat()
                found.append(_Kept(path, status.st_size, status.st_mtime))
        return found


def _image_id(path: Path) -> str:
    return path.name.partition(".")[0]
