"""`POST /servers/{id}/action`: the one key of the body says what is to be done."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field, create_model, model_validator
from starlette.responses import Response

from cloud.services.api.actions import (
    console,
    evacuate,
    live_migrate,
    lock,
    migrate,
    power,
    rebuild,
    reset_state,
    resize,
    snapshot,
)
from cloud.services.api.actions.action import Action
from cloud.services.api.body import Body, BodyOf
from cloud.services.api.call import TheCall
from cloud.services.api.server_state import server_of

router = APIRouter()

ACTIONS: Mapping[str, Action] = {
    action.name: action
    for family in (power, console, lock, reset_state, snapshot, rebuild, live_migrate, migrate, resize, evacuate)
    for action in family.ACTIONS
}
"""By name."""


def _field(name: str) -> str:
    return name.replace("-", "_")


class _OneAction(Body):
    """An object with one key, of ACTIONS. The fields of what derives from it are those."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    @model_validator(mode="before")
    @classmethod
    def _is_one(cls, values: Any) -> Any:
        if not isinstance(values, dict) or len(values) != 1:
            raise ValueError("an action is an object with one key, its name")
        (name,) = values
        if name not in ACTIONS:
            raise ValueError(f"There is no such action: {name[:64]}")
        return values

    def asked(self) -> tuple[Action, Body | None]:
        """The action, and its checked body where it has one."""
        (field,) = self.model_fields_set
        (action,) = (action for action in ACTIONS.values() if _field(action.name) == field)
        return action, None if action.body is None else getattr(self, field)


_FIELDS: Mapping[str, Any] = {
    _field(name): (Any if action.body is None else action.body, Field(None, alias=name))
    for name, action in ACTIONS.items()
}
ServerAction: type[_OneAction] = create_model("ServerAction", __base__=_OneAction, **_FIELDS)


@router.post("/servers/{server_id}/action", status_code=202)
def act(server_id: str, call: TheCall, body: Annotated[_OneAction, Depends(BodyOf(ServerAction))]) -> Response:
    action, its_body = body.asked()
    instance = server_of(call, server_id)
    call.require(action.policy, instance.project_id)
    return action.run(call, instance, its_body)
