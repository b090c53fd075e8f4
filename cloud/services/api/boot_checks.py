"""What an image, a project's quota and this cloud allow of what is asked for, when a server is made or made anew."""

import base64
from collections.abc import Mapping, Sequence
from uuid import UUID

from cloud.db.quotas import UNLIMITED
from cloud.domain.flavor import Flavor
from cloud.domain.image import ACTIVE, Image
from cloud.errors import BadRequestError, FlavorNotFoundError, ImageNotFoundError, QuotaError
from cloud.services.api.call import Call
from cloud.services.api.server_bodies import BlockDevice, InjectedFile, RequestedNetwork, SecurityGroup, is_uuid

MAX_FILES_BYTES = 256 << 10
"""Of all injected files together, as they come: they travel with the instance."""
_GIB = 1 << 30
_DEFAULT_GROUP = "default"


def usable_flavor(call: Call, flavorid: str) -> Flavor:
    """The flavor; BadRequestError where there is none, or none that the caller may use."""
    try:
        return call.parts.flavors.get(flavorid, call.seen_project)
    except FlavorNotFoundError as exc:
        raise BadRequestError(f"cannot use flavor {flavorid}: there is none") from exc


def usable_image(call: Call, image_id: str, flavor: Flavor) -> Image:
    """The image, of which it is certain that `flavor` holds it; BadRequestError otherwise."""
    try:
        image = call.parts.images.show(image_id)
    except ImageNotFoundError as exc:
        raise BadRequestError(f"cannot use image {image_id}: there is none") from exc
    if image.status != ACTIVE:
        raise BadRequestError(f"cannot use image {image_id}: it is {image.status}, not {ACTIVE}")
    if flavor.memory_mb < image.min_ram_mb:
        raise BadRequestError(
            f"cannot use image {image_id}: it needs {image.min_ram_mb} MiB of memory, the flavor has {flavor.memory_mb}"
        )
    if flavor.root_gb:  # 0: as large as the image is
        size_gb = -(-(image.size or 0) // _GIB)
        if max(size_gb, image.min_disk_gb) > flavor.root_gb:
            raise BadRequestError(
                f"cannot use image {image_id}: it needs {max(size_gb, image.min_disk_gb)} GiB of disk, "
                f"the flavor has {flavor.root_gb}"
            )
    return image


def check_metadata(metadata: Mapping[str, str], limits: Mapping[str, int]) -> None:
    """QuotaError for more items than a server may have."""
    _check_limit("metadata items", len(metadata), limits["metadata_items"])


def check_files(files: Sequence[InjectedFile], limits: Mapping[str, int]) -> None:
    """QuotaError for more or larger files than a server may get, BadRequestError for more than can travel."""
    _check_limit("injected files", len(files), limits["injected_files"])
    for file in files:
        _check_limit("bytes of an injected file's path", len(file.path.encode()), limits["injected_file_path_bytes"])
        size = len(base64.b64decode(file.contents))
        _check_limit("bytes of an injected file", size, limits["injected_file_content_bytes"])
    total = sum(len(file.contents) for file in files)
    if total > MAX_FILES_BYTES:
        raise BadRequestError(f"cannot inject files: together they have more than {MAX_FILES_BYTES} bytes")


def _check_limit(what: str, wanted: int, limit: int) -> None:
    if limit != UNLIMITED and wanted > limit:
        raise QuotaError(f"quota exceeded for {what}: {wanted} asked for, {limit} allowed")


def check_networks(networks: Sequence[RequestedNetwork] | None) -> None:
    """There is one network, which every server is in, and which nobody has to name."""
    for network in networks or ():
        if network.port is not None:
            raise BadRequestError("cannot use a port: this cloud's networks have none")
        raise BadRequestError(f"cannot find network {network.uuid}")


def check_security_groups(groups: Sequence[SecurityGroup] | None) -> None:
    """There is one, which every server is in."""
    for group in groups or ():
        if group.name != _DEFAULT_GROUP:
            raise BadRequestError(f"cannot find security group {group.name}")


def root_image(image_ref: str, devices: Sequence[BlockDevice] | None) -> str:
    """The image that a server's root disk is made from, by whichever way it is named; disks of other kinds are none
    of this cloud's: BadRequestError.
    """
    named = {image_ref} - {""}
    for device in devices or ():
        is_root = device.boot_index == 0 and device.destination_type in ("local", None)
        image_id = device.uuid or device.image_id
        if not (is_root and image_id and device.source_type in ("image", None)):
            raise BadRequestError("cannot use block device: only an image as local disk with boot_index 0 is served")
        if not is_uuid(image_id):
            raise BadRequestError("cannot use block device: an image is named by its id, which is a UUID")
        named.add(str(UUID(image_id)))
    if len(devices or ()) > 1 or len(named) > 1:
        raise BadRequestError("cannot use block devices: more than one has boot_index 0")
    if not named:
        raise BadRequestError("cannot make a server: there is no imageRef")
    return named.pop()
