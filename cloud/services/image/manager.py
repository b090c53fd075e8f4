"""The image service: images in a directory of its own, over HTTP."""

from datetime import UTC, datetime
from pathlib import Path

from cloud.services.image.app import image_app
from cloud.services.image.images import Images
from cloud.services.image.store import ImageStore, StoreError, StoreLimits
from cloud.services.image.transfer import Transfers
from cloud.services.image.versions import PATHS
from cloud.services.manager import Manager, ManagerError, Parts
from cloud.web.auth import TokenAuthentication
from cloud.web.server import HttpServer, HttpServerError, Listen


class ImageManager(Manager):
    """Serves `store` from start to stop, and gives it back then."""

    def __init__(self, server: HttpServer, store: ImageStore) -> None:
        self._server = server
        self._store = store
        self.url = server.url

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        """Uploads that still run are lost, as in a crash."""
        self._server.stop()
        self._store.close()


def make_manager(parts: Parts) -> ImageManager:
    """The manager as `parts.conf` says; ManagerError for a directory or an address that cannot be had."""
    group = parts.conf.image
    limits = StoreLimits(group.max_image_bytes, group.max_images)
    listen = Listen(group.listen, group.port, _path(group.certificate), _path(group.key))
    try:
        store = ImageStore(Path(group.directory), limits, _now)
    except StoreError as exc:
        raise ManagerError(str(exc)) from exc
    authenticate = TokenAuthentication(group.identity_url, PATHS)
    app = image_app(Images(store, _now), authenticate, Transfers(), limits.max_image_bytes, on_stop=authenticate.close)
    try:
        server = HttpServer(app, listen)
    except HttpServerError as exc:
        store.close()
        raise ManagerError(str(exc)) from exc
    return ImageManager(server, store)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _now() -> datetime:
    return datetime.now(UTC)
