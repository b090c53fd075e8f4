"""An error as nova words it in JSON: one key that names the kind, within it message and code."""

from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from cloud.errors import QuotaError
from cloud.services.api.versions import V2_1
from cloud.web.app import Shape

_KINDS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}
_ANY_KIND = "computeFault"


def render(status: int, message: str) -> dict[str, Any]:
    """The body of an answer with `status`."""
    return {_KINDS.get(status, _ANY_KIND): {"message": message, "code": status}}


def shape(identity_url: str) -> Shape:
    """How nova-api answers; both names of the request's id are in use among clients."""
    return Shape(
        render,
        request_id_headers=("x-compute-request-id", "x-openstack-request-id"),
        unauthorized_header=f"Keystone uri='{identity_url}'",
    )


def handle_quota(app: FastAPI) -> None:
    """Have `app` answer what is beyond a quota as each version does: 413 in that of 2014, 403 since 2.1."""

    @app.exception_handler(QuotaError)
    async def beyond_quota(request: Request, exc: QuotaError) -> Response:
        status = 403 if request.state.version >= V2_1 else QuotaError.status
        body = render(status, str(exc))
        if status == QuotaError.status:
            body[_KINDS[status]]["retryAfter"] = "0"
        return JSONResponse(body, status, {"Retry-After": "0"})
