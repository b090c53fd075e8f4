"""The collector's HTTP API from the outside: questions, exports, and a tail that survives the collector's restart."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import httpx_sse

from cloud.logs.query.access.client_key import ClientKeyError, connection

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0  # the server says something every 10 s
ASK_TIMEOUT = httpx.Timeout(CONNECT_TIMEOUT_S, read=90.0)
"""A question may wait 10 s for others, and then take the longest deadline there is."""
FIRST_RETRY_S = 0.25
LAST_RETRY_S = 5.0
"""A connection that the collector ends before it has lasted for so long was none: the next wait is longer."""
GIVE_UP_S = 600.0
"""So long a tail tries to be heard again."""
FOR_NOW = (429, 503)
"""Refusals that may be none a moment later."""

Row = dict[str, Any]
Parameters = Mapping[str, str | int | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the collector says beside its words."""

    status: int
    code: str | None = None
    column: int | None = None
    """Where a query is wrong, from 1."""
    expected: Sequence[str] = ()
    """What would have been right there."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """Who hears what a tail has to say beside its rows; each is called between two of them."""

    away: Callable[[str], None]
    """Why the connection has ended; it is tried again."""
    back: Callable[[int], None] = lambda _: None
    """It is there again, and goes on behind this row."""
    status: Callable[[Mapping[str, Any]], None] = lambda _: None
    """Lines come late, or were dropped."""
    skipped: Callable[[Mapping[str, Any]], None] = lambda _: None
    """Lines are left out: this reader was too slow, or away for too long."""


class ClientError(Exception):
    """The collector cannot be asked, or refuses the question."""


class RefusedError(ClientError):
    """The collector has answered, and refuses."""

    def __init__(self, message: str, refusal: Refusal) -> None:
        super().__init__(message)
        self.refusal = refusal


class CollectorClient:
    """One collector. Proxies of the environment are not used."""

    def __init__(self, url: str, key_file: Path | None = None) -> None:
        """With the key in `key_file`, else the one that the environment or the user's settings have, if any."""
        self._url = url.rstrip("/")
        try:
            if not (self._url.startswith(("http://", "https://")) and httpx.URL(self._url).host):
                raise ValueError("expected http://HOST:PORT or https://HOST:PORT")
            self._http = httpx.Client(
                base_url=f"{self._url}/api/v1",
                timeout=httpx.Timeout(CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
                **connection(self._url, key_file),
            )
        except (httpx.InvalidURL, ValueError, ClientKeyError) as exc:
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

    def ask(self, path: str, parameters: Parameters) -> dict[str, Any]:
        """What a route of questions answers; `RefusedError` where it refuses, and `ClientError` for all else."""
        found: dict[str, Any] = self._get(path, parameters, ASK_TIMEOUT)
        return found

    def change(
        self, method: str, path: str, content: Mapping[str, Any] | None = None, *, version: int | None = None
    ) -> dict[str, Any]:
        """What a route answers that changes something, if it says anything; only of that `version`. Errors as `ask`."""
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        try:
            response = self._http.request(method, path, json=content, headers=headers, timeout=ASK_TIMEOUT)
            raise_for_refusal(response)
            found: dict[str, Any] = response.json() if response.content else {}
            return found
        except (httpx.HTTPError, ValueError) as exc:
            raise ClientError(f"cannot ask the collector at {self._url}: {exc}") from exc

    def lines(self, path: str, parameters: Parameters) -> Iterator[str]:
        """The lines of an answer without end, each with its end; errors as those of `ask`."""
        try:
            with self._http.stream("GET", path, params=dict(parameters), timeout=ASK_TIMEOUT) as response:
                raise_for_refusal(response)
                rest = ""
                for text in response.iter_text():
                    *whole, rest = (rest + text).split("\n")
                    yield from (f"{line}\n" for line in whole)
                if rest:
                    yield rest
        except httpx.HTTPError as exc:
            raise ClientError(f"cannot ask the collector at {self._url}: {exc}") from exc

    def tail(self, parameters: Parameters, hearing: Hearing) -> Iterator[Row]:
        """History and then what arrives, without end: each row once, also over a restart of the collector.

        The first connection must succeed, or `ClientError`; later ones are tried again, at most 5 s apart, and
        `ClientError` says where to go on when there is none for GIVE_UP_S.
        """
        position: int | None = None
        retry_s = FIRST_RETRY_S
        heard_s = time.monotonic()
        while True:
            asked = dict(parameters) if position is None else {**parameters, "after": position}
            try:
                cause = "the collector closed the connection"
                with httpx_sse.connect_sse(self._http, "GET", "/tail", params=asked) as source:
                    raise_for_refusal(source.response)
                    if position is not None:
                        hearing.back(position)
                    begun_s, before_s = time.monotonic(), retry_s
                    for event in source.iter_sse():
                        if event.event == "end":
                            cause = json.loads(event.data)["detail"]
                            if time.monotonic() - begun_s < LAST_RETRY_S:
                                retry_s = before_s
                            break
                        retry_s, heard_s = FIRST_RETRY_S, time.monotonic()
                        if event.id:
                            position = int(event.id)
                        if event.event == "row":
                            yield json.loads(event.data)
                        elif event.event == "status":
                            hearing.status(json.loads(event.data))
                        elif event.event == "skipped":
                            hearing.skipped(json.loads(event.data))
            except RefusedError as exc:
                if position is None or exc.refusal.status not in FOR_NOW:
                    raise
                cause = str(exc)
            except (httpx.HTTPError, httpx_sse.SSEError) as exc:
                if position is None:
                    raise ClientError(f"cannot reach the collector at {self._url}: {exc}") from exc
                cause = str(exc)
            if position is None:
                raise ClientError(f"cannot tail at {self._url}: {cause}")
            if time.monotonic() - heard_s > GIVE_UP_S:
                raise ClientError(
                    f"cannot tail at {self._url}: nothing for {GIVE_UP_S:g} s, at last for this: {cause};"
                    f" what came so far ends with row {position}"
                )
            hearing.away(f"{cause}; trying again")
            time.sleep(retry_s)
            retry_s = min(2 * retry_s, LAST_RETRY_S)

    def _get(self, path: str, parameters: Parameters, timeout: httpx.Timeout | None = None) -> Any:
        try:
            response = self._http.get(path, params=dict(parameters), timeout=timeout or self._http.timeout)
            raise_for_refusal(response)
            return response.json()
        except (httpx.HTTPError, ValueError) as exc:  # ValueError: what is there speaks no JSON
            raise ClientError(f"cannot ask the collector at {self._url}: {exc}") from exc


def raise_for_refusal(response: httpx.Response) -> None:
    """`RefusedError` with the collector's own words; the body of an asynchronous response must have been read."""
    if response.is_success:
        return
    response.read()
    refusal = Refusal(response.status_code)
    try:
        said = response.json()
        detail = said["detail"]
        if isinstance(detail, list):  # FastAPI's own checks: one entry a parameter
            detail = "; ".join(f"{entry['loc'][-1]}: {entry['msg']}" for entry in detail)
        code, column, expected = said.get("code"), said.get("column"), said.get("expected", ())
        refusal = Refusal(response.status_code, code, column, tuple(map(str, expected)))
    except (ValueError, KeyError, TypeError, AttributeError):
        detail = f"{response.status_code} {response.text[:200]}"
    raise RefusedError(f"the collector refuses: {detail}", refusal)
