"""`/api/v1/hosts`: who sends, since when not any more, how late, and with what gaps."""

import threading
import time as clock
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from cloud.logs.collector.lag import oldest_s
from cloud.logs.query.access.principal import OwnLines, allowed
from cloud.logs.query.counting import Asked
from cloud.logs.query.hosts import Accounts
from cloud.logs.query.hosts import hosts as find_hosts
from cloud.logs.query.limit import Limit
from cloud.logs.query.routes.question import DeadlineS, Since, TheReaders, TheStore, Until, answer, moment, times
from cloud.logs.query.search import DEADLINE_S
from cloud.logs.query.time_range import TimeRange, read_time

MAX_GAPS = 100

router = APIRouter(prefix="/api/v1", dependencies=[Depends(allowed("hosts:read"))], tags=["hosts"])


class HostsAnswer(BaseModel):
    """Those that were silent for the longest time first."""

    hosts: list[dict[str, Any]]
    lag_s: float = Field(description="The age of the oldest line that is received and not stored yet.")
    is_partial: bool = Field(
        description="Whether the deadline came first, or a file was damaged: only lines that arrived since `reached`."
    )
    reached: str | None
    since: str | None
    until: str | None
    clock: str

    model_config = {
        "json_schema_extra": {
            "example": {
                "hosts": [
                    {
                        "name": "compute-01",
                        "lines": 4711,
                        "errors": 3,
                        "last_seen": "2027-01-15T12:00:00Z",
                        "silent_s": 3.2,
                        "skew_s": -0.002,
                        "dropped": 0,
                        "missing": 2,
                        "unclosed": 0,
                        "gaps": [["4c9ad5a8-5b65-4a35-a0d5-5a7f5a3a2f0e", 17, 18]],
                        "services": {"nova-compute": "2027-01-15T12:00:00Z"},
                    }
                ],
                "lag_s": 0.1,
                "is_partial": False,
                "reached": "2027-01-14T12:00:00Z",
                "since": "2027-01-14T12:00:00Z",
                "until": None,
                "clock": "observed",
            }
        }
    }


@router.get("/hosts", response_model=HostsAnswer)
async def hosts(
    own: OwnLines,
    store: TheStore,
    readers: TheReaders,
    request: Request,
    since: Since = "24h",
    until: Until = None,
    max_gaps: Annotated[int, Query(ge=0, le=MAX_GAPS, description="How many are listed of each host.")] = 10,
    deadline_s: DeadlineS = DEADLINE_S,
) -> Response:
    """When each host was last heard of, how its clock stands, and which of its lines are missing.

    `lines`, `errors` (err and worse) and `services` are of the time range: of each service when it was last heard of.
    """
    now = datetime.now(UTC)
    time = TimeRange(read_time(since, now), read_time(until, now) if until else None)
    state = request.app.state

    def read(gone: threading.Event) -> Response:
        accounts = Accounts(state.hosts.seen(), state.accounts.report())
        found = find_hosts(store, Asked(own, time, Limit.after(deadline_s, gone)), accounts, max_gaps)
        now_s = clock.time()
        listed = [
            {
                **asdict(host),
                "last_seen": moment(host.last_seen),
                "services": {name: moment(seen) for name, seen in sorted(host.services.items())},
                "silent_s": None if host.last_seen is None else round(max(0.0, now_s - host.last_seen.timestamp()), 3),
            }
            for host in found.hosts
        ]
        content = {
            "hosts": listed,
            "lag_s": oldest_s(state.inbox, int(now_s * 1e6)),
            "is_partial": found.is_partial,
            "reached": moment(found.reached),
            **times(time),
        }
        return answer(content, len(listed))

    return await readers.run(request, read)
