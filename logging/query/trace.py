"""From a request id to the lines of all its hosts, by the emitters' clocks, and how long each service took."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cloud.logs.emit.levels import SEVERITIES
from cloud.logs.query.language.needs import holding
from cloud.logs.query.time_range import emitted_at
from cloud.logs.query.where import Where

ERR = SEVERITIES.index("err")


@dataclass(frozen=True, slots=True)
class Part:
    """What one service on one host did for the request: from its first line to its last."""

    host: str | None
    service: str | None
    began: datetime
    ended: datetime
    lines: int
    errors: int

    @property
    def duration_s(self) -> float:
        return (self.ended - self.began).total_seconds()


@dataclass(frozen=True, slots=True)
class Trace:
    """The lines of one request, none where there are none; the parts by when they began."""

    rows: Sequence[dict[str, Any]]
    parts: Sequence[Part]

    @property
    def duration_s(self) -> float:
        """By clocks of several hosts, which need not agree."""
        if not self.parts:
            return 0.0
        return (max(part.ended for part in self.parts) - self.parts[0].began).total_seconds()


def of_request(request_id: str) -> Where:
    return Where("request_id = $request_id", {"request_id": request_id}, holding(request_id))


def trace(rows: Sequence[dict[str, Any]]) -> Trace:
    """What the lines of one request tell."""
    ordered = sorted(rows, key=emitted_at)
    places: dict[tuple[str | None, str | None], list[dict[str, Any]]] = {}
    for row in ordered:
        places.setdefault((row.get("hostname"), row.get("app_name")), []).append(row)
    return Trace(ordered, [_part(host, service, own) for (host, service), own in places.items()])


def _part(host: str | None, service: str | None, rows: Sequence[dict[str, Any]]) -> Part:
    errors = sum(SEVERITIES.index(row["severity"]) <= ERR for row in rows)
    return Part(host, service, emitted_at(rows[0])[0], emitted_at(rows[-1])[0], len(rows), errors)
