"""The JSON of a request: bounded, since this service's requests are not read whole before their routes begin."""

import asyncio
import json
from typing import Any

from starlette.requests import Request

from cloud.errors import BadRequestError, RequestTimeoutError, TooLargeError
from cloud.web.app import BODY_TIMEOUT_S, MAX_BODY_BYTES


async def read_json(request: Request) -> Any:
    """What the body says; BadRequestError, TooLargeError, RequestTimeoutError."""
    body = bytearray()
    is_more = True
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while is_more:
                message = await request.receive()
                if message["type"] != "http.request":
                    raise BadRequestError("cannot read request: the client has gone")
                body += message.get("body", b"")
                is_more = message.get("more_body", False)
                if len(body) > MAX_BODY_BYTES:
                    raise TooLargeError(f"cannot read request: more than {MAX_BODY_BYTES} bytes")
    except TimeoutError as exc:
        raise RequestTimeoutError(f"cannot read request: it did not come within {BODY_TIMEOUT_S:g} s") from exc
    try:
        return json.loads(body.decode())
    except (ValueError, RecursionError) as exc:
        raise BadRequestError("cannot read request: its body is not JSON") from exc
