"""v2.0 names a token in the path: it leaves there before anything that logs or quotes a path sees it."""

from typing import Any

from starlette.types import Receive, Scope, Send

from cloud.web.server import App

_PREFIX = "/v2.0/tokens/"
PLACEHOLDER = "-"
"""What stands in the path instead."""
_KEY = "subject_token"


def without_tokens_in_paths(app: App) -> App:
    """`app`, which finds the token of the path by `subject_token`."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_PREFIX):
            token, slash, rest = scope["path"].removeprefix(_PREFIX).partition("/")
            path = f"{_PREFIX}{PLACEHOLDER}{slash}{rest}"
            state = {**scope.get("state", {}), _KEY: token}
            scope = {**scope, "path": path, "raw_path": path.encode(), "state": state}
        await app(scope, receive, send)

    return serve


def subject_token(state: Any) -> str:
    """The token that the path of the request with that `state` named; empty when there was none."""
    return str(getattr(state, _KEY, ""))
