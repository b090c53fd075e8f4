"""The image service over real HTTP, with an identity service that knows a few fixed tokens."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from loguru import logger

from cloud.logs.emit.levels import AUDIT
from cloud.services.image.app import image_app
from cloud.services.image.images import Images
from cloud.services.image.store import ImageStore, StoreLimits
from cloud.services.image.transfer import Transfers
from cloud.services.image.versions import PATHS
from cloud.web.auth import TokenAuthentication
from cloud.web.server import HttpServer, Listen

Line = tuple[str, str, dict[str, Any]]
"""The level, the message and the fields of what was logged."""

TOKENS = {
    "admin-token": ("admin", "project-admin", ["admin"]),
    "alice-token": ("alice", "project-a", ["member"]),
    "bob-token": ("bob", "project-b", ["member"]),
    "unscoped-token": ("carol", None, []),
}
MAX_IMAGE_BYTES = 128 << 20


@dataclass(frozen=True)
class Service:
    """One that runs."""

    url: str
    directory: Path
    store: ImageStore

    def client(self, token: str | None) -> httpx.Client:
        headers = {} if token is None else {"X-Auth-Token": token}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=30, verify=False)  # noqa: S501 - plain HTTP


async def identity(scope: Any, receive: Any, send: Any) -> None:
    """`GET /v3/auth/tokens`, as an ASGI application."""
    token = dict(scope["headers"]).get(b"x-subject-token", b"").decode("latin-1")
    status, body = 404, b"{}"
    if token in TOKENS:
        user, project, roles = TOKENS[token]
        document: dict[str, Any] = {
            "user": {"id": user, "name": user},
            "roles": [{"id": role, "name": role} for role in roles],
            "expires_at": "2999-01-01T00:00:00.000000Z",
        }
        if project:
            document["project"] = {"id": project, "name": project}
        status, body = 200, json.dumps({"token": document}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]  # nobody closes what asks, at the end
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="session")
def identity_url() -> Iterator[str]:
    server = HttpServer(identity, Listen("127.0.0.1", 0))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def run_service(identity_url: str, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Runs a service on a directory; all end with the test."""
    running: list[tuple[HttpServer, ImageStore]] = []

    def run(directory: Path | None = None, *, max_images: int = 1000, **options: Any) -> Service:
        directory = directory or tmp_path / "images"
        store = ImageStore(directory, StoreLimits(MAX_IMAGE_BYTES, max_images), lambda: datetime.now(UTC))
        images = Images(store, lambda: datetime.now(UTC))
        app = image_app(images, TokenAuthentication(identity_url, PATHS), Transfers(**options), MAX_IMAGE_BYTES)
        server = HttpServer(app, Listen("127.0.0.1", 0))
        server.start()
        running.append((server, store))
        return Service(server.url, directory, store)

    yield run
    for server, store in running:
        server.stop()
        store.close()


@pytest.fixture
def service(run_service: Callable[..., Service]) -> Service:
    return run_service()


@pytest.fixture
def alice(service: Service) -> Iterator[httpx.Client]:
    with service.client("alice-token") as client:
        yield client


@pytest.fixture
def bob(service: Service) -> Iterator[httpx.Client]:
    with service.client("bob-token") as client:
        yield client


@pytest.fixture
def admin(service: Service) -> Iterator[httpx.Client]:
    with service.client("admin-token") as client:
        yield client


@pytest.fixture
def unscoped(service: Service) -> Iterator[httpx.Client]:
    with service.client("unscoped-token") as client:
        yield client


@pytest.fixture
def lines() -> Iterator[list[Line]]:
    """What is logged, from any thread."""
    said: list[Line] = []
    with suppress(ValueError):  # set by another test in this process
        logger.level("AUDIT", no=AUDIT)

    def take(message: object) -> None:
        record = message.record  # type: ignore[attr-defined]
        said.append((record["level"].name, record["message"], record["extra"]))

    logger.remove()
    sink = logger.add(take, level=0, catch=False)
    yield said
    logger.remove(sink)
