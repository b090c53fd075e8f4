"""Which action a request asks for, before its route has it: so that who may not is refused before a body is read."""

from collections.abc import Iterator, Sequence

from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, compile_path

from cloud.logs.query.access.principal import Allowed


class RouteActions:
    """The actions of an application's routes, as their dependencies name them."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._actions = [
            (frozenset(context.methods or ()), compile_path(context.path)[0], action)
            for context in iter_route_contexts(routes)
            if context.path is not None
            for action in _actions(getattr(context, "dependant", None))
        ]

    def of(self, method: str, path: str) -> str | None:
        """None where there is no such route, or one that is for anybody."""
        return next(
            (action for methods, pattern, action in self._actions if method in methods and pattern.match(path)), None
        )


def _actions(dependant: Dependant | None) -> Iterator[str]:
    if dependant is not None:
        if isinstance(dependant.call, Allowed):
            yield dependant.call.action
        for each in dependant.dependencies:
            yield from _actions(each)
