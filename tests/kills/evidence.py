"""What a cloud shows of an instance that has moved: database, hypervisors, nova-api, collector and doctor."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from sqlalchemy import select

from bench.sim.checks import State, read_state
from cloud.db.migration_rows import MIGRATION_COLUMNS, migration_of
from cloud.db.models import InstanceActionRow, InstanceEventRow, MigrationRow
from cloud.doctor.bounds import Bounds
from cloud.doctor.examinations import examine
from cloud.doctor.surveyor import Surveyor
from cloud.domain.migration import Migration, MigrationStatus
from cloud.services.compute.client import ComputeClient
from tests.kills.judge import Found
from tests.kills.site import SHARING, STATE_PATH, Site

VERSION = "2.30"
MAX_ROWS = 1000
BOUNDS = Bounds(timedelta(0), timedelta(seconds=1))
"""Nothing is under way any more when the doctor looks."""

Value = TypeVar("Value")


class Evidence:
    """All of one moment."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._state = read_state(site.database, site.hosts_directory, STATE_PATH)
        survey = Surveyor(site.tables, ComputeClient(site.client), lambda: datetime.now(UTC)).look()
        self._findings = examine(survey, BOUNDS)
        self._silent = [f"{host} does not answer: {survey.silent[host]}" for host in sorted(survey.unanswered)]

    def of(self, uuid: str) -> Found:
        """KeyError or ValueError for an instance that is not there."""
        site = self._site
        [newest] = site.api.get(f"/os-migrations?instance_uuid={uuid}&limit=1", version=VERSION)["migrations"]
        migration = self._migration(int(newest["id"]))
        rows = site.collector.rows({"instance": uuid, "n": MAX_ROWS})
        findings = [f"{each.kind} on {each.host}: {each.what}" for each in self._findings if each.instance == uuid]
        return Found(
            migration=migration,
            state=self._state_of(uuid, migration),
            told=newest,
            server=site.api.get(f"/servers/{uuid}", version=VERSION)["server"],
            events={row["event"] for row in rows if row.get("event")},
            open_actions=self._open_actions(uuid),
            asides=[host for host in self._hosts if self._place(host, "aside", uuid).exists()],
            remains=self._remains(uuid),
            disks=self._disks(uuid),
            findings=[*findings, *self._silent],
        )

    def _migration(self, migration_id: int) -> Migration:
        wanted = select(*MIGRATION_COLUMNS).where(MigrationRow.id == migration_id)
        with self._site.database.reading() as session:
            return migration_of(session.execute(wanted).one())

    @property
    def _hosts(self) -> Sequence[str]:
        """That have power."""
        layout = self._site.machine.settings.layout
        return [host for host in layout.compute_hosts if host not in self._site.failed]

    def _state_of(self, uuid: str, migration: Migration) -> State:
        state = self._state
        [place] = [each for each in state.instances if each.uuid == uuid]
        if migration.status is MigrationStatus.FINISHED and migration.source_compute != place.host:
            place = replace(place, kept={migration.source_compute: migration.old_flavor.resources})
        guests = {
            host: power_state
            for host, power_state in state.guests.get(uuid, {}).items()
            if host not in self._site.failed or host == place.host
        }
        return State([place], _only(state.claims, uuid), _only(state.addresses, uuid), {uuid: guests} if guests else {})

    def _open_actions(self, uuid: str) -> Sequence[str]:
        wanted = (
            select(InstanceEventRow.event)
            .join(InstanceActionRow, InstanceActionRow.id == InstanceEventRow.action_id)
            .where(InstanceActionRow.instance_uuid == uuid, InstanceEventRow.finished_at.is_(None))
        )
        with self._site.database.reading() as session:
            return list(session.scalars(wanted))

    def _remains(self, uuid: str) -> Sequence[str]:
        directories = [self._place(host, kind, uuid) for host in self._hosts for kind in ("arrivals", "departed")]
        incoming = self._shared_disks.glob(f".half-*{uuid}*")
        return [
            str(path.relative_to(self._site.machine.directory)) for path in (*directories, *incoming) if path.exists()
        ]

    def _disks(self, uuid: str) -> Collection[str]:
        """On shared storage it is the host's that has the guest."""
        [place] = [each for each in self._state.instances if each.uuid == uuid]
        if place.host in SHARING:
            return [place.host] if (self._shared_disks / uuid / "disk").exists() else []
        return self._hosts_with_guest(uuid, place.host)

    def _hosts_with_guest(self, uuid: str, named: str | None) -> Sequence[str]:
        hosts = {*self._hosts, *([named] if named is not None else [])}
        return sorted(host for host in hosts if (self._place(host, "instances", uuid) / "disk").exists())

    def _place(self, host: str, kind: str, uuid: str) -> Path:
        return self._site.state_path(host) / kind / uuid

    @property
    def _shared_disks(self) -> Path:
        return self._site.machine.directory / "shared-disks"


def _only(values: Mapping[str, Value], uuid: str) -> Mapping[str, Value]:
    return {uuid: values[uuid]} if uuid in values else {}
