"""From the lines that carry a migration's id to how each migration went, those that failed first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cloud.logs.events import EVACUATE, FAILED, MIGRATION, RESIZE, STARTED, Procedure
from cloud.logs.query.time_range import emitted_at
from cloud.logs.query.where import Where

ENDED = "migration ended"
"""What a conductor says last of each, with its status."""
FAILURES = ("error", "failed")
RUNNING = "running"
OF_MIGRATIONS = Where("migration IS NOT NULL")
_PROCEDURES = {procedure.name: procedure for procedure in (MIGRATION, RESIZE, EVACUATE)}
_REOPENING = {RESIZE.event("confirm", STARTED), RESIZE.event("revert", STARTED)}
"""A resize that is finished waits for one of these."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration, as far as its lines tell; None for what they do not."""

    id: str
    state: str
    """Its status in the line that ended it; else `failed` where a step did, and `running`."""
    type: str | None
    instance: str | None
    source: str | None
    dest: str | None
    request_id: str | None
    began: datetime
    last: datetime
    """Of its newest line: where it is over, its end."""
    step: str | None
    """The first one that failed, or else the last one that was heard of."""
    error: str | None

    @property
    def duration_s(self) -> float:
        return (self.last - self.began).total_seconds()


def migrations(rows: Sequence[dict[str, Any]]) -> list[Migration]:
    """Those that failed first, then those that are under way, then the others; within these the newest first."""
    by_id: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=emitted_at):
        by_id.setdefault(row["migration"], []).append(row)
    found = [_migration(migration_id, own) for migration_id, own in by_id.items() if _is_told(own)]
    found.sort(key=lambda each: each.began, reverse=True)
    found.sort(key=lambda each: 0 if each.state in FAILURES else 1 if each.state == RUNNING else 2)
    return found


def _is_told(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether there is more than lines that merely mention it."""
    return any(row["message"] == ENDED or _step_of(row) for row in rows)


def _migration(migration_id: str, rows: Sequence[dict[str, Any]]) -> Migration:
    ends = [place for place, row in enumerate(rows) if row["message"] == ENDED and _field(row, "status")]
    end = rows[ends[-1]] if ends else None
    if ends and any(row.get("event") in _REOPENING for row in rows[ends[-1] + 1 :]):
        rows_now, end = rows[ends[-1] + 1 :], None
    else:
        rows_now = rows
    failed = next((row for row in rows_now if (told := _step_of(row)) and told[1] == FAILED), None)
    state = str(_field(end, "status")) if end else "failed" if failed else RUNNING
    steps = [told[0] for row in rows_now if (told := _step_of(row))]
    is_bad = state in FAILURES
    error = next((text for row in (failed, end) if is_bad and row and (text := _field(row, "error"))), None)
    failed_step = _step_of(failed) if failed and is_bad else None
    return Migration(
        id=migration_id,
        state=state,
        type=_last(rows, "type") or next((_procedure_of(row) for row in rows if _procedure_of(row)), None),
        instance=next((row["instance"] for row in rows if "instance" in row), None),
        source=_last(rows, "source_compute"),
        dest=_last(rows, "dest_compute"),
        request_id=next((row["request_id"] for row in rows if "request_id" in row), None),
        began=emitted_at(rows[0])[0],
        last=emitted_at(end or rows[-1])[0],
        step=failed_step[0] if failed_step else next(reversed(steps), None),
        error=None if error is None else str(error),
    )


def _step_of(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """The step and suffix of an event of a procedure."""
    parts = str(row.get("event", "")).split(".")
    procedure: Procedure | None = _PROCEDURES.get(parts[0])
    return (parts[1], parts[2]) if procedure and len(parts) == 3 and parts[1] in procedure.steps else None


def _procedure_of(row: Mapping[str, Any]) -> str | None:
    return str(row["event"]).partition(".")[0] if _step_of(row) else None


def _field(row: Mapping[str, Any] | None, name: str) -> Any:
    return None if row is None else row.get("fields", {}).get(name)


def _last(rows: Sequence[Mapping[str, Any]], name: str) -> str | None:
    return next((str(value) for row in reversed(rows) if (value := _field(row, name)) is not None), None)
