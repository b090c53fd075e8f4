"""The collector's HTTP API as a canary uses it: a stream of its own rows as they become queryable, and gaps."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import httpx
import httpx_sse

from cloud.logs.query.access.client_key import ClientKeyError, connection
from cloud.logs.query.client import (
    CONNECT_TIMEOUT_S,
    FIRST_RETRY_S,
    READ_TIMEOUT_S,
    ClientError,
    Parameters,
    raise_for_refusal,
)

LIVE_TIMEOUT_S = 10.0
GAPS_TIMEOUT_S = 5.0
LAST_RETRY_S = 1.0
MAX_GAPS = 100

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunGaps:
    """A run of a host's rsyslogd, by its start id; `gaps` are the first 100 ranges (first, last) of its `missing`."""

    start: str
    state: str
    last: int
    missing: int
    gaps: Sequence[tuple[int, int]]


class CanaryClient:
    """One collector over at most two connections; used within one event loop."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        try:
            self._http = httpx.AsyncClient(
                base_url=f"{self._url}/api/v1",
                timeout=httpx.Timeout(CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
                limits=httpx.Limits(max_connections=2),
                **connection(self._url),
            )
        except (httpx.InvalidURL, ClientKeyError) as exc:
            raise ClientError(f"cannot reach the collector at {url}: {exc}") from exc

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def follow(self, wanted: Parameters, listener: "Listener") -> None:
        """Tell `listener` each row that becomes queryable from now on, once, until cancelled.

        The first answer must come within 10 s, or `ClientError`; a connection that breaks later is made again, after
        a second at most, and goes on behind the last row.
        """
        position: int | None = None
        retry_s = FIRST_RETRY_S
        while True:
            behind = {"n": 0} if position is None else {"after": position}
            try:
                async with asyncio.timeout(LIVE_TIMEOUT_S) as opening:
                    async with httpx_sse.aconnect_sse(
                        self._http, "GET", "/tail", params={**wanted, **behind}
                    ) as source:
                        if not source.response.is_success:
                            await source.response.aread()
                        raise_for_refusal(source.response)
                        async for event in source.aiter_sse():
                            retry_s = FIRST_RETRY_S
                            if event.id:
                                position = int(event.id)
                            if event.event == "row":
                                listener.row(json.loads(event.data))
                            elif event.event == "live":
                                opening.reschedule(None)
                                listener.live()
                cause = "the collector closed the connection"
            except (httpx.HTTPError, httpx_sse.SSEError, TimeoutError, ValueError, ClientError) as exc:
                cause = _cause(exc, LIVE_TIMEOUT_S)
                if position is None:
                    if isinstance(exc, ClientError):
                        raise
                    raise ClientError(f"cannot reach the collector at {self._url}: {cause}") from exc
            listener.away(f"{cause}; trying again")
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, LAST_RETRY_S)

    async def gaps(self, host: str) -> list[RunGaps]:
        """The runs of a host that the collector knows, the oldest first; none: no numbered line has come from it.

        What is so young that it may be on its way is no gap yet. `ClientError` when there is no answer within 5 s.
        """
        try:
            async with asyncio.timeout(GAPS_TIMEOUT_S):
                answer = await self._http.get("/gaps", params={"host": host, "every": True, "max_gaps": MAX_GAPS})
            raise_for_refusal(answer)
            return [
                RunGaps(
                    each["start"],
                    each["state"],
                    each["last"],
                    each["missing"],
                    [(gap["first"], gap["last"]) for gap in each["gaps"]],
                )
                for each in answer.json()
            ]
        except (httpx.HTTPError, TimeoutError, ValueError, LookupError) as exc:
            raise ClientError(f"cannot ask the collector at {self._url}: {_cause(exc, GAPS_TIMEOUT_S)}") from exc


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears of a stream: that it is live, that it has broken off and why, and each row."""

    live: Callable[[], None]
    away: Callable[[str], None]
    row: Callable[[Row], None]


def _cause(exc: Exception, timeout_s: float) -> str:
    return f"no answer within {timeout_s:g} s" if isinstance(exc, TimeoutError) else str(exc) or type(exc).__name__
