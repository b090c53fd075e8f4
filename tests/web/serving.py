"""An application as the services make theirs, on a free port."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.types import Scope

from cloud.domain.caller import Caller
from cloud.errors import UnauthorizedError
from cloud.web.app import Shape, gated, make_app
from cloud.web.auth import token_of
from cloud.web.server import HttpServer, Listen

ALICE = Caller("u1", "alice", "p1", "one", frozenset({"member"}), datetime(2999, 1, 1, tzinfo=UTC))


def render(status: int, message: str) -> dict[str, Any]:
    return {"oops": {"code": status, "message": message}}


SHAPE = Shape(render, ("x-openstack-request-id", "x-compute-request-id"), "Keystone uri=here", max_body_bytes=1000)


async def only_alice(scope: Scope) -> Caller | None:
    token = token_of(scope)
    if scope["path"] == "/public":
        return None
    if token != "alice":
        raise UnauthorizedError("nobody knows you")
    return ALICE


@contextmanager
def serving(app: FastAPI, shape: Shape = SHAPE) -> Iterator[httpx.Client]:
    """A client of `app` behind its gate, who is Alice."""
    server = HttpServer(gated(app, shape, only_alice), Listen("127.0.0.1", 0))
    server.start()
    try:
        with httpx.Client(base_url=server.url, trust_env=False, headers={"X-Auth-Token": "alice"}) as client:
            yield client
    finally:
        server.stop()


def new_app() -> FastAPI:
    return make_app("a service", SHAPE)
