"""How much a project may have: its own limits over those of nova.conf."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from oslo_config import cfg
from sqlalchemy import delete, select

from cloud.db.bounds import MAX_INTEGER, check_values
from cloud.db.engine import Database
from cloud.db.models import QuotaRow
from cloud.errors import BadRequestError

UNLIMITED = -1

DEFAULT_QUOTAS: Mapping[str, int] = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,
    "key_pairs": 100,
    "metadata_items": 128,
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
    "floating_ips": 10,
    "fixed_ips": UNLIMITED,
    "security_groups": 10,
    "security_group_rules": 20,
}
"""Every resource that has a limit; `ram` is in MiB, `key_pairs` are a user's."""

QUOTA_OPTIONS: Sequence[cfg.Opt] = tuple(
    cfg.IntOpt(
        f"quota_{resource}",
        default=default,
        min=UNLIMITED,
        max=MAX_INTEGER,
        help=f"How many {resource.replace('_', ' ')} a project may have that has no limit of its own; -1: any number.",
    )
    for resource, default in DEFAULT_QUOTAS.items()
)


def configured_quotas(conf: cfg.ConfigOpts) -> Mapping[str, int]:
    """The limits of nova.conf, by resource; QUOTA_OPTIONS have to be registered."""
    return {resource: conf[f"quota_{resource}"] for resource in DEFAULT_QUOTAS}


@dataclass(frozen=True, slots=True)
class QuotaLimits:
    """What a project's instances may take in all; -1: any number."""

    instances: int
    cores: int
    ram_mb: int

    @classmethod
    def of(cls, limits: Mapping[str, int]) -> Self:
        """Out of what `QuotaTable.limits` gave."""
        return cls(limits["instances"], limits["cores"], limits["ram"])


class QuotaTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does."""

    def __init__(
        self, database: Database, now: Callable[[], datetime], defaults: Mapping[str, int] = DEFAULT_QUOTAS
    ) -> None:
        self._database = database
        self._now = now
        self._defaults = dict(DEFAULT_QUOTAS) | dict(defaults)

    @property
    def defaults(self) -> Mapping[str, int]:
        """The limits of a project that has none of its own."""
        return self._defaults

    def limits(self, project_id: str) -> Mapping[str, int]:
        """The limit of every resource, in the order of DEFAULT_QUOTAS; -1: none."""
        own = select(QuotaRow.resource, QuotaRow.hard_limit).where(QuotaRow.project_id == project_id)
        with self._database.reading() as session:
            found = {resource: limit for resource, limit in session.execute(own) if resource in self._defaults}
        return self._defaults | found

    def set(self, project_id: str, limits: Mapping[str, int]) -> Mapping[str, int]:
        """Give the project limits of its own, beside those it has; all limits as they are then.

        BadRequestError for a resource that has no limit, and for a limit that is none.
        """
        for resource, limit in limits.items():
            if resource not in self._defaults:
                raise BadRequestError(f"cannot set quota {resource}: there is no such resource")
            if not UNLIMITED <= limit <= MAX_INTEGER:
                raise BadRequestError(f"cannot set quota {resource} to {limit}: it is from -1 to {MAX_INTEGER}")
        check_values(QuotaRow, {"project_id": project_id})
        with self._database.transaction() as session:
            for resource, limit in sorted(limits.items()):  # in one order, or two would wait for each other
                row = self._database.insert(QuotaRow).values(project_id=project_id, resource=resource, hard_limit=limit)
                session.execute(
                    row.on_conflict_do_update(index_elements=["project_id", "resource"], set_={"hard_limit": limit})
                )
        return self.limits(project_id)

    def delete(self, project_id: str) -> None:
        """Let nova.conf's limits hold again; no change for a project that has none of its own."""
        with self._database.transaction() as session:
            session.execute(delete(QuotaRow).where(QuotaRow.project_id == project_id))
