"""nova-conductor: the database on behalf of those who have none, the word on who is up, builds and moves."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from oslo_config import cfg

from cloud.domain.service import MAX_TEXT_LENGTH, Service, ServiceReport
from cloud.errors import DatabaseUnavailableError
from cloud.logs.emit import logger
from cloud.logs.emit.speaker import in_same_voice
from cloud.logs.events import SERVICE
from cloud.rpc.errors import BadMessageError
from cloud.rpc.methods import rpc_method
from cloud.rpc.options import configured_publisher
from cloud.rpc.topology import Target
from cloud.services.compute.client import ComputeClient, configured_timeouts
from cloud.services.conductor.addresses import AddressMethods
from cloud.services.conductor.build import BuildSteps, Services
from cloud.services.conductor.build_server import BuildMethods, BuildServer
from cloud.services.conductor.builder import Builder
from cloud.services.conductor.client import PAGE, ConductorClient
from cloud.services.conductor.instances import InstanceMethods
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.kinds import make_kinds
from cloud.services.conductor.moves.move import MoveServices
from cloud.services.conductor.moves.mover import Mover
from cloud.services.conductor.moves.server import MoveMethods, MoveServer
from cloud.services.conductor.moves.waiting import ConfirmWindow
from cloud.services.conductor.options import configured_limits, configured_patience
from cloud.services.conductor.own_queue import OwnWork
from cloud.services.conductor.tables import Tables
from cloud.services.conductor.whereabouts import WhereaboutsMethods
from cloud.services.manager import Manager, Parts
from cloud.services.network.client import NetworkClient
from cloud.services.network.options import Network, configured_network
from cloud.services.scheduler.client import SchedulerClient

OVERDUE_EVERY_S = 60.0


class ConductorManager(InstanceMethods, AddressMethods, WhereaboutsMethods, Manager):
    """Its methods have the names that ConductorClient calls; those of builds and moves, which it casts, have theirs."""

    def __init__(
        self,
        tables: Tables,
        *own_work: OwnWork[Any],
        network: Network = Network(),  # noqa: B008 - it is frozen
        settle_s: float = 0.0,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """No service is called down before reports could come in for `settle_s`: it was we who were away.

        `clock_s` gives monotonic seconds.
        """
        self._tables = tables
        self._own_work = own_work
        self._network = network
        self._settle_s = settle_s
        self._clock_s = clock_s
        self._hears_since_s = self._next_overdue_s = clock_s()

    def start(self) -> None:
        self._hears_since_s = self._next_overdue_s = self._clock_s()
        for work in self._own_work:
            work.server.start()

    def stop(self) -> None:
        stops = [
            threading.Thread(target=in_same_voice(work.server.stop), args=(work.stop_timeout_s,), daemon=True)
            for work in self._own_work
        ]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join()

    def report(self) -> None:
        """Say which services have gone up or down; now and then have work taken up that nobody goes on with.

        Not before those who go on with it could say so: the database may have been away for all.
        """
        is_settled = self._clock_s() - self._hears_since_s >= self._settle_s
        try:
            announced = self._tables.services.announce(says_down=is_settled)
            for work in self._own_work:
                work.say_alive()
        except DatabaseUnavailableError:
            self._hears_since_s = self._clock_s()
            raise
        for service in announced:
            _announce(service)
        if is_settled and self._clock_s() >= self._next_overdue_s:
            for work in self._own_work:
                for left in work.left():
                    work.take_up(left)
            self._next_overdue_s = self._clock_s() + OVERDUE_EVERY_S

    @rpc_method
    def report_service(self, report: Mapping[str, Any]) -> None:
        """Note that a service is alive."""
        try:
            read = ServiceReport.from_dict(report)
        except (TypeError, ValueError) as exc:
            raise BadMessageError(f"cannot read report: {exc}") from exc
        try:
            Target.of(read.binary, read.host)
        except ValueError as exc:
            raise BadMessageError(f"cannot take report: {exc}") from exc
        self._tables.services.report(read)

    @rpc_method
    def list_services(
        self, host: str | None = None, binary: str | None = None, after: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """Ordered by binary, then host; at most PAGE of them, those behind the pair `after`."""
        _check_texts(host=host, binary=binary)
        if after is not None and not (isinstance(after, list) and [type(part) for part in after] == [str, str]):
            raise BadMessageError("cannot list services: after is not a pair of binary and host")
        found = self._tables.services.all(host=host, binary=binary)
        if after is not None:
            found = tuple(service for service in found if [service.binary, service.host] > after)
        return [service.as_dict() for service in found[:PAGE]]

    @rpc_method
    def enable_service(self, host: str, binary: str) -> dict[str, Any]:
        """Let it be used again; ServiceNotFoundError when it has never reported."""
        _check_texts(host=host, binary=binary)
        service = self._tables.services.enable(host, binary)
        logger.bind(event=SERVICE.event("enable"), **_named(service)).info("service enabled")
        return service.as_dict()

    @rpc_method
    def disable_service(self, host: str, binary: str, reason: str | None = None) -> dict[str, Any]:
        """Let nothing new be put there; ServiceNotFoundError when it has never reported."""
        _check_texts(host=host, binary=binary, reason=reason)
        service = self._tables.services.disable(host, binary, reason)
        logger.bind(event=SERVICE.event("disable"), reason=reason, **_named(service)).info("service disabled")
        return service.as_dict()


def _check_texts(**texts: object) -> None:
    """BadMessageError for what no database stores: whoever asked is told, and our log has no defect to show."""
    for name, text in texts.items():
        if text is not None and not (isinstance(text, str) and len(text) <= MAX_TEXT_LENGTH and text.isprintable()):
            raise BadMessageError(f"a service's {name} is at most {MAX_TEXT_LENGTH} printable characters")


def _announce(service: Service) -> None:
    age_s = round((datetime.now(UTC) - service.updated_at).total_seconds(), 1)
    line = logger.bind(**_named(service), last_report=service.updated_at.isoformat(), age_s=age_s)
    if service.is_up:
        line.bind(event=SERVICE.event("up")).info("service is up")
    else:
        line.bind(event=SERVICE.event("down")).error("service is down")


def _named(service: Service) -> dict[str, str]:
    """Not `host`: that is whose work the line belongs to."""
    return {"service": service.binary, "service_host": service.host}


def make_manager(parts: Parts) -> ConductorManager:
    """The manager as `parts.conf` says."""
    if parts.database is None:
        raise ValueError("nova-conductor needs a database")
    conf, client = parts.conf, parts.client
    tables = Tables.of(parts.database, _now, down_after_s=conf.service_down_time)
    services = MoveServices(
        SchedulerClient(client), NetworkClient(client), ComputeClient(client, configured_timeouts(conf))
    )
    builds = _builds(conf, tables, services, ConductorClient(client))
    moves = _moves(conf, tables, services, ConductorClient(client))
    return ConductorManager(tables, builds, moves, network=configured_network(conf), settle_s=conf.service_down_time)


def _builds(
    conf: cfg.ConfigOpts, tables: Tables, services: MoveServices[ComputeClient], conductor: ConductorClient
) -> OwnWork[str]:
    asked = Services(services.scheduler, services.network, services.compute)
    builder = Builder(tables, BuildSteps(tables, asked, _now), configured_limits(conf), _now)
    methods = BuildMethods(builder)
    server = BuildServer(configured_publisher(conf), conf.host, methods, workers=conf.max_concurrent_builds)
    return OwnWork(server, builder.overdue, conductor.end_overdue_build, conf.graceful_shutdown_timeout)


def _moves(
    conf: cfg.ConfigOpts, tables: Tables, services: MoveServices[ComputeClient], conductor: ConductorClient
) -> OwnWork[int]:
    journal = Journal(tables)
    kinds = make_kinds(tables, services, journal, configured_patience(conf), _now)
    left_after = 3 * timedelta(seconds=OVERDUE_EVERY_S + conf.report_interval)  # three signs of life may be lost
    mover = Mover(tables, journal, kinds, _now, left_after=left_after)
    methods = MoveMethods(mover)
    server = MoveServer(configured_publisher(conf), conf.host, methods, workers=conf.max_concurrent_migrations)
    window = ConfirmWindow(tables, _now, window_s=conf.resize_confirm_window)

    def left() -> Iterator[int]:
        yield from mover.left()
        yield from window.begin_due()

    return OwnWork(server, left, conductor.move_instance, conf.graceful_shutdown_timeout, say_alive=mover.say_alive)


def _now() -> datetime:
    return datetime.now(UTC)
