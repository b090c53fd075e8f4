"""The image service as nova-compute asks it: signed in as a user of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol, TypeVar

from oslo_config import cfg

from cloud.domain.image import Image
from cloud.errors import IdentityUnavailableError, UnauthorizedError
from cloud.services.identity.client import IdentityClient
from cloud.services.image.client import ImageClient

Value = TypeVar("Value")


class Identity(Protocol):
    """IdentityClient is one."""

    def token(self) -> str: ...

    def forget(self, token: str) -> None: ...

    def close(self) -> None: ...


class ImageService:
    """Implements ImageSource. A token that is refused, though it should still be good, is replaced once."""

    def __init__(self, url: str, identity: Identity) -> None:
        """`url` is without a version."""
        self._images = ImageClient(url, identity.token)
        self._identity = identity

    def show(self, image_id: str) -> Image:
        return self._again(lambda: self._images.show(image_id))

    def download(self, image_id: str, path: Path) -> Image:
        return self._again(lambda: self._images.download(image_id, path))

    def upload(self, image_id: str, data: IO[bytes]) -> Image:
        self.show(image_id)  # so that it is not the upload that finds the token refused: `data` can be read once
        return self._images.upload(image_id, data)

    def delete(self, image_id: str) -> None:
        self._again(lambda: self._images.delete(image_id))

    def close(self) -> None:
        self._images.close()
        self._identity.close()

    def _again(self, ask: Callable[[], Value]) -> Value:
        token = self._identity.token()
        try:
            return ask()
        except UnauthorizedError:
            self._identity.forget(token)
            return ask()


class _Nobody:
    """Where no account was given."""

    def token(self) -> str:
        raise IdentityUnavailableError("cannot sign in: [identity] user, password and project are not all set")

    def forget(self, token: str) -> None:
        """There is none."""

    def close(self) -> None:
        """There is nothing open."""


def configured_image_service(conf: cfg.ConfigOpts) -> ImageService:
    """As `conf` says, which has COMPUTE_OPTIONS. Without an account it can be made, and refuses what is asked of it."""
    account = conf.identity
    identity: Identity = _Nobody()
    if account.user and account.password and account.project:
        identity = IdentityClient(account.url, account.user, account.password, account.project)
    return ImageService(conf.image.url, identity)
