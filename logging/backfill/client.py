"""The collector's HTTP API as backfill uses it: what is missing, the way in, the end of a run."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import httpx

from cloud.logs.collector.lines import MAX_RUN_RANGES, Run, RunState
from cloud.logs.query.access.client_key import ClientKeyError, connection
from cloud.logs.query.client import CONNECT_TIMEOUT_S, ClientError

ANSWER_TIMEOUT_S = 60.0  # the collector gives up on its store after 30 s, and on room for the lines after 10 s
RETRIES_S = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What the collector knows of a run; `gaps` are ranges (first, last) in order."""

    run: Run
    state: RunState
    last: int
    gaps: Sequence[tuple[int, int]]


class BackfillClient:
    """One collector. A busy one, or one that restarts after its first answer, is asked again for about 15 s."""

    def __init__(self, url: str, retries_s: Sequence[float] = RETRIES_S) -> None:
        self._url = url.rstrip("/")
        self._retries_s = retries_s
        self._has_answered = False
        try:
            self._http = httpx.Client(
                base_url=f"{self._url}/api/v1",
                timeout=httpx.Timeout(CONNECT_TIMEOUT_S, read=ANSWER_TIMEOUT_S, write=ANSWER_TIMEOUT_S),
                **connection(self._url),
            )
        except (httpx.InvalidURL, ClientKeyError) as exc:
            raise ClientError(f"cannot reach the collector at {url}: {exc}") from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def runs(self, host: str, *, in_flight: bool = False) -> dict[Run, RunStatus]:
        """All runs of a host that the collector knows, the oldest first."""
        parameters = {"host": host, "every": True, "in_flight": in_flight, "max_gaps": MAX_RUN_RANGES}
        found = self._ask("GET", "/gaps", params=parameters)
        statuses = (
            RunStatus(
                Run(each["host"], each["start"]),
                RunState(each["state"]),
                each["last"],
                [(gap["first"], gap["last"]) for gap in each["gaps"]],
            )
            for each in found
        )
        return {status.run: status for status in statuses}

    def send(self, run: Run, lines: Sequence[bytes], *, ended: bool) -> int:
        """Have lines of `run` stored; how many were not there before."""
        answer = self._ask(
            "POST",
            "/backfill",
            params={"host": run.host, "start": run.start, "ended": ended},
            content=b"".join(b"%d %s" % (len(line), line) for line in lines),
            headers={"Content-Type": "application/octet-stream"},
        )
        return int(answer["stored"])

    def close_run(self, run: Run, last: int) -> None:
        """Confirm that `run` ended with `last`; `ClientError` when the collector misses any of it."""
        self._ask("POST", "/runs/close", json={"host": run.host, "start": run.start, "last": last})

    def waive(self, run: Run, gaps: Sequence[tuple[int, int]]) -> None:
        """Have these numbers missed no more."""
        self._ask("POST", "/runs/waive", json={"host": run.host, "start": run.start, "gaps": gaps})

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        for wait_s in (*self._retries_s, None):
            try:
                response = self._http.request(method, path, **request)
                self._has_answered = True
                if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or wait_s is None:
                    return _answer(response)
            except (httpx.HTTPError, ValueError) as exc:  # ValueError: what is there speaks no JSON
                if wait_s is None or isinstance(exc, ValueError) or not self._has_answered:
                    raise ClientError(f"cannot ask the collector at {self._url}: {exc}") from exc
            time.sleep(wait_s)
        raise AssertionError  # the last turn returns or raises


def _answer(response: httpx.Response) -> Any:
    if response.is_success:
        return response.json()
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"{response.status_code} {response.text[:200]}"
    raise ClientError(f"the collector refuses: {detail}")
