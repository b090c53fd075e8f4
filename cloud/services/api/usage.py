"""os-simple-tenant-usage: what projects have used of the cloud in a time, in hours of each resource."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse

from cloud.db.instance_query import InstanceQuery
from cloud.domain.instance import Instance
from cloud.errors import BadRequestError
from cloud.services.api.call import Call, TheCall
from cloud.services.api.times import moment, moment_or_none, read_time

router = APIRouter()

_PAGE = 1000
"""Instances that are read at a time: those of a whole cloud in a year may be many."""


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

    def hours_of(self, instance: Instance) -> float:
        """How long it ran within the period."""
        if instance.launched_at is None:
            return 0.0
        start = max(instance.launched_at, self.start)
        stop = min(instance.terminated_at or self.stop, self.stop)
        return max((stop - start).total_seconds(), 0.0) / 3600

    def includes(self, instance: Instance) -> bool:
        launched_at, terminated_at = instance.launched_at, instance.terminated_at
        is_begun = launched_at is not None and launched_at < self.stop
        return is_begun and (terminated_at is None or terminated_at > self.start)


@router.get("/os-simple-tenant-usage")
def list_usages(
    call: TheCall, start: str | None = None, end: str | None = None, detailed: str | None = None
) -> JSONResponse:
    """Of every project that used something, ordered by id; each server of theirs with `detailed=1`."""
    call.require("compute:usage:list")
    period = Period.of(start, end, datetime.now(UTC))
    usages = usage_by_project(_instances(call, None, period), period)
    shown = [_view(usage, period, is_detailed=detailed == "1") for _, usage in sorted(usages.items())]
    return JSONResponse({"tenant_usages": shown})


@router.get("/os-simple-tenant-usage/{project_id}")
def show_usage(call: TheCall, project_id: str, start: str | None = None, end: str | None = None) -> JSONResponse:
    """Of one project, with its servers; empty where it used nothing."""
    call.require("compute:usage:show", project_id)
    period = Period.of(start, end, datetime.now(UTC))
    usage = usage_by_project(_instances(call, project_id, period), period).get(project_id)
    return JSONResponse({"tenant_usage": {} if usage is None else _view(usage, period, is_detailed=True)})


@dataclass(slots=True)
class ProjectUsage:
    """The sums of one project, as they grow."""

    project_id: str
    servers: list[dict[str, Any]]
    hours: float = 0.0
    memory_mb_hours: float = 0.0
    vcpu_hours: float = 0.0
    local_gb_hours: float = 0.0

    def add(self, instance: Instance, period: Period) -> None:
        hours, resources = period.hours_of(instance), instance.flavor.resources
        self.hours += hours
        self.memory_mb_hours += hours * resources.memory_mb
        self.vcpu_hours += hours * resources.vcpus
        self.local_gb_hours += hours * resources.disk_gb
        self.servers.append(_server_view(instance, hours, period.now))


def usage_by_project(instances: Iterable[Instance], period: Period) -> Mapping[str, ProjectUsage]:
    usages: dict[str, ProjectUsage] = {}
    for instance in instances:
        if period.includes(instance):
            project_id = instance.project_id
            usages.setdefault(project_id, ProjectUsage(project_id, [])).add(instance, period)
    return usages


def _instances(call: Call, project_id: str | None, period: Period) -> Iterator[Instance]:
    """Those that are there, and those that were deleted since the period began."""
    for is_deleted, changes_since in ((False, None), (True, period.start)):
        marker = None
        while True:
            query = InstanceQuery(
                project_id=project_id,
                is_deleted=is_deleted,
                changes_since=changes_since,
                sort_keys=("id",),
                sort_dirs=("asc",),
                marker=marker,
                limit=_PAGE,
            )
            page = call.parts.instances.list(query)
            yield from page
            if len(page) < _PAGE:
                break
            marker = page[-1].uuid


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


def _server_view(instance: Instance, hours: float, now: datetime) -> dict[str, Any]:
    resources = instance.flavor.resources
    launched_at = instance.launched_at or now
    ended_at = instance.terminated_at
    return {
        "instance_id": instance.uuid,
        "name": instance.display_name,
        "tenant_id": instance.project_id,
        "flavor": instance.flavor.name,
        "memory_mb": resources.memory_mb,
        "vcpus": resources.vcpus,
        "local_gb": resources.disk_gb,
        "hours": hours,
        "started_at": moment(launched_at),
        "ended_at": moment_or_none(ended_at),
        "state": "terminated" if ended_at is not None else instance.vm_state,
        "uptime": int(((ended_at or now) - launched_at).total_seconds()),
    }
