"""An instance's disk -> an image, whose record the API has made already."""

from contextlib import suppress
from pathlib import Path

from cloud.domain.image import ACTIVE
from cloud.domain.instance import Instance, TaskState
from cloud.errors import CloudError, ComputeError, InstanceNotFoundError
from cloud.logs.emit import logger, request_context
from cloud.services.compute.records import ImageSource
from cloud.services.compute.work import Host, Job, do, say_deleted, wanted

SNAPSHOT = Job(
    "snapshot_instance",
    (TaskState.IMAGE_SNAPSHOT, TaskState.IMAGE_UPLOADING),
    done="instance snapshotted",
    failed="cannot snapshot instance",
)


class Snapshots:
    """The instance is held while its disk is copied, not while the copy is uploaded: it may be deleted meanwhile."""

    def __init__(self, host: Host, images: ImageSource, directory: Path) -> None:
        """`directory` has each copy while it is uploaded; it is made when it is needed, and is for us alone."""
        self._host = host
        self._images = images
        self._directory = directory
        with suppress(OSError):
            for path in directory.glob("*.raw"):  # of a process that died meanwhile
                path.unlink()

    def take(self, uuid: str, image_id: str) -> None:
        """The image has the disk's content afterwards; or it is deleted, and the instance as it was."""
        with request_context(instance=uuid), self._host.locks.hold(_key(uuid)):
            instance = None
            try:
                instance = wanted(self._host, SNAPSHOT, uuid)
            except InstanceNotFoundError:
                say_deleted(SNAPSHOT)
            if instance is None:
                self._discard(image_id)
            else:
                do(self._host, SNAPSHOT, instance, lambda instance: self._take(instance, image_id))

    def is_taking(self, uuid: str) -> bool:
        """Whether one of that instance is on its way."""
        return self._host.locks.is_held(_key(uuid))

    def _take(self, instance: Instance, image_id: str) -> None:
        path = self._directory / f"{instance.uuid}.raw"
        try:
            if self._images.show(image_id).status != ACTIVE:  # as it is when we died just after the upload
                self._copy(instance.uuid, path)
                self._host.records.update_instance(
                    instance.uuid, {"task_state": TaskState.IMAGE_UPLOADING}, SNAPSHOT.expected
                )
                with path.open("rb") as data:
                    self._images.upload(image_id, data)
            self._host.records.update_instance(instance.uuid, {"task_state": None}, SNAPSHOT.expected)
        except OSError as exc:
            self._discard(image_id)
            raise ComputeError(f"cannot snapshot instance {instance.uuid}: {exc}") from exc
        except BaseException:
            self._discard(image_id)
            raise
        finally:
            with suppress(OSError):
                path.unlink()

    def _copy(self, uuid: str, path: Path) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._host.locks.hold(uuid):
            self._host.driver.snapshot(uuid, path)

    def _discard(self, image_id: str) -> None:
        """Unless it has its data: then it is an image as any other."""
        try:
            if self._images.show(image_id).status != ACTIVE:
                self._images.delete(image_id)
        except CloudError as exc:
            logger.bind(image=image_id, error=str(exc)).warning("cannot delete the image of a failed snapshot")


def _key(uuid: str) -> str:
    return f"snapshot of {uuid}"
