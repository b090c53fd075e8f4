"""The image service as an ASGI application: versions, v1 and v2 behind one gate."""

from http import HTTPStatus
from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse, Response

from cloud.policy.rules import require
from cloud.policy.table import POLICY
from cloud.services.image.images import Images
from cloud.services.image.transfer import Transfers
from cloud.services.image.v1 import v1_router
from cloud.services.image.v2 import v2_router
from cloud.services.image.versions import PATHS, versions_document
from cloud.web.app import Authenticate, OnStop, Shape, gated, make_app
from cloud.web.server import App


def image_app(
    images: Images,
    authenticate: Authenticate,
    transfers: Transfers,
    max_image_bytes: int,
    on_stop: OnStop | None = None,
) -> App:
    """The application. `authenticate` lets PATHS through to anybody; `on_stop` comes after the last request."""
    app = make_app("image", SHAPE)

    def list_versions(request: Request) -> Response:
        require(POLICY, "image:versions:list", request.state.caller)
        return JSONResponse(versions_document(str(request.base_url)), HTTPStatus.MULTIPLE_CHOICES)

    for path in PATHS:
        app.add_api_route(path, list_versions, methods=["GET"], response_model=None)
    app.include_router(v1_router(images, transfers, max_image_bytes))
    app.include_router(v2_router(images, transfers, max_image_bytes))
    return gated(app, SHAPE, authenticate, on_stop)


def _render(status: int, message: str) -> dict[str, Any]:
    """Under one key, whose `message` is what glanceclient and openstackclient show."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    return {"error": {"code": status, "title": title, "message": message}}


SHAPE = Shape(_render, max_body_bytes=None)
"""Data of an image may be of any size, so that each route bounds what it reads."""
