"""Rows of migrations -> migrations, and what may be changed of one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Row

from cloud.db.bounds import changed_columns, check_values, flag, table_of, text, time
from cloud.db.models import MigrationRow
from cloud.domain.flavor import Flavor
from cloud.domain.instance import VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType

MAX_ERROR = 65_536
"""Characters of an error that are kept."""

_TABLE = table_of(MigrationRow)
_FIELDS = tuple(field.name for field in fields(Migration))
MIGRATION_COLUMNS = tuple(_TABLE.columns[name] for name in _FIELDS)
"""Of a row, all that Migration has, in the order of its fields."""


@dataclass(frozen=True, slots=True)
class NewMigration:
    """All that whoever asks for a migration decides of it; the fields are those of Migration."""

    instance_uuid: str
    type: MigrationType
    request_id: str | None
    source_compute: str
    source_node: str | None
    old_flavor: Flavor
    new_flavor: Flavor
    old_vm_state: VmState
    options: Mapping[str, Any] = field(default_factory=dict)
    dest_compute: str | None = None
    status: MigrationStatus = MigrationStatus.ACCEPTED


def new_row(new: NewMigration, now: datetime) -> dict[str, Any]:
    return {
        "uuid": str(uuid4()),
        "instance_uuid": new.instance_uuid,
        "type": new.type,
        "status": new.status,
        "request_id": new.request_id,
        "source_compute": new.source_compute,
        "source_node": new.source_node,
        "dest_compute": new.dest_compute,
        "old_flavor": new.old_flavor.as_dict(),
        "new_flavor": new.new_flavor.as_dict(),
        "old_vm_state": new.old_vm_state,
        "options": dict(new.options),
        "is_undoing": False,
        "is_handed_over": False,
        "is_abort_wanted": False,
        "is_force_complete_wanted": False,
        "progress": 0,
        "created_at": now,
        "updated_at": now,
    }


def migration_of(row: Row[Any]) -> Migration:
    """One row of MIGRATION_COLUMNS."""
    values = dict(zip(_FIELDS, row, strict=True))
    return Migration(
        **values
        | {
            "type": MigrationType(values["type"]),
            "status": MigrationStatus(values["status"]),
            "old_flavor": Flavor.from_dict(values["old_flavor"]),
            "new_flavor": Flavor.from_dict(values["new_flavor"]),
            "old_vm_state": VmState(values["old_vm_state"]),
        }
    )


def changed_migration(migration_id: int, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes by column; ValueError for one that is none."""
    values = changed_columns(MigrationRow, f"migration {migration_id}", changes, _CONVERSIONS)
    check_values(MigrationRow, values)
    return values


def has(name: str, value: object) -> ColumnElement[bool]:
    """Whether a field has that value; ValueError for one that is not compared."""
    if name not in COMPARABLE:
        raise ValueError(f"cannot compare a migration's {name}")
    column = _TABLE.columns[name]
    return column.is_(None) if value is None else column == value


_BYTES = tuple(f"{what}_{part}_bytes" for what in ("memory", "disk") for part in ("total", "processed", "remaining"))
_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "status": MigrationStatus,
        "request_id": text,
        "source_node": text,
        "dest_compute": text,
        "dest_node": text,
        "dest_host": text,
        "options": dict,
        "step": text,
        "is_undoing": flag,
        "is_handed_over": flag,
        "destination": dict,
        "progress": int,
        **dict.fromkeys(_BYTES, int),
        "downtime_ms": int,
        "error": lambda value: text(value)[:MAX_ERROR],
        "owner": text,
        "transfer_began_at": time,
        "uncertain_since": time,
        "due_at": time,
    }
)
CHANGEABLE = frozenset(_CONVERSIONS)
"""The fields of Migration that are changed."""
COMPARABLE = frozenset(
    {
        "status",
        "request_id",
        "dest_compute",
        "step",
        "is_undoing",
        "is_handed_over",
        "is_abort_wanted",
        "owner",
        "updated_at",
    }
)
"""Those that may be compared before a change."""
