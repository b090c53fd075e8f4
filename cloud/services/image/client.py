"""What nova-api and nova-compute ask of the image service."""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar

import httpx

from cloud.domain.image import ACTIVE, IMAGE_ID, Image, NewImage
from cloud.errors import (
    BadRequestError,
    CloudError,
    ConflictError,
    ForbiddenError,
    ImageNotFoundError,
    ImageUnavailableError,
    QuotaError,
    UnauthorizedError,
)
from cloud.services.image.document import image_of, is_attribute
from cloud.web.trust import trust

TIMEOUT = httpx.Timeout(60.0, connect=5.0)
"""For each piece of what is sent or received."""
TRANSFER_TIMEOUT_S = 3600.0
"""For all of an image's data."""
PAGE = 1000
MAX_PAGES = 100
PIECE_BYTES = 1 << 20
Value = TypeVar("Value")
_ERRORS: dict[int, type[CloudError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: ImageNotFoundError,
    409: ConflictError,
    413: QuotaError,
}


class ImageClient:
    """One service, on behalf of whoever `token` is of. May be used from several threads.

    Each method raises ImageUnavailableError when the service does not answer as it should, ImageNotFoundError for an
    image that is not there or not to be seen, and what else the service's answer means in cloud.errors.
    """

    def __init__(self, url: str, token: Callable[[], str], *, transfer_timeout_s: float = TRANSFER_TIMEOUT_S) -> None:
        """`url` is without a version; `token` is asked at every request."""
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT, trust_env=False, verify=trust())
        self._token = token
        self._transfer_timeout_s = transfer_timeout_s

    def close(self) -> None:
        """Close the connections that are kept."""
        self._client.close()

    def show(self, image_id: str) -> Image:
        with self._request("GET", _path(image_id)) as answer:
            return _read(answer, lambda: image_of(answer.json()))

    def list(self, **filters: str) -> list[Image]:
        """All that the caller sees, the newest first; `filters` as v2 has them, such as `name` and `status`."""
        images: list[Image] = []
        query = {**filters, "limit": str(PAGE)}
        for _ in range(MAX_PAGES):
            with self._request("GET", "/v2/images", params=query) as answer:
                body = _read(answer, answer.json)
                page = _read(answer, lambda body=body: [image_of(document) for document in body["images"]])  # type: ignore[misc]
            images += page
            if not page or "next" not in body:
                break
            query["marker"] = page[-1].id
        return images

    def create(self, image: NewImage) -> Image:
        """A queued image, which waits for its data."""
        document = {
            **image.properties,
            "name": image.name,
            "disk_format": image.disk_format,
            "container_format": image.container_format,
            "visibility": "public" if image.is_public else "private",
            "min_disk": image.min_disk_gb,
            "min_ram": image.min_ram_mb,
            **({} if image.owner is None else {"owner": image.owner}),
        }
        with self._request("POST", "/v2/images", json=document) as answer:
            return _read(answer, lambda: image_of(answer.json()))

    def upload(self, image_id: str, data: IO[bytes]) -> Image:
        """The image, active, with all that `data` still has; ConflictError when it is not queued."""
        headers = {"Content-Type": "application/octet-stream"}
        path = f"{_path(image_id)}/file"
        with self._request("PUT", path, content=self._pieces(data, image_id), headers=headers) as answer:
            _read(answer, lambda: None)
        return self.show(image_id)

    def download(self, image_id: str, path: Path) -> Image:
        """The image, whose data is `path` when it returns: whole and checked, or not there at all.

        ConflictError for an image without data, OSError when `path` cannot be written.
        """
        image = self.show(image_id)
        if image.status != ACTIVE:
            raise ConflictError(f"cannot download image {image_id}: it is {image.status}, not {ACTIVE}")
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:64]}-")
        unfinished = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                self._receive(image, file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return image

    def change_properties(self, image_id: str, *, set_to: Mapping[str, str], removed: Collection[str] = ()) -> Image:
        """The image with these properties beside its others, and without those `removed`.

        BadRequestError for a name that no property can have, ConflictError when one of those removed is not there.
        """
        for name in (*set_to, *removed):
            if is_attribute(name):
                raise BadRequestError(f"cannot change property {name} of image {image_id}: no property is called so")
        steps = [{"op": "add", "path": _pointer(name), "value": value} for name, value in set_to.items()]
        steps += [{"op": "remove", "path": _pointer(name)} for name in removed]
        headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        content = json.dumps(steps)
        with self._request("PATCH", _path(image_id), content=content, headers=headers) as answer:
            return _read(answer, lambda: image_of(answer.json()))

    def delete(self, image_id: str) -> None:
        """ForbiddenError for a protected image."""
        with self._request("DELETE", _path(image_id)) as answer:
            _read(answer, lambda: None)

    def _receive(self, image: Image, file: IO[bytes]) -> None:
        deadline_s = time.monotonic() + self._transfer_timeout_s
        md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        size = 0
        with self._request("GET", f"{_path(image.id)}/file") as answer:
            for piece in answer.iter_raw(PIECE_BYTES):
                file.write(piece)
                for digest in (md5, sha256):
                    digest.update(piece)
                size += len(piece)
                if time.monotonic() > deadline_s:
                    raise ImageUnavailableError(f"cannot download image {image.id}: it takes too long")
        is_as_said = size == image.size and md5.hexdigest() == image.checksum
        if not is_as_said or image.sha256 not in (None, sha256.hexdigest()):
            raise ImageUnavailableError(f"cannot download image {image.id}: what came is not what was stored")

    def _pieces(self, data: IO[bytes], image_id: str) -> Iterator[bytes]:
        deadline_s = time.monotonic() + self._transfer_timeout_s
        while piece := data.read(PIECE_BYTES):
            if time.monotonic() > deadline_s:
                raise ImageUnavailableError(f"cannot upload image {image_id}: it takes too long")
            yield piece

    @contextmanager
    def _request(self, method: str, path: str, **request: Any) -> Iterator[httpx.Response]:
        """The answer, whose body has not been read, if it is a good one."""
        headers = {"X-Auth-Token": self._token(), **request.pop("headers", {})}
        try:
            with self._client.stream(method, path, headers=headers, **request) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _error(answer)
                yield answer
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise ImageUnavailableError(f"cannot ask the image service to {method} {path}: {exc!r}") from exc


def _path(image_id: str) -> str:
    """ImageNotFoundError for what no image can be called, and what may lead elsewhere."""
    if not IMAGE_ID.fullmatch(image_id):
        raise ImageNotFoundError(f"cannot find image {image_id}: there is none")
    return f"/v2/images/{image_id}"


def _pointer(name: str) -> str:
    """The name of a property in a patch (RFC 6901 section 3)."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _read(answer: httpx.Response, read: Callable[[], Value]) -> Value:
    answer.read()
    try:
        return read()
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ImageUnavailableError(f"cannot read what the image service answers: {exc!r}") from exc


def _error(answer: httpx.Response) -> CloudError:
    message = f"the image service answers {answer.status_code}"
    with suppress(ValueError, KeyError, TypeError):
        message = str(answer.json()["error"]["message"])
    return _ERRORS.get(answer.status_code, ImageUnavailableError)(message)
