"""The life of every daemon: read its configuration, set up logging, serve the bus, report, stop on SIGTERM."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import click
from oslo_config import cfg

from cloud.domain.service import ServiceReport
from cloud.logs.emit import logger
from cloud.logs.emit.last_word import lines_so_far
from cloud.logs.emit.live_level import LiveLevel
from cloud.logs.emit.names import logger_name
from cloud.logs.emit.settings import log_settings
from cloud.logs.emit.setup import LogSetupError, set_up_logging
from cloud.logs.emit.speaker import in_same_voice
from cloud.logs.events import SERVICE
from cloud.rpc.brokers import BusUrlError
from cloud.rpc.client import RpcClient
from cloud.rpc.methods import methods_of
from cloud.rpc.options import configured_publisher
from cloud.rpc.server import RpcServer
from cloud.rpc.topology import Target
from cloud.services.conductor.client import ConductorClient
from cloud.services.configuration import ConfigurationError, read_configuration
from cloud.services.control import ControlEndpoint
from cloud.services.manager import MakeManager, Manager, ManagerError, Parts
from cloud.services.own_database import open_own_database, reporter_to
from cloud.services.reporting import THREAD_NAME, Reports

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
            conf = read_daemon_configuration(daemon, files, host)
            set_up_logging(log_settings(conf), service=daemon.binary, host=conf.host)
            running = RunningDaemon(daemon, conf, stack)
        except (ConfigurationError, BusUrlError, LogSetupError, ManagerError) as exc:
            print(f"{daemon.binary}: {exc}", file=sys.stderr)  # noqa: T201 - there is no log yet, or nobody reads it
            return 1
        # Not an Event: its lock may be held by the very code that the signal interrupts. SimpleQueue.put is reentrant.
        stops: SimpleQueue[int] = SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _frame: stops.put(received))
        running.start(files)
        running.stop(stops.get())
    return 0


def read_daemon_configuration(daemon: Daemon, files: Sequence[Path], host: str | None) -> cfg.ConfigOpts:
    """What `files` say to `daemon`; `host` goes over them. ConfigurationError."""
    groups = dict(daemon.options)
    if daemon.has_database:
        from cloud.db.options import DATABASE_OPTIONS

        groups["database"] = DATABASE_OPTIONS
    return read_configuration(files, host=host, groups=groups)


class RunningDaemon:
    """A daemon in this process, which logs already; there may be others, each with its host and binary of its own.

    Its lines are those of whom the thread speaks for that makes it.
    """

    def __init__(self, daemon: Daemon, conf: cfg.ConfigOpts, stack: ExitStack) -> None:
        """BusUrlError, or ManagerError when it cannot run as `conf` says, which the log has too.

        What is to be closed after its stop goes to `stack`.
        """
        self._conf = conf
        self._publisher = configured_publisher(conf)
        target = Target.of(daemon.binary, conf.host)
        try:
            database = open_own_database(conf, stack) if daemon.has_database else None
            self._client = RpcClient(self._publisher, str(target), timeout_s=conf.rpc_response_timeout)
            self._manager = daemon.make_manager(Parts(conf, self._client, database))
        except ManagerError as exc:
            logger.bind(error=str(exc)).error("cannot start")
            raise
        self._level = LiveLevel(logging.getLogger("nova"))
        methods = methods_of(ControlEndpoint(target, self._client, self._level), self._manager)
        self._server = RpcServer(self._publisher, target, methods, workers=conf.rpc_workers)
        logging.getLogger(logger_name(RpcClient.__module__)).addFilter(_is_not_of_reports)
        report = ServiceReport(conf.host, daemon.binary, target.role, conf[daemon.zone_option])
        if database is None:
            conductor = ConductorClient(self._client, timeout_s=min(ConductorClient.TIMEOUT_S, conf.report_interval))
            report_service: Callable[[], None] = partial(conductor.report_service, report)
        else:
            report_service = reporter_to(database, report, down_after_s=conf.service_down_time)
        say_alive = partial(self._manager.say_alive, report_service)
        self._reports = Reports(conf.report_interval, [say_alive, self._manager.report])

    def start(self, files: Sequence[Path]) -> None:
        """Take up work; `files` are what it was configured by, for the log."""
        conf = self._conf
        logger.bind(event=SERVICE.event("start"), config_files=", ".join(map(str, files))).info("service started")
        if conf.service_down_time <= conf.report_interval:
            logger.bind(service_down_time=conf.service_down_time, report_interval=conf.report_interval).warning(
                "services will be taken for down between two reports"
            )
        self._server.start()
        self._manager.start()
        self._reports.start()

    def stop(self, received: int) -> None:
        """Put work down for the signal `received`, within `graceful_shutdown_timeout` and CLOSE_TIMEOUT_S."""
        grace_s = self._conf.graceful_shutdown_timeout
        drained: SimpleQueue[bool] = SimpleQueue()

        def put_down() -> None:
            self._reports.stop()
            drained.put(self._server.stop(grace_s))
            self._reports.join()
            self._manager.stop()
            self._client.close()
            self._publisher.close()

        # In a thread, for each of these may wait for a bus that is silent, and their times add up.
        stopping = threading.Thread(target=in_same_voice(put_down), name="stop", daemon=True)
        stopping.start()
        stopping.join(grace_s + CLOSE_TIMEOUT_S)
        is_drained = not drained.empty() and drained.get()
        self._level.close()
        line = logger.bind(event=SERVICE.event("stop"), signal=signal.Signals(received).name)
        line = line.bind(**asdict(self._server.stats()), **lines_so_far())
        if is_drained:
            line.info("service stopped")
        else:
            line.bind(graceful_shutdown_timeout_s=grace_s).warning("service stopped, requests were given up")


def _is_not_of_reports(record: logging.LogRecord) -> bool:
    """What reports have to say of the bus, Reports says once; the client would at each attempt."""
    return record.threadName != THREAD_NAME


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
