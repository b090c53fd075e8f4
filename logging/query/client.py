"""The collector's HTTP API from the outside: rows, counts, and a tail that survives a restart of the collector."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import httpx
import httpx_sse

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0  # the server says something every 10 s
FIRST_RETRY_S = 0.25
LAST_RETRY_S = 5.0

Row = dict[str, Any]
Parameters = Mapping[str, str | int | Sequence[str]]


class ClientError(Exception):
    """The collector cannot be asked, or refuses the question."""


class CollectorClient:
    """One collector. Proxies of the environment are not used: it is on this machine."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        try:
            self._http = httpx.Client(
                base_url=f"{self._url}/api/v1",
                timeout=httpx.Timeout(CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
                trust_env=False,
            )
        except httpx.InvalidURL as exc:
            raise ClientError(f"cannot reach the collector at {url}: {exc}") from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def rows(self, parameters: Parameters) -> list[Row]:
        """The newest rows, in order of arrival; `ClientError` with the collector's own words."""
        found: list[Row] = self._get("/rows", parameters)
        return found

    def count(self, parameters: Parameters) -> list[Row]:
        """A row for each group, most first."""
        found: list[Row] = self._get("/count", parameters)
        return found

    def tail(self, parameters: Parameters, on_away: Callable[[str], None]) -> Iterator[Row]:
        """History and then what arrives, without end: each row once, also over a restart of the collector.

        The first connection must succeed, or `ClientError`; later ones are tried again, at most 5 s apart, and
        `on_away` hears why.
        """
        position: int | None = None
        retry_s = FIRST_RETRY_S
        while True:
            asked = dict(parameters) if position is None else {**parameters, "after": position}
            try:
                with httpx_sse.connect_sse(self._http, "GET", "/tail", params=asked) as source:
                    raise_for_refusal(source.response)
                    for event in source.iter_sse():
                        retry_s = FIRST_RETRY_S
                        if event.id:
                            position = int(event.id)
                        if event.event == "row":
                            yield json.loads(event.data)
                cause = "the collector closed the connection"
            except (httpx.HTTPError, httpx_sse.SSEError) as exc:
                if position is None:
                    raise ClientError(f"cannot reach the collector at {self._url}: {exc}") from exc
                cause = str(exc)
            on_away(f"{cause}; trying again")
            time.sleep(retry_s)
            retry_s = min(2 * retry_s, LAST_RETRY_S)

    def _get(self, path: str, parameters: Parameters) -> Any:
        try:
            response = self._http.get(path, params=dict(parameters))
            raise_for_refusal(response)
            return response.json()
        except (httpx.HTTPError, ValueError) as exc:  # ValueError: what is there speaks no JSON
            raise ClientError(f"cannot ask the collector at {self._url}: {exc}") from exc


def raise_for_refusal(response: httpx.Response) -> None:
    """`ClientError` with the collector's own words; the body of an asynchronous response must have been read."""
    if response.is_success:
        return
    response.read()
    try:
        detail = response.json()["detail"]
        if isinstance(detail, list):  # FastAPI's own checks: one entry a parameter
            detail = "; ".join(f"{entry['loc'][-1]}: {entry['msg']}" for entry in detail)
    except (ValueError, KeyError, TypeError):
        detail = f"{response.status_code} {response.text[:200]}"
    raise ClientError(f"the collector refuses: {detail}")
