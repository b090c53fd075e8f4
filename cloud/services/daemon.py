"""The life of every daemon: read its configuration, set up logging, start, report, stop on SIGTERM."""

import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Protocol

import click
from oslo_config import cfg

from cloud.logs.emit import logger
from cloud.logs.emit.settings import log_settings
from cloud.logs.emit.setup import LogSetupError, set_up_logging
from cloud.logs.events import SERVICE
from cloud.services.configuration import ConfigurationError, read_configuration

DEFAULT_CONFIG = Path("/etc/nova/nova.conf")


class Manager(Protocol):
    """What a daemon does; the daemon around it owns process, signals and clock."""

    def start(self) -> None:
        """Take up work."""

    def report(self) -> None:
        """Say how things stand; called every `report_interval` seconds, and once right after the start."""

    def stop(self) -> None:
        """Put down work, in bounded time."""


def run_daemon(
    service: str, make_manager: Callable[[cfg.ConfigOpts], Manager], files: Sequence[Path], host: str | None
) -> int:
    """Run `service` until SIGTERM or SIGINT; the exit code, 1 when it could not start (said on stderr)."""
    try:
        conf = read_configuration(files, host=host)
        set_up_logging(log_settings(conf), service=service, host=conf.host)
    except (ConfigurationError, LogSetupError) as exc:
        print(f"{service}: {exc}", file=sys.stderr)  # noqa: T201 - there is no log yet
        return 1
    # Not an Event: its lock may be held by the very code that the signal interrupts. SimpleQueue.put is reentrant.
    stops: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stops.put(received))
    manager = make_manager(conf)
    manager.start()
    logger.bind(event=SERVICE.event("start"), config_files=", ".join(map(str, files))).info("service started")
    next_report_s = time.monotonic()
    received = None
    while received is None:
        manager.report()
        # From the plan, not from now: a slow report does not delay all that follow, and missed ones are skipped.
        next_report_s = max(next_report_s + conf.report_interval, time.monotonic())
        with suppress(Empty):
            received = stops.get(timeout=max(0.0, next_report_s - time.monotonic()))
    manager.stop()
    logger.bind(event=SERVICE.event("stop"), signal=signal.Signals(received).name).info("service stopped")
    return 0


def daemon_command(service: str, make_manager: Callable[[cfg.ConfigOpts], Manager]) -> click.Command:
    """The command line of `service`, the same under its own name and as `cloud service NAME`."""

    @click.command(service, context_settings={"help_option_names": ["-h", "--help"]})
    @click.option(
        "--config-file",
        "files",
        multiple=True,
        type=click.Path(dir_okay=False, path_type=Path),
        help=f"May repeat; later files win.  [default: {DEFAULT_CONFIG}]",
    )
    @click.option("--host", help="This host's name in the cloud, over the configuration's.")
    def command(files: tuple[Path, ...], host: str | None) -> None:
        sys.exit(run_daemon(service, make_manager, files or (DEFAULT_CONFIG,), host))

    command.help = f"Run {service} until SIGTERM."
    return command
