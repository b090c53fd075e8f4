"""What every daemon answers, whatever its work: whether it hears us, and how much it logs."""

import os
import time
from collections.abc import Sequence
from typing import Any

from cloud.logs.emit import logger
from cloud.logs.emit.live_level import LiveLevel
from cloud.rpc.client import RpcClient
from cloud.rpc.errors import BadMessageError
from cloud.rpc.methods import rpc_method
from cloud.rpc.topology import Target

MAX_HOPS = 64
HOP_TIMEOUT_S = 5.0


class ControlEndpoint:
    """Part of each daemon's RPC server."""

    def __init__(self, target: Target, client: RpcClient, level: LiveLevel) -> None:
        """`target` is this very service."""
        self._target = target
        self._client = client
        self._level = level

    @rpc_method
    def ping(self, route: Sequence[Sequence[str | None]]) -> list[dict[str, Any]]:
        """Answer, and have the services of `route` (pairs of binary and host or None) answer, each asked by the last.

        Ours is the first answer; `elapsed_s` is how long we took, with all that come after us.
        """
        further = _read_route(route)
        started_s = time.monotonic()
        logger.bind(hops_left=len(further)).info("ping received")
        answers = ControlClient(self._client).ping_along(further)
        own = {
            "binary": self._target.binary,
            "host": self._target.host,
            "pid": os.getpid(),
            "elapsed_s": round(time.monotonic() - started_s, 6),
        }
        return [own, *answers]

    @rpc_method
    def set_log_level(self, level: str, for_s: float) -> dict[str, Any]:
        """Log from `level` up, and as before again after `for_s`."""
        try:
            return self._level.set(level, for_s).as_dict()
        except ValueError as exc:
            raise BadMessageError(str(exc)) from exc

    @rpc_method
    def get_log_level(self) -> dict[str, Any]:
        """From which level up we log, and until when."""
        return self._level.state().as_dict()


class ControlClient:
    """Asks any daemon for it."""

    def __init__(self, client: RpcClient) -> None:
        self._client = client

    def ping_along(self, route: Sequence[Target]) -> list[dict[str, Any]]:
        """The answers along `route`, in its order; empty for an empty one.

        An error names the hop that did not answer. BadMessageError for a route that is too long or has a loop.
        """
        _check_route(route)
        if not route:
            return []
        target, further = route[0], route[1:]
        # Longer than all that come after it, so that it is the hop that is silent which runs out of time.
        timeout_s = HOP_TIMEOUT_S + 0.5 * len(further)
        arguments = {"route": [[hop.binary, hop.host] for hop in further]}
        answers: list[dict[str, Any]] = self._client.call(target, "ping", arguments, timeout_s=timeout_s)
        return answers

    def set_log_level(self, target: Target, level: str, for_s: float) -> dict[str, Any]:
        state: dict[str, Any] = self._client.call(
            target, "set_log_level", {"level": level, "for_s": for_s}, timeout_s=HOP_TIMEOUT_S
        )
        return state

    def get_log_level(self, target: Target) -> dict[str, Any]:
        state: dict[str, Any] = self._client.call(target, "get_log_level", timeout_s=HOP_TIMEOUT_S)
        return state


def _read_route(route: object) -> list[Target]:
    """What came over the bus, whoever sent it."""
    if not isinstance(route, list) or not all(isinstance(hop, list) and len(hop) == 2 for hop in route):
        raise BadMessageError("cannot ping: a route is a list of pairs of a binary and a host")
    if not all(isinstance(binary, str) and isinstance(host, str | None) for binary, host in route):
        raise BadMessageError("cannot ping: a binary is a text, and a host a text or null")
    try:
        return [Target.of(binary, host) for binary, host in route]
    except ValueError as exc:
        raise BadMessageError(f"cannot ping: {exc}") from exc


def _check_route(route: Sequence[Target]) -> None:
    if len(route) > MAX_HOPS:
        raise BadMessageError(f"cannot ping along {len(route)} hops: at most {MAX_HOPS}")
    for number, target in enumerate(route):
        # A request at each hop waits for all after it: in a loop they would take all workers of a service.
        if target in route[:number]:
            raise BadMessageError(f"cannot ping along a route that has {target} twice")
