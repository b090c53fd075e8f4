"""Where the steps of each procedure do their work: one table."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from cloud.logs.events import BUILD, EVACUATE, MIGRATION, PROCEDURES, RESIZE, Procedure


class Side(StrEnum):
    """A host's part in a procedure."""

    SOURCE = "source"
    DESTINATION = "destination"
    CONTROLLER = "controller"


_CONTROLLER, _SOURCE, _DESTINATION = (Side.CONTROLLER,), (Side.SOURCE,), (Side.DESTINATION,)
_BOTH = (Side.DESTINATION, Side.SOURCE)

SIDES: Mapping[str, Mapping[str, Sequence[Side]]] = {
    MIGRATION.name: {
        "request": _CONTROLLER,
        "source_check": _SOURCE,
        "schedule": _CONTROLLER,
        "claim": _CONTROLLER,
        "dest_check": _BOTH,
        "pre": _DESTINATION,
        "transfer": (Side.SOURCE, Side.DESTINATION),
        "post": _DESTINATION,
        "cleanup": _SOURCE,
        "rollback": _BOTH,
    },
    BUILD.name: {
        "request": _CONTROLLER,
        "schedule": _CONTROLLER,
        "claim": _CONTROLLER,
        "network": _DESTINATION,
        "image": _DESTINATION,
        "spawn": _DESTINATION,
        "rollback": _DESTINATION,
    },
    EVACUATE.name: {
        "request": _CONTROLLER,
        "source_check": _CONTROLLER,
        "schedule": _CONTROLLER,
        "claim": _CONTROLLER,
        "network": _DESTINATION,
        "image": _DESTINATION,
        "spawn": _DESTINATION,
        "cleanup": _CONTROLLER,
        "rollback": _DESTINATION,
    },
    RESIZE.name: {
        "request": _CONTROLLER,
        "schedule": _CONTROLLER,
        "claim": _CONTROLLER,
        "pre": _BOTH,
        "transfer": (Side.SOURCE, Side.DESTINATION),
        "post": _BOTH,
        "confirm": _SOURCE,
        "revert": _BOTH,
        "cleanup": _CONTROLLER,
        "rollback": _BOTH,
    },
}
"""Of each step the sides that work on it, first the one that does most of it."""

PATHS: Mapping[str, Sequence[str]] = {
    MIGRATION.name: MIGRATION.steps[:-1],
    BUILD.name: BUILD.steps,
    EVACUATE.name: EVACUATE.steps[:-1],
    RESIZE.name: RESIZE.steps[: RESIZE.steps.index("post") + 1],
}
"""The steps that each goes through where nothing fails; a resize waits behind those."""

BY_NAME: Mapping[str, Procedure] = {each.name: each for each in PROCEDURES}
