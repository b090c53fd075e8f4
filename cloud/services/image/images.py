"""What each caller may do with images: the store behind the policy."""

import uuid
from collections.abc import Callable
from datetime import datetime

from cloud.domain.caller import Caller
from cloud.domain.image import QUEUED, Image
from cloud.errors import BadRequestError
from cloud.logs.emit import logger
from cloud.policy.rules import is_allowed, require
from cloud.policy.table import POLICY
from cloud.services.image.change import Change
from cloud.services.image.data import DataReader
from cloud.services.image.store import ImageStore, ImageUpload, not_found


class Images:
    """An image that a caller may not see is not there: ImageNotFoundError. What else is not allowed: ForbiddenError."""

    def __init__(self, store: ImageStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    def visible(self, caller: Caller) -> list[Image]:
        """All that are public, or of the caller's project; to admins, all. In no order."""
        require(POLICY, "image:images:list", caller)
        return [image for image in self._store.all() if _sees(caller, image)]

    def show(self, caller: Caller, image_id: str) -> Image:
        image = self._store.get(image_id)
        if not _sees(caller, image):
            raise not_found(image_id)
        return image

    def create(self, caller: Caller, change: Change, image_id: str | None = None) -> Image:
        """A queued image of the caller's project where `change` does not name another."""
        now = self._now()
        blank = Image(
            id=image_id or str(uuid.uuid4()),
            name=None,
            owner=caller.project_id,
            is_public=False,
            status=QUEUED,
            size=None,
            checksum=None,
            disk_format=None,
            container_format=None,
            min_disk_gb=0,
            min_ram_mb=0,
            properties={},
            created_at=now,
            updated_at=now,
        )
        require(POLICY, "image:images:create", caller, caller.project_id)
        image = _changed(caller, blank, change)
        self._store.create(image)
        logger.bind(image=image.id, owner=image.owner).info("image created")
        return image

    def update(self, caller: Caller, image_id: str, change_of: Callable[[Image], Change]) -> Image:
        """The image, changed as `change_of` says of what it is."""

        def change(image: Image) -> Image:
            if not _sees(caller, image):
                raise not_found(image_id)
            require(POLICY, "image:images:update", caller, image.owner)
            return _changed(caller, image, change_of(image))

        return self._store.update(image_id, change)

    def delete(self, caller: Caller, image_id: str) -> None:
        require(POLICY, "image:images:delete", caller, self.show(caller, image_id).owner)
        image = self._store.delete(image_id)
        logger.bind(image=image.id, size=image.size, checksum=image.checksum).info("image deleted")

    def begin_upload(self, caller: Caller, image_id: str) -> ImageUpload:
        require(POLICY, "image:images:upload", caller, self.show(caller, image_id).owner)
        return self._store.begin_upload(image_id)

    def open(self, image: Image) -> DataReader:
        """The data of what `show` has given."""
        return self._store.open(image)


def _sees(caller: Caller, image: Image) -> bool:
    if image.is_public and is_allowed(POLICY, "image:images:show_public", caller):
        return True
    return is_allowed(POLICY, "image:images:show", caller, image.owner)


def _changed(caller: Caller, image: Image, change: Change) -> Image:
    changed = change.applied_to(image)
    if changed.is_public and not image.is_public:
        require(POLICY, "image:images:publicize", caller, image.owner)
    if changed.owner != image.owner:
        require(POLICY, "image:images:give_away", caller, image.owner)
    is_given = changed.disk_format is not None and changed.container_format is not None
    if image.status != QUEUED and not is_given:
        raise BadRequestError(
            f"cannot change image {image.id}: it has data, which has a disk_format and container_format"
        )
    return changed
