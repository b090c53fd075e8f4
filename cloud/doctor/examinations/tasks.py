"""Instances with a task_state that nobody goes on with, for longer than the task could take."""

from collections.abc import Iterator

from cloud.doctor.bounds import Bounds
from cloud.doctor.finding import Finding, Kind
from cloud.doctor.host_remedies import ASKED_AGAIN, AskAgain, EndBuild
from cloud.doctor.remedy import Remedy
from cloud.doctor.row_remedies import ClearTask, DeleteRow
from cloud.doctor.survey import SeenInstance, Survey
from cloud.domain.instance import TaskState, VmState

_OF_MIGRATIONS = frozenset(
    {
        TaskState.MIGRATING,
        TaskState.RESIZE_PREP,
        TaskState.RESIZE_MIGRATING,
        TaskState.RESIZE_MIGRATED,
        TaskState.RESIZE_FINISH,
        TaskState.RESIZE_CONFIRMING,
        TaskState.RESIZE_REVERTING,
    }
)
_OF_BUILDS = frozenset({TaskState.SCHEDULING, TaskState.NETWORKING, TaskState.SPAWNING})
_LONG = frozenset({TaskState.REBUILDING, TaskState.IMAGE_SNAPSHOT, TaskState.IMAGE_UPLOADING})
"""What a host works on for as long as a build may take."""


def examine_tasks(survey: Survey, bounds: Bounds) -> Iterator[Finding]:
    """Where a migration is in progress, that is what is told."""
    for instance in survey.instances.values():
        is_build = instance.vm_state is VmState.BUILDING
        if (instance.task_state is None and not is_build) or survey.is_moving(instance.uuid):
            continue
        bound = bounds.long_work if is_build or instance.task_state in _LONG else bounds.older_than
        if survey.taken_at - instance.updated_at >= bound:
            yield _left(survey, instance, bounds)


def _left(survey: Survey, instance: SeenInstance, bounds: Bounds) -> Finding:
    remedy, unmended = _remedy(survey, instance, bounds)
    what = f"its task_state is {instance.task_state or 'none'}, its vm_state {instance.vm_state}, and nobody goes on"
    return Finding(Kind.TASK_LEFT, instance.uuid, instance.host, what, instance.updated_at, remedy, unmended)


def _remedy(survey: Survey, instance: SeenInstance, bounds: Bounds) -> tuple[Remedy | None, str | None]:
    """One of the two: what mends it, or why nothing does."""
    task_state, host = instance.task_state, instance.host
    if task_state is TaskState.DELETING and host is None:
        return _remedy_of_deletion(survey, instance)
    if instance.vm_state is VmState.BUILDING and task_state is not TaskState.DELETING:
        if not bounds.build_timeout:
            return None, "nothing: instance_build_timeout is 0, so that no build is given up; delete it"
        return EndBuild(instance.uuid), None
    if task_state in _OF_MIGRATIONS | _OF_BUILDS or host is None:
        return ClearTask(instance), None
    if host not in survey.guests:
        why = survey.silent.get(host, "it is no compute host")
        return None, f"nothing while {host} may be at it, and does not say ({why}); `nova reset-state` ends it"
    if task_state is not None and task_state in ASKED_AGAIN:
        return AskAgain(instance.uuid, host, task_state), None
    return ClearTask(instance, VmState.ERROR if task_state is TaskState.REBUILDING else None), None


def _remedy_of_deletion(survey: Survey, instance: SeenInstance) -> tuple[Remedy | None, str | None]:
    if instance.uuid in survey.places:
        return None, f"nothing while a guest of it is on {', '.join(survey.places[instance.uuid])}"
    if survey.silent:
        return None, f"nothing while hosts do not say whether they have it: {', '.join(sorted(survey.silent))}"
    return DeleteRow(instance), None
