"""The image service as nova-compute sees it, without a network."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from cloud.domain.image import ACTIVE, QUEUED, Image
from cloud.errors import ConflictError, ImageNotFoundError

IMAGE = "d3b07384-d113-4ec4-9a9f-1a2b3c4d5e6f"
SNAPSHOT = "5f4dcc3b-5aa7-45d6-9d83-27deb882cf99"
_AT = datetime(2014, 10, 16, 12, 0, tzinfo=UTC)


class ImageStore:
    """Implements ImageSource. `before_download` is called in the middle of one."""

    def __init__(self) -> None:
        self.images: dict[str, Image] = {}
        self.data: dict[str, bytes] = {}
        self.downloads: list[str] = []
        self.away: Exception | None = None
        self.before_download: Callable[[], object] = lambda: None
        self.upload_fails: Exception | None = None

    def put(self, image_id: str, data: bytes | None) -> None:
        """An image with that data, or one that waits for its data."""
        self.images[image_id] = Image(
            id=image_id,
            name="image",
            owner="p",
            is_public=False,
            status=QUEUED,
            size=None,
            checksum=None,
            disk_format="raw",
            container_format="bare",
            min_disk_gb=0,
            min_ram_mb=0,
            properties={},
            created_at=_AT,
            updated_at=_AT,
        )
        if data is not None:
            self._fill(image_id, data)

    def show(self, image_id: str) -> Image:
        if self.away is not None:
            raise self.away
        if image_id not in self.images:
            raise ImageNotFoundError(f"cannot find image {image_id}")
        return self.images[image_id]

    def download(self, image_id: str, path: Path) -> Image:
        image = self.show(image_id)
        if image.status != ACTIVE:
            raise ConflictError(f"cannot download image {image_id}: it is {image.status}")
        self.downloads.append(image_id)
        self.before_download()
        path.write_bytes(self.data[image_id])
        return image

    def upload(self, image_id: str, data: IO[bytes]) -> Image:
        if self.upload_fails is not None:
            raise self.upload_fails
        if self.show(image_id).status != QUEUED:
            raise ConflictError(f"cannot upload image {image_id}: it is not queued")
        self._fill(image_id, data.read())
        return self.images[image_id]

    def delete(self, image_id: str) -> None:
        self.show(image_id)
        del self.images[image_id]

    def _fill(self, image_id: str, data: bytes) -> None:
        checksum = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self.images[image_id] = replace(self.images[image_id], status=ACTIVE, size=len(data), checksum=checksum)
        self.data[image_id] = data
