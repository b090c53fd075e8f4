"""os-getConsoleOutput."""

import re
from collections.abc import Sequence

from starlette.responses import JSONResponse, Response

from cloud.domain.instance import Instance
from cloud.services.api.actions.action import Action
from cloud.services.api.call import Call
from cloud.services.api.server_bodies import ConsoleOutput
from cloud.services.api.server_state import host_of

_ALL = -1
_NOT_SHOWN = re.compile(r"[\x00-\x08\x0b-\x1f]")
"""What no terminal of 2014's clients was given."""


def _console_output(call: Call, instance: Instance, body: ConsoleOutput) -> Response:
    length = None if body.length == _ALL else body.length
    text = call.parts.compute.get_console_output(host_of(instance), instance.uuid, length)
    return JSONResponse({"output": _NOT_SHOWN.sub("", text)})


ACTIONS: Sequence[Action] = (
    Action("os-getConsoleOutput", "compute:servers:console_output", _console_output, ConsoleOutput),
)
