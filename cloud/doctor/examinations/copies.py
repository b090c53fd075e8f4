"""Copies that hosts keep against the instances that they are of: who waits for them, and who might miss them."""

from collections.abc import Iterator, Sequence

from cloud.doctor.bounds import Bounds
from cloud.doctor.finding import Finding, Kind
from cloud.doctor.leftover_remedies import RemoveCopy, RemoveOutdated
from cloud.doctor.remedy import Destroys, Remedy
from cloud.doctor.survey import SeenInstance, Survey
from cloud.domain.instance import PowerState, VmState
from cloud.domain.migration import Migration, MigrationType
from cloud.virt.keeping import KeptCopy

_RESIZES = (MigrationType.RESIZE, MigrationType.COLD)


def examine_copies(survey: Survey, _bounds: Bounds) -> Iterator[Finding]:
    """All but those for which a resize waits, or that somebody works on."""
    for host in sorted(survey.copies):
        for copy in survey.copies[host]:
            instance = survey.instances.get(copy.uuid)
            if instance is None:
                yield _of_none(survey, host, copy)
            elif not copy.is_for_revert:
                yield _made_anew(survey, host, copy, instance)
            elif not _is_awaited(survey, host, copy):
                yield _of_a_resize(survey, host, copy, instance)


def _of_none(survey: Survey, host: str, copy: KeptCopy) -> Finding:
    if copy.uuid in survey.deleted:
        return _finding(host, copy, "its instance is deleted", RemoveCopy(host, copy))
    what = "the database has never had such an instance"
    return _finding(host, copy, what, RemoveCopy(host, copy, Destroys.COPY))


def _made_anew(survey: Survey, host: str, copy: KeptCopy, instance: SeenInstance) -> Finding:
    what = f"its instance, which is on {instance.host or 'no host'}, was made anew without it, or has another guest"
    remedy = RemoveCopy(host, copy, Destroys.COPY, instance, _state(survey, instance))
    return _finding(host, copy, what, remedy)


def _of_a_resize(survey: Survey, host: str, copy: KeptCopy, instance: SeenInstance) -> Finding:
    where = instance.host
    if where == host:
        what, unmended = "its instance is there and not started", "nothing: `nova reboot --hard` takes it back"
        return _finding(host, copy, f"a resize has set it aside, {what}", unmended=unmended)
    what = f"a resize has set it aside, and its instance is {instance.vm_state} on {where or 'no host'}"
    if instance.vm_state is VmState.ERROR:
        return _finding(
            host, copy, what, unmended="nothing while it is in error: `nova resize-revert` may take it back"
        )
    runs = survey.is_settled(instance) and _state(survey, instance) is PowerState.RUNNING
    if not runs:
        return _finding(host, copy, what, unmended="nothing while it does not run there: this may be the only one")
    if not _has_its_disk(survey.histories.get(copy.uuid, ()), host):
        what += ", where it may have been made anew without its disk"
        return _finding(host, copy, what, RemoveCopy(host, copy, Destroys.COPY, instance, PowerState.RUNNING))
    storages = {survey.storages.get(host), survey.storages.get(where or "")}
    return _finding(host, copy, what, RemoveOutdated(host, copy, instance, len(storages) == 1 or None in storages))


def _state(survey: Survey, instance: SeenInstance) -> PowerState | None:
    """Of its guest on its host; None where that has none, or does not say."""
    return survey.guests.get(instance.host or "", {}).get(instance.uuid)


def _is_awaited(survey: Survey, host: str, copy: KeptCopy) -> bool:
    """By a resize that waits to be confirmed or reverted, or that is on its way."""
    moves = survey.moves.get(copy.uuid, ())
    return any(host in (move.source_compute, move.dest_compute) for move in moves)


def _has_its_disk(history: Sequence[Migration], host: str) -> bool:
    """Whether every evacuation since that resize took the disk along; `history` is newest first."""
    for migration in history:
        if not migration.is_handed_over:
            continue  # it has moved nothing
        if migration.type in _RESIZES and host in (migration.source_compute, migration.dest_compute):
            return True
        if migration.type is MigrationType.EVACUATION and (migration.destination or {}).get("shares_disk") is not True:
            return False
    return False


def _finding(
    host: str, copy: KeptCopy, what: str, remedy: Remedy | None = None, *, unmended: str | None = None
) -> Finding:
    return Finding(
        Kind.COPY_KEPT,
        copy.uuid,
        host,
        f"{copy.name} is kept there with a disk of {copy.disk_bytes / (1 << 30):.1f} GB: {what}",
        copy.since,
        remedy,
        unmended,
        subject=copy.name,
    )
