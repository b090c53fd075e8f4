"""Images in a directory: `ID.json` is what is known of one, `ID.data` its bytes. No name is ever that of half a file.

One process has the directory; all metadata is held in memory too, so reading it touches no disk.
"""

import errno
import fcntl
import json
import os
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from threading import RLock
from typing import IO

from cloud.domain.image import ACTIVE, IMAGE_ID, KILLED, QUEUED, SAVING, Image
from cloud.errors import (
    BadRequestError,
    CloudError,
    ConflictError,
    ForbiddenError,
    ImageNotFoundError,
    QuotaError,
    TooLargeError,
)
from cloud.logs.emit import logger
from cloud.services.image.data import DataReader, DataWriter

UNFINISHED = "unfinished-"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class StoreError(Exception):
    """The directory cannot be used; the message says why."""


class StoreFailedError(CloudError):
    """The disk did not do what it was asked; what was stored before is as it was."""


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """The most that is kept."""

    max_image_bytes: int
    max_images: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What was said of an upload before it came; None where nothing was."""

    size: int | None = None
    md5: str | None = None


class ImageStore:
    """All of it may be called from several threads. A change is on the disk when its method returns."""

    def __init__(self, directory: Path, limits: StoreLimits, now: Callable[[], datetime]) -> None:
        """Take the directory, which is made where it is missing, and remove what a crash has left; StoreError."""
        self._directory = directory
        self._limits = limits
        self._now = now
        self._changes = RLock()
        self._images: dict[str, Image] = {}
        self._unreadable: set[str] = set()
        self._uploads: dict[str, ImageUpload] = {}
        try:
            self._lock_file = _lock(directory)
        except OSError as exc:
            raise StoreError(f"cannot use image directory {directory}: {exc}") from exc
        try:
            self._load()
            self._sweep()
        except OSError as exc:
            self.close()
            raise StoreError(f"cannot use image directory {directory}: {exc}") from exc

    def close(self) -> None:
        """Let another process have the directory."""
        self._lock_file.close()

    def all(self) -> tuple[Image, ...]:
        """Every image, in no order."""
        with self._changes:
            return tuple(self._images.values())

    def get(self, image_id: str) -> Image:
        """The image; ImageNotFoundError."""
        image = self._images.get(image_id)
        if image is None:
            raise not_found(image_id)
        return image

    def create(self, image: Image) -> None:
        """Register an image without data. ConflictError for an id that is taken, QuotaError when there is no room."""
        with self._changes:
            if image.id in self._images or image.id in self._unreadable:
                raise ConflictError(f"cannot create image {image.id}: there is one of this id")
            if len(self._images) >= self._limits.max_images:
                raise QuotaError(f"cannot create image {image.id}: there are {len(self._images)} already")
            self._write(image)
            self._images[image.id] = image

    def update(self, image_id: str, change: Callable[[Image], Image]) -> Image:
        """The image as `change` makes it of what it is, with nobody in between; ImageNotFoundError."""
        with self._changes:
            changed = replace(change(self.get(image_id)), updated_at=self._now())
            self._write(changed)
            self._images[image_id] = changed
            return changed

    def delete(self, image_id: str) -> Image:
        """The image that was. Its data stays with those who are reading it; an upload that runs ends in an error.

        ImageNotFoundError, ForbiddenError for a protected image.
        """
        with self._changes:
            image = self.get(image_id)
            if image.is_protected:
                raise ForbiddenError(f"cannot delete image {image_id}: it is protected")
            try:
                self._metadata(image_id).unlink(missing_ok=True)  # first: data that nobody knows is swept at a start
                _sync(self._directory)
            except OSError as exc:
                raise StoreFailedError(f"cannot delete image {image_id}: {exc}") from exc
            del self._images[image_id]
            self._uploads.pop(image_id, None)
        try:
            self._data(image_id).unlink(missing_ok=True)
        except OSError as exc:
            logger.bind(image=image_id, error=str(exc)).warning("image data stays until the next start")
        return image

    def begin_upload(self, image_id: str) -> "ImageUpload":
        """The only upload of an image that is queued; ImageNotFoundError, ConflictError in any other state."""
        with self._changes:
            image = self.get(image_id)
            if image.status != QUEUED:
                raise ConflictError(f"cannot upload image {image_id}: it is {image.status}, not {QUEUED}")
            if image.disk_format is None or image.container_format is None:
                raise BadRequestError(
                    f"cannot upload image {image_id}: its disk_format and container_format are not set"
                )
            try:
                writer = DataWriter(self._unfinished())
            except OSError as exc:
                raise self._failure(f"cannot upload image {image_id}", exc) from exc
            upload = ImageUpload(self, image_id, writer, self._limits.max_image_bytes)
            self._uploads[image_id] = upload
            self._images[image_id] = replace(image, status=SAVING)
            return upload

    def open(self, image: Image) -> DataReader:
        """The data of an active image; ImageNotFoundError when it was deleted meanwhile, DamagedImageError."""
        if image.status != ACTIVE or image.size is None or image.sha256 is None:
            raise ConflictError(f"cannot read image {image.id}: it is {image.status}, not {ACTIVE}")
        with self._changes:
            self.get(image.id)
            return DataReader(self._data(image.id), image.size, image.sha256)

    def _end_upload(self, upload: "ImageUpload", status: str) -> None:
        with self._changes:
            if self._uploads.get(upload.image_id) is not upload:
                return
            del self._uploads[upload.image_id]
            image = replace(self._images[upload.image_id], status=status, updated_at=self._now())
            self._images[image.id] = image
            if status != QUEUED:  # which is what the disk says anyway
                self._write(image)

    def _commit_upload(self, upload: "ImageUpload", writer: DataWriter, expected: Expected) -> Image:
        image_id = upload.image_id
        try:
            digest = writer.finish()
        except OSError as exc:
            raise self._failure(f"cannot upload image {image_id}", exc) from exc
        for what, wanted, found in (("size", expected.size, digest.size), ("checksum", expected.md5, digest.md5)):
            if wanted is not None and wanted != found:
                raise BadRequestError(
                    f"cannot upload image {image_id}: its {what} is {found}, and {wanted} was announced"
                )
        with self._changes:
            self._check_upload(upload)
            image = replace(
                self._images[image_id],
                status=ACTIVE,
                size=digest.size,
                checksum=digest.md5,
                sha256=digest.sha256,
                updated_at=self._now(),
            )
            try:
                writer.path.rename(self._data(image_id))
                self._write(image)  # second, and it syncs the directory: what is said to be there is there
            except BaseException as exc:
                self._data(image_id).unlink(missing_ok=True)
                if isinstance(exc, OSError):
                    raise self._failure(f"cannot upload image {image_id}", exc) from exc
                raise
            self._images[image_id] = image
            del self._uploads[image_id]
            return image

    def _check_upload(self, upload: "ImageUpload") -> None:
        if self._uploads.get(upload.image_id) is not upload:
            raise ImageNotFoundError(f"cannot upload image {upload.image_id}: it was deleted meanwhile")

    def _write(self, image: Image) -> None:
        """Have the disk say what `image` is; where that fails it says what it said before."""
        try:
            self._put(image)
            _sync(self._directory)
        except OSError as exc:
            with suppress(OSError):
                before = self._images.get(image.id)
                if before is None:
                    self._metadata(image.id).unlink(missing_ok=True)
                else:
                    self._put(before)
            raise self._failure(f"cannot store image {image.id}", exc) from exc

    def _put(self, image: Image) -> None:
        stored = replace(image, status=QUEUED) if image.status == SAVING else image  # a crash ends any upload
        unfinished = self._unfinished()
        try:
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(json.dumps(stored.as_dict(), ensure_ascii=False).encode())
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(self._metadata(image.id))
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise

    def _failure(self, what: str, exc: OSError) -> CloudError:
        if exc.errno not in _FULL:
            return StoreFailedError(f"{what}: {exc}")
        logger.bind(directory=str(self._directory), error=str(exc)).error("image store is full")
        return TooLargeError(f"{what}: the image store is full")

    def _load(self) -> None:
        for path in self._directory.glob("*.json"):
            try:
                image = Image.from_dict(json.loads(path.read_bytes()))
                if image.id != path.stem or not IMAGE_ID.fullmatch(image.id):
                    raise ValueError(f"it says that it is of image {image.id!r}")
            except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
                self._unreadable.add(path.stem)
                logger.bind(path=str(path), error=str(exc)).error("image is left out, its metadata cannot be read")
                continue
            self._images[image.id] = image
            if image.status == ACTIVE:
                self._check_size(image)

    def _check_size(self, image: Image) -> None:
        try:
            size = self._data(image.id).stat().st_size
        except OSError as exc:
            logger.bind(image=image.id, error=str(exc)).error("image data is damaged")
            return
        if size != image.size:
            logger.bind(image=image.id, size=size, expected=image.size).error("image data is damaged")

    def _sweep(self) -> None:
        for path in self._directory.glob(f"{UNFINISHED}*"):
            path.unlink()
        for path in self._directory.glob("*.data"):
            image = self._images.get(path.stem)
            is_ours = IMAGE_ID.fullmatch(path.stem) and path.stem not in self._unreadable
            if is_ours and (image is None or image.status != ACTIVE):
                path.unlink()

    def _metadata(self, image_id: str) -> Path:
        return self._directory / f"{image_id}.json"

    def _data(self, image_id: str) -> Path:
        return self._directory / f"{image_id}.data"

    def _unfinished(self) -> Path:
        return self._directory / f"{UNFINISHED}{uuid.uuid4()}"


class ImageUpload:
    """The data of one image as it comes: written, then committed or aborted. Used by one thread at a time."""

    def __init__(self, store: ImageStore, image_id: str, writer: DataWriter, max_bytes: int) -> None:
        self.image_id = image_id
        self._store = store
        self._writer = writer
        self._max_bytes = max_bytes
        self._started_s = time.monotonic()

    def write(self, piece: bytes) -> None:
        """TooLargeError beyond the bound or on a full disk, ImageNotFoundError when the image was deleted meanwhile;
        then it wants to be aborted.
        """
        self._store._check_upload(self)
        if self._writer.size + len(piece) > self._max_bytes:
            raise TooLargeError(f"cannot upload image {self.image_id}: more than {self._max_bytes} bytes")
        try:
            self._writer.write(piece)
        except OSError as exc:
            raise self._store._failure(f"cannot upload image {self.image_id}", exc) from exc

    def commit(self, expected: Expected) -> Image:
        """The image, active from now on; errors as of `write`, and BadRequestError for what was not expected."""
        image = self._store._commit_upload(self, self._writer, expected)
        logger.bind(image=image.id, size=image.size, checksum=image.checksum, elapsed_s=self._elapsed_s()).info(
            "image uploaded"
        )
        return image

    def abort(self, cause: BaseException, *, is_final: bool) -> None:
        """No byte stays; the image is queued again, or killed where that is final. No error comes of it."""
        line = logger.bind(image=self.image_id, size=self._writer.size, elapsed_s=self._elapsed_s())
        try:
            self._writer.discard()
            self._store._end_upload(self, KILLED if is_final else QUEUED)
        except (OSError, CloudError) as exc:
            line.bind(error=str(exc)).warning("image upload is not cleared away, the next start will")
        line.bind(error=str(cause) or repr(cause)).warning("image upload failed")

    def _elapsed_s(self) -> float:
        return round(time.monotonic() - self._started_s, 6)


def not_found(image_id: str) -> ImageNotFoundError:
    """The one answer for what is not there and for what is not to be seen."""
    return ImageNotFoundError(f"cannot find image {image_id}: there is none")


def _lock(directory: Path) -> IO[bytes]:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)  # whatever the umask, and whoever made it
    lock_file = os.fdopen(os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        lock_file.close()
        raise StoreError(f"cannot use image directory {directory}: another image service has it") from exc
    return lock_file


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
