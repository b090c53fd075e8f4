"""What may be asked of a server by `POST /servers/{id}/action`: a name, a body, a right, and what is done."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from cloud.domain.instance import Instance
from cloud.services.api.body import Body
from cloud.services.api.call import Call


@dataclass(frozen=True, slots=True)
class Action:
    """One of them."""

    name: str
    """The only key of the request's body."""
    policy: str
    run: Callable[[Call, Instance, Any], Response]
    """Given the instance, which the caller may see, and the checked body."""
    body: type[Body] | None = None
    """None: the name says all, whatever stands behind it."""


def accepted() -> Response:
    """The answer of what goes on elsewhere."""
    return Response(status_code=202)
