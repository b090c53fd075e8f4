"""`cloud up`: a small cloud on this machine, with all of the log's way."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloud.cli.log_asking import DEFAULT_URL

if TYPE_CHECKING:
    from cloud.up.machine import Machine

CORPUS = Path(__file__).parent.parent / "logs" / "replay" / "corpus.log"
DEFAULT_ADDRESS = "127.0.0.1:1024"
REPLAY_HOST = "compute-01"
WATCH_S = 0.2


@click.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), default=Path(".run"), show_default=True)
@click.option("--hosts", type=click.IntRange(1, 16), default=2, show_default=True, help="Compute hosts.")
@click.option("--replay", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A nova log file.")
@click.option("--shift-to", type=click.Choice(["now", "never"]), default="now", show_default=True)
@click.option("--once", is_flag=True, help="No live tail: replay, compare what was sent with what is stored, stop.")
@click.option("--listen", metavar="URL", help="The collector's syslog.  [default: port 1024 or a free one]")
@click.option("--http", metavar="HOST:PORT", help="The collector's API.  [default: port 8080 or a free one]")
@click.option("--transport-url", envvar="CLOUD_TRANSPORT_URL", metavar="URL", help="A RabbitMQ, if any.")
@click.option("--database", envvar="CLOUD_DATABASE", metavar="URL", help="A PostgreSQL, if any.")
def up(
    *,
    data: Path,
    hosts: int,
    file: Path | None,
    shift_to: str,
    once: bool,
    listen: str | None,
    http: str | None,
    transport_url: str | None,
    database: str | None,
) -> None:
    """Start a controller and compute hosts with all their services, each host with its own rsyslogd.

    Then replay a log through compute-01 and follow what arrives. What dies is started again. Without --replay it is a
    log of our own. Without rsyslogd on the machine the services send to the collector.

    The bus is a redis of its own and the database a file, unless others are named. A URL with a password does not
    belong on a command line: CLOUD_TRANSPORT_URL and CLOUD_DATABASE take it too.
    """
    from cloud.db.schema import SchemaError
    from cloud.db.url import DatabaseUrlError
    from cloud.errors import CloudError
    from cloud.logs.generator.inventory import InventoryError
    from cloud.logs.query.client import ClientError
    from cloud.logs.replay.sender import ReplayError
    from cloud.rpc.brokers import BusUrlError
    from cloud.services.configuration import ConfigurationError
    from cloud.up.layout import Layout
    from cloud.up.machine import Machine, Settings, has_rsyslogd, syslog_scheme
    from cloud.up.process import ProcessError
    from cloud.up.status import program_table, tell_of

    # As Ctrl-C: through the finally of all that runs. What ends --once early has not shown that anything agrees.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM if once else 0))
    has_rsyslog = has_rsyslogd()
    settings = Settings(
        Layout(hosts),
        listen=listen or (None if once else _free(f"{syslog_scheme(has_rsyslog)}://{DEFAULT_ADDRESS}")),
        http=http or ("127.0.0.1:0" if once else _free(DEFAULT_URL)).removeprefix("http://"),
        transport_url=transport_url,
        database_url=database,
        has_rsyslog=has_rsyslog,
        compute=_address(8774, is_fixed=not once),
        identity=_address(5000, is_fixed=not once),
        image=_address(9292, is_fixed=not once),
    )
    try:
        with (
            Machine(data, settings, tell=lambda line: click.echo(f"cloud up: {line}", err=True)) as machine,
            _undisturbed_end(),
        ):
            started_s = time.monotonic()
            machine.start()
            machine.wait_until_services_are_up()
            click.echo(program_table(machine.statuses()))
            click.echo(f"up          after {time.monotonic() - started_s:.1f} s")
            for line in tell_of(machine):
                click.echo(line)
            agrees = _replay(machine, file or CORPUS, is_shifted=shift_to == "now", compares=once)
            if once:
                sys.exit(0 if agrees else 1)
            machine.follow()
            while machine.is_followed:
                machine.watch()
                time.sleep(WATCH_S)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT if once else 0)
    except (
        BusUrlError,
        ClientError,
        CloudError,
        ConfigurationError,
        DatabaseUrlError,
        InventoryError,
        OSError,
        ProcessError,
        ReplayError,
        SchemaError,
    ) as exc:
        raise click.ClickException(str(exc)) from exc


@contextmanager
def _undisturbed_end() -> Iterator[None]:
    """From the end of the block on, no second Ctrl-C or SIGTERM breaks off the stop of what is running."""
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _replay(machine: "Machine", file: Path, *, is_shifted: bool, compares: bool) -> bool:
    """Replay `file` on the machine's host; with `compares`, whether the store has each of its records."""
    from cloud.logs.query.client import CollectorClient
    from cloud.logs.replay.file import new_name, replay_file
    from cloud.up.agreement import comparison, stored_counts

    name = new_name()
    address = machine.syslog_address(REPLAY_HOST)
    sent = replay_file(file, address=address, host=REPLAY_HOST, name=name, is_shifted=is_shifted)
    click.echo(f"replay      {file}: {sent.records} records from {sent.lines} lines, replay={name}")
    if not compares:
        return True
    with CollectorClient(machine.http_url) as client:
        stored = stored_counts(client, name, sent.records)
    for line in comparison(sent.by_service_and_severity, stored):
        click.echo(line)
    agrees = sent.by_service_and_severity == stored
    click.echo("sent and stored agree" if agrees else "sent and stored differ")
    return agrees


def _address(port: int, *, is_fixed: bool) -> str:
    return _free(f"http://127.0.0.1:{port}").removeprefix("http://") if is_fixed else "127.0.0.1:0"


def _free(url: str) -> str:
    """`url` when its port is free on this machine, else the same with port 0: any free one."""
    import socket

    prefix, port = url.rsplit(":", 1)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(port)))
        except OSError:
            return f"{prefix}:0"
    return url
