"""Looks at all that there is, page by page and host by host -> a survey."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from cloud.db.batches import MAX_PARAMETERS
from cloud.db.hosts import COMPUTE_BINARY
from cloud.db.instances import InstanceQuery
from cloud.db.migration_records import NOT_ENDED, MigrationQuery
from cloud.doctor.survey import SeenInstance, Survey
from cloud.domain.instance import Instance, PowerState
from cloud.domain.migration import Migration
from cloud.domain.service import Service
from cloud.errors import CloudError
from cloud.rpc.errors import BusUnavailableError, NoSuchMethodError
from cloud.services.conductor.tables import Tables
from cloud.virt.keeping import KeptCopy

PAGE = 1000
"""Rows that are read at a time."""
HOSTS_AT_A_TIME = 16
HOST_TIMEOUT_S = 10.0
OF_ANOTHER_PROCESS = (ValueError, TypeError, LookupError, OSError)
"""What a defect of a host may come to here as, and what its answer may be for if it is of another version."""

MAX_HISTORY = 20
"""Migrations of one instance that are looked at, the last ones."""

Guests = Mapping[str, PowerState]
Answer = tuple[Guests, Sequence[KeptCopy] | None]
"""Of one host; it may be of a version that does not say which copies it keeps."""


class Hosts(Protocol):
    """Who knows what hypervisors have; ComputeClient is one."""

    def list_guests(self, host: str, *, timeout_s: float) -> Guests: ...

    def list_kept_copies(self, host: str, *, timeout_s: float) -> Sequence[KeptCopy]: ...


class _Numbered(Protocol):
    @property
    def id(self) -> int: ...


Row = TypeVar("Row", bound=_Numbered)


@dataclass(frozen=True, slots=True)
class Surveyor:
    """It changes nothing."""

    tables: Tables
    hosts: Hosts
    now: Callable[[], datetime]
    host_timeout_s: float = HOST_TIMEOUT_S
    """For one host to say what it has."""

    def look(self) -> Survey:
        """DatabaseUnavailableError or BusUnavailableError where nothing can be asked; a silent host is no error."""
        # In this order: what is claimed, allocated or spawned has its instance before and after, so that what comes
        # meanwhile is not missed. What goes meanwhile is seen to be gone by whoever looks a second time.
        taken_at = self.now()
        claims = tuple(_pages(self.tables.claims.page))
        allocations = tuple(_pages(self.tables.fixed_ips.page))
        services = self.tables.services.all(binary=COMPUTE_BINARY)
        answers, unanswered = self._ask_hosts(service.host for service in services if service.is_up)
        guests = {host: found for host, (found, _) in answers.items()}
        copies = {host: found for host, (_, found) in answers.items() if found is not None}
        migrations = tuple(self._migrations())
        instances = {instance.uuid: SeenInstance.of(instance) for instance in self._instances()}
        copied = {copy.uuid for found in copies.values() for copy in found}
        unknown = copied.union(*guests.values()) - instances.keys()
        nodes = self.tables.compute_nodes.all()
        return Survey(
            taken_at=taken_at,
            instances=instances,
            deleted={each.uuid: each.deleted_at for each in self._deleted(unknown) if each.deleted_at is not None},
            claims=claims,
            allocations=allocations,
            migrations=migrations,
            nodes={node.host: node.node for node in nodes},
            guests=guests,
            silent={**_down(services), **unanswered},
            unanswered=frozenset(unanswered),
            copies=copies,
            histories={uuid: self._history(uuid) for uuid in copied & instances.keys()},
            storages={node.host: node.storage_id for node in nodes},
        )

    def _ask_hosts(self, hosts: Iterable[str]) -> tuple[Mapping[str, Answer], Mapping[str, str]]:
        """What each has, and of those that do not answer, why."""
        with ThreadPoolExecutor(HOSTS_AT_A_TIME, thread_name_prefix="ask-host") as threads:
            # The context of the request goes along with each call; one context cannot be entered by two threads.
            asked = {host: threads.submit(copy_context().run, self._ask, host) for host in hosts}
        answers = {host: future.result() for host, future in asked.items()}
        return (
            {host: answer for host, answer in answers.items() if not isinstance(answer, Exception)},
            {host: str(answer) for host, answer in answers.items() if isinstance(answer, Exception)},
        )

    def _ask(self, host: str) -> Answer | Exception:
        """Without the bus there is no word on any host, so that nothing is known."""
        try:
            return self.hosts.list_guests(host, timeout_s=self.host_timeout_s), self._ask_for_copies(host)
        except BusUnavailableError:
            raise
        except (CloudError, *OF_ANOTHER_PROCESS) as exc:
            return exc

    def _ask_for_copies(self, host: str) -> Sequence[KeptCopy] | None:
        try:
            return self.hosts.list_kept_copies(host, timeout_s=self.host_timeout_s)
        except NoSuchMethodError:
            return None

    def _instances(self) -> Iterator[Instance]:
        marker: str | None = None
        while True:
            query = InstanceQuery(limit=PAGE, marker=marker, sort_keys=("id",), sort_dirs=("asc",))
            page = self.tables.instances.list(query)
            yield from page
            if len(page) < PAGE:
                return
            marker = page[-1].uuid

    def _deleted(self, uuids: Iterable[str]) -> Iterator[Instance]:
        wanted = sorted(uuids)
        for first in range(0, len(wanted), MAX_PARAMETERS):
            asked = wanted[first : first + MAX_PARAMETERS]
            yield from self.tables.instances.list(InstanceQuery(uuids=asked, is_deleted=True))

    def _history(self, uuid: str) -> Sequence[Migration]:
        return self.tables.migrations.list(MigrationQuery(instance_uuid=uuid, limit=MAX_HISTORY))

    def _migrations(self) -> Iterator[Migration]:
        marker: str | None = None
        while True:
            page = self.tables.migrations.list(MigrationQuery(statuses=NOT_ENDED, limit=PAGE, marker=marker))
            yield from page
            if len(page) < PAGE:
                return
            marker = page[-1].uuid


def _down(services: Iterable[Service]) -> dict[str, str]:
    """Hosts that are not asked, and why not."""
    down = (service for service in services if not service.is_up)
    return {each.host: "it is forced down" if each.is_forced_down else "it is down" for each in down}


def _pages(read: Callable[[int, int], Sequence[Row]]) -> Iterator[Row]:
    behind = 0
    while page := read(behind, PAGE):
        yield from page
        behind = page[-1].id
