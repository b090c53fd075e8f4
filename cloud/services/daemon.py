"""The life of every daemon: read its configuration, set up logging, serve the bus, report, stop on SIGTERM."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import click
from oslo_config import cfg

from cloud.domain.service import ServiceReport
from cloud.errors import DatabaseUnavailableError
from cloud.logs.emit import logger
from cloud.logs.emit.live_level import LiveLevel
from cloud.logs.emit.names import logger_name
from cloud.logs.emit.settings import log_settings
from cloud.logs.emit.setup import LogSetupError, set_up_logging
from cloud.logs.events import SERVICE
from cloud.rpc.brokers import BusUrlError
from cloud.rpc.client import RpcClient
from cloud.rpc.methods import methods_of
from cloud.rpc.options import configured_publisher
from cloud.rpc.publisher import Publisher
from cloud.rpc.server import RpcServer
from cloud.rpc.topology import Target
from cloud.services.conductor.client import ConductorClient
from cloud.services.configuration import ConfigurationError, read_configuration
from cloud.services.control import ControlEndpoint
from cloud.services.manager import MakeManager, Manager, ManagerError, Parts
from cloud.services.reporting import THREAD_NAME, Reports

if TYPE_CHECKING:
    from cloud.db.engine import Database

DEFAULT_CONFIG = Path("/etc/nova/nova.conf")
CLOSE_TIMEOUT_S = 1.0
"""For all that a stop takes beyond `graceful_shutdown_timeout`; whatever hangs then ends with the process."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """What makes one daemon differ from another."""

    binary: str
    make_manager: MakeManager
    has_database: bool = False
    """Whether it opens the database; all others report through nova-conductor."""
    zone_option: str = "internal_service_availability_zone"
    """The option that names its availability zone."""
    options: Mapping[str, Sequence[cfg.Opt]] = field(default_factory=dict)
    """Its own options, by the name of their section."""


def idle(_parts: Parts) -> Manager:
    """The manager of a daemon that does what every daemon does and no more."""
    return Manager()


def run_daemon(daemon: Daemon, files: Sequence[Path], host: str | None) -> int:
    """Run `daemon` until SIGTERM or SIGINT; the exit code, 1 when it could not start (said on stderr).

    Neither the bus nor the database has to be there: it works as soon as they are. A second signal changes nothing.
    Threads that still wait for them may be left when it returns.
    """
    with ExitStack() as stack:
        try:
            conf = _read(daemon, files, host)
            publisher = configured_publisher(conf)
            set_up_logging(log_settings(conf), service=daemon.binary, host=conf.host)
            database = _open_database(conf, stack) if daemon.has_database else None
            client = RpcClient(publisher, str(_target(daemon, conf)), timeout_s=conf.rpc_response_timeout)
            manager = _make_manager(daemon, Parts(conf, client, database))
        except (ConfigurationError, BusUrlError, LogSetupError, _StartError) as exc:
            print(f"{daemon.binary}: {exc}", file=sys.stderr)  # noqa: T201 - there is no log yet, or nobody reads it
            return 1
        # Not an Event: its lock may be held by the very code that the signal interrupts. SimpleQueue.put is reentrant.
        stops: SimpleQueue[int] = SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _frame: stops.put(received))
        _run(daemon, Parts(conf, client, database), publisher, manager, files, stops)
    return 0


def _target(daemon: Daemon, conf: cfg.ConfigOpts) -> Target:
    return Target.of(daemon.binary, conf.host)


def _run(
    daemon: Daemon,
    parts: Parts,
    publisher: Publisher,
    manager: Manager,
    files: Sequence[Path],
    stops: "SimpleQueue[int]",
) -> None:
    conf, client = parts.conf, parts.client
    target = _target(daemon, conf)
    level = LiveLevel(logging.getLogger("nova"))
    control = ControlEndpoint(target, client, level)
    server = RpcServer(publisher, target, methods_of(control, manager), workers=conf.rpc_workers)
    logging.getLogger(logger_name(RpcClient.__module__)).addFilter(_is_not_of_reports)
    reports = Reports(conf.report_interval, [_report(daemon, target, parts), manager.report])

    logger.bind(event=SERVICE.event("start"), config_files=", ".join(map(str, files))).info("service started")
    if conf.service_down_time <= conf.report_interval:
        logger.bind(service_down_time=conf.service_down_time, report_interval=conf.report_interval).warning(
            "services will be taken for down between two reports"
        )
    server.start()
    manager.start()
    reports.start()

    received = stops.get()

    drained: SimpleQueue[bool] = SimpleQueue()

    def put_down() -> None:
        reports.stop()
        drained.put(server.stop(conf.graceful_shutdown_timeout))
        reports.join()
        manager.stop()
        client.close()
        publisher.close()

    # In a thread, for each of these may wait for a bus that is silent, and their times add up.
    stopping = threading.Thread(target=put_down, name="stop", daemon=True)
    stopping.start()
    stopping.join(conf.graceful_shutdown_timeout + CLOSE_TIMEOUT_S)
    is_drained = not drained.empty() and drained.get()
    level.close()
    line = logger.bind(event=SERVICE.event("stop"), signal=signal.Signals(received).name, **asdict(server.stats()))
    if is_drained:
        line.info("service stopped")
    else:
        line.bind(graceful_shutdown_timeout_s=conf.graceful_shutdown_timeout).warning(
            "service stopped, requests were given up"
        )


def _is_not_of_reports(record: logging.LogRecord) -> bool:
    """What reports have to say of the bus, Reports says once; the client would at each attempt."""
    return record.threadName != THREAD_NAME


def _read(daemon: Daemon, files: Sequence[Path], host: str | None) -> cfg.ConfigOpts:
    groups = dict(daemon.options)
    if daemon.has_database:
        from cloud.db.options import DATABASE_OPTIONS

        groups["database"] = DATABASE_OPTIONS
    return read_configuration(files, host=host, groups=groups)


class _StartError(Exception):
    """A reason not to start."""


def _make_manager(daemon: Daemon, parts: Parts) -> Manager:
    try:
        return daemon.make_manager(parts)
    except ManagerError as exc:
        logger.bind(error=str(exc)).error("cannot start")
        raise _StartError(exc) from exc


def _open_database(conf: cfg.ConfigOpts, stack: ExitStack) -> "Database":
    """The database, of which it is known that its schema is ours, or that it cannot be reached just now."""
    from cloud.db.options import configured_database
    from cloud.db.schema import SchemaError, check
    from cloud.db.url import DatabaseUrlError

    try:
        database = configured_database(conf)
        stack.callback(database.close)
        check(database)
    except (DatabaseUrlError, SchemaError) as exc:
        logger.bind(error=str(exc)).error("cannot start")
        raise _StartError(exc) from exc
    except DatabaseUnavailableError as exc:
        logger.bind(error=str(exc)).warning("database is away")
    return database


def _report(daemon: Daemon, target: Target, parts: Parts) -> Callable[[], None]:
    """What says that we are alive: to the database, or to nova-conductor where there is none."""
    conf, client, database = parts.conf, parts.client, parts.database
    report = ServiceReport(conf.host, daemon.binary, target.role, conf[daemon.zone_option])
    if database is None:
        conductor = ConductorClient(client, timeout_s=min(ConductorClient.TIMEOUT_S, conf.report_interval))
        return lambda: conductor.report_service(report)
    from cloud.db.schema import check
    from cloud.db.services import ServiceTable

    table = ServiceTable(database, now=lambda: datetime.now(UTC), down_after_s=conf.service_down_time)
    is_checked = False

    def report_to_database() -> None:
        """Also sees to it that the schema is ours: the database may have been away until now, or be another one."""
        nonlocal is_checked
        try:
            if not is_checked:
                check(database)
            table.report(report)
            is_checked = True
        except DatabaseUnavailableError:
            is_checked = False
            raise

    return report_to_database


def daemon_command(daemon: Daemon) -> click.Command:
    """The command line of `daemon`, the same under its own name and as `cloud service NAME`."""

    @click.command(daemon.binary, context_settings={"help_option_names": ["-h", "--help"]})
    @click.option(
        "--config-file",
        "files",
        multiple=True,
        type=click.Path(dir_okay=False, path_type=Path),
        help=f"May repeat; later files win.  [default: {DEFAULT_CONFIG}]",
    )
    @click.option("--host", help="This host's name in the cloud, over the configuration's.")
    def command(files: tuple[Path, ...], host: str | None) -> None:
        if code := run_daemon(daemon, files or (DEFAULT_CONFIG,), host):
            sys.exit(code)
        logging.shutdown()
        os._exit(0)  # sys.exit would wait for the requests that were given up, as long as they take

    command.help = f"Run {daemon.binary} until SIGTERM."
    return command
