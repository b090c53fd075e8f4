"""The OpenAPI document: FastAPI's own, with the bodies that `BodyOf` reads."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from cloud.services.api.body import Body, BodyOf
from cloud.services.api.versions import NEWEST

_REF = "#/components/schemas/{model}"


def describe(app: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Have `app.openapi` give the document, which is made when it is first asked for."""
    known: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not known:
            known.update(_document(app, routers))
        return known

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's way of giving another one


def _document(app: FastAPI, routers: Sequence[APIRouter]) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=str(NEWEST), routes=app.routes)
    bodies = {
        (route.path, method.lower()): dependency.call.model
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for dependency in route.dependant.dependencies
        if isinstance(dependency.call, BodyOf)
        for method in route.methods or ()
    }
    models: set[type[Body]] = set(bodies.values())
    places, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    document.setdefault("components", {}).setdefault("schemas", {}).update(definitions.get("$defs", {}))
    for (path, method), model in bodies.items():
        content = {"application/json": {"schema": places[model, "validation"]}}
        document["paths"][path][method]["requestBody"] = {"required": True, "content": content}
    document["servers"] = [{"url": "/v2.1"}]
    return document
