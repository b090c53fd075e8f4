"""os-simple-tenant-usage: what projects have used of the cloud in a time, in hours of each resource."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse

from cloud.db.instances import Run
from cloud.errors import BadRequestError
from cloud.services.api.call import Call, TheCall
from cloud.services.api.times import moment, moment_or_none, read_time

router = APIRouter()

_PAGE = 1000
"""Instances that are read at a time: those of a whole cloud in a year may be many."""
MAX_SUMMED = 100_000
"""Instances of one answer: a second or two of reading. Of all projects, a shorter time or one project has fewer."""
MAX_SHOWN = 10_000
"""Instances of one answer that shows each of them: a few MB."""


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` until before `stop`, both UTC; `now` is when it is asked about."""

    start: datetime
    stop: datetime
    now: datetime

    @classmethod
    def of(cls, start: str | None, end: str | None, now: datetime) -> "Period":
        """As an address says it, now where it says nothing and never beyond; BadRequestError when it has no length."""
        period = cls(
            start=read_time("start", start) if start else now,
            stop=min(read_time("end", end), now) if end else now,
            now=now,
        )
        if not period.start < period.stop:
            raise BadRequestError("cannot use start: it is not before end, and before now")
        return period

    def hours_of(self, run: Run) -> float:
        """How much of it was within the period."""
        start = max(run.launched_at, self.start)
        stop = min(run.terminated_at or self.stop, self.stop)
        return max((stop - start).total_seconds(), 0.0) / 3600

    def includes(self, run: Run) -> bool:
        return run.launched_at < self.stop and (run.terminated_at is None or run.terminated_at > self.start)


@router.get("/os-simple-tenant-usage")
def list_usages(
    call: TheCall, start: str | None = None, end: str | None = None, detailed: str | None = None
) -> JSONResponse:
    """Of every project that used something, ordered by id; each server of theirs with `detailed=1`."""
    call.require("compute:usage:list")
    period = Period.of(start, end, datetime.now(UTC))
    is_detailed = detailed == "1"
    usages = usage_by_project(_runs(call, None, period, is_detailed=is_detailed), period, is_detailed=is_detailed)
    shown = [_view(usage, period, is_detailed=is_detailed) for _, usage in sorted(usages.items())]
    return JSONResponse({"tenant_usages": shown})


@router.get("/os-simple-tenant-usage/{project_id}")
def show_usage(call: TheCall, project_id: str, start: str | None = None, end: str | None = None) -> JSONResponse:
    """Of one project, with its servers; empty where it used nothing."""
    call.require("compute:usage:show", project_id)
    period = Period.of(start, end, datetime.now(UTC))
    runs = _runs(call, project_id, period, is_detailed=True)
    usage = usage_by_project(runs, period, is_detailed=True).get(project_id)
    return JSONResponse({"tenant_usage": {} if usage is None else _view(usage, period, is_detailed=True)})


@dataclass(slots=True)
class ProjectUsage:
    """The sums of one project, as they grow."""

    project_id: str
    servers: list[dict[str, Any]] = field(default_factory=list)
    """Each of its own, where they were asked for."""
    hours: float = 0.0
    memory_mb_hours: float = 0.0
    vcpu_hours: float = 0.0
    local_gb_hours: float = 0.0

    def add(self, run: Run, period: Period) -> float:
        """Its hours within the period, which are in the sums now."""
        hours = period.hours_of(run)
        self.hours += hours
        self.memory_mb_hours += hours * run.memory_mb
        self.vcpu_hours += hours * run.vcpus
        self.local_gb_hours += hours * (run.root_gb + run.ephemeral_gb)
        return hours


def usage_by_project(runs: Iterable[Run], period: Period, *, is_detailed: bool) -> Mapping[str, ProjectUsage]:
    """Of each project that has any, with its servers if it is detailed."""
    usages: dict[str, ProjectUsage] = {}
    for run in runs:
        if period.includes(run):
            usage = usages.setdefault(run.project_id, ProjectUsage(run.project_id))
            hours = usage.add(run, period)
            if is_detailed:
                usage.servers.append(_server_view(run, hours, period.now))
    return usages


def _runs(call: Call, project_id: str | None, period: Period, *, is_detailed: bool) -> Iterator[Run]:
    """Of the period, by id; BadRequestError when they are more than an answer may be made of."""
    most, count, after = MAX_SHOWN if is_detailed else MAX_SUMMED, 0, None
    while True:
        page = call.parts.instances.runs(period.start, period.stop, project_id=project_id, after=after, limit=_PAGE)
        count += len(page)
        if count > most:
            raise BadRequestError(f"cannot sum usage: more than {most} servers ran then; ask for a shorter time")
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1]


def _view(usage: ProjectUsage, period: Period, *, is_detailed: bool) -> dict[str, Any]:
    return {
        "tenant_id": usage.project_id,
        "start": moment(period.start),
        "stop": moment(period.stop),
        "total_hours": usage.hours,
        "total_memory_mb_usage": usage.memory_mb_hours,
        "total_vcpus_usage": usage.vcpu_hours,
        "total_local_gb_usage": usage.local_gb_hours,
        **({"server_usages": usage.servers} if is_detailed else {}),
    }


def _server_view(run: Run, hours: float, now: datetime) -> dict[str, Any]:
    return {
        "instance_id": run.uuid,
        "name": run.display_name,
        "tenant_id": run.project_id,
        "flavor": run.flavor_name,
        "memory_mb": run.memory_mb,
        "vcpus": run.vcpus,
        "local_gb": run.root_gb + run.ephemeral_gb,
        "hours": hours,
        "started_at": moment(run.launched_at),
        "ended_at": moment_or_none(run.terminated_at),
        "state": "terminated" if run.terminated_at is not None else run.vm_state,
        "uptime": int(((run.terminated_at or now) - run.launched_at).total_seconds()),
    }
