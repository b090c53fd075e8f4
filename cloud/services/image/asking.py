"""Who asks, for the routes of either version."""

from typing import Annotated

from fastapi import Depends, Request

from cloud.domain.caller import Caller


def _caller_of(request: Request) -> Caller:
    caller: Caller = request.state.caller  # `gated` has let nobody come to these routes without a token
    return caller


Asking = Annotated[Caller, Depends(_caller_of)]
