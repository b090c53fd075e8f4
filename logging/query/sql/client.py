"""The client's side: a statement to a collector, and its answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cloud.logs.query.access.client_key import ClientKeyError, connection
from cloud.logs.query.client import CONNECT_TIMEOUT_S, ClientError, raise_for_refusal

WAIT_S = 40.0
"""Beside the statement's own time: for its turn, and for its process to start."""


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    """Rows by position of the columns, of which several may have one name."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    is_cut: bool
    """Whether there are more."""
    left_out: int
    """Rows that are stored and could not be looked at."""


def ask(url: str, statement: str, *, max_rows: int, deadline_s: float, key_file: Path | None = None) -> SqlAnswer:
    """What the collector answers; `ClientError` with its own words."""
    base = url.rstrip("/")
    timeout = httpx.Timeout(deadline_s + WAIT_S, connect=CONNECT_TIMEOUT_S)
    body = {"statement": statement, "max_rows": max_rows, "deadline_s": deadline_s}
    try:
        with httpx.Client(base_url=f"{base}/api/v1", timeout=timeout, **connection(base, key_file)) as http:
            response = http.post("/sql", json=body)
            raise_for_refusal(response)
            content = response.json()
            names = [column["name"] for column in content["columns"]]
            return SqlAnswer(names, content["rows"], content["is_cut"], int(response.headers.get("X-Left-Out", 0)))
    except ClientKeyError as exc:
        raise ClientError(str(exc)) from exc
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as exc:
        raise ClientError(f"cannot ask the collector at {base}: {exc}") from exc
