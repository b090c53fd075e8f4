"""`cloud log`: collect, replay and read logs."""

import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloud.cli.bus import bus_client, config_file_option, printable
from cloud.cli.duration import DURATION
from cloud.cli.log_asking import EXIT_CODES, asking, collector_options
from cloud.cli.log_backfill import backfill
from cloud.cli.log_canary import canary
from cloud.cli.log_completing import complete_host, complete_query, complete_service, complete_severity
from cloud.cli.log_context import context
from cloud.cli.log_explain import explain
from cloud.cli.log_export import export
from cloud.cli.log_hearing import Said
from cloud.cli.log_key import key
from cloud.cli.log_saved import saved
from cloud.cli.log_search import facets, search
from cloud.cli.log_sql import sql
from cloud.cli.log_store import store
from cloud.cli.log_stories import hosts, migrations, timeline, trace

if TYPE_CHECKING:
    from cloud.logs.query.client import CollectorClient, Parameters, Row

DEFAULT_ADDRESS = "unix:/run/nova/log.sock"


@click.group()
def log() -> None:
    """Collect, replay and read logs."""


log.add_command(backfill)


log.add_command(canary)


log.add_command(store)


for question in (search, facets, context, trace, timeline, migrations, hosts, export, saved):
    log.add_command(question)


log.add_command(explain)


log.add_command(key)


log.add_command(sql)


@log.command()
@click.option("--config", "file", type=click.Path(dir_okay=False, path_type=Path), help="collector.toml; options win.")
@click.option(
    "--listen",
    multiple=True,
    metavar="URL",
    help="tcp://HOST:PORT, relp://HOST:PORT, udp://HOST:PORT or unix:///PATH; may repeat. The file can do TLS, too.",
)
@click.option("--http", metavar="HOST:PORT", help="Where the query API is served.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The directory of the store.")
@click.option("--allow-plaintext", is_flag=True, default=None, help="Listen without TLS beyond loopback, too.")
def collector(
    file: Path | None, listen: tuple[str, ...], http: str | None, data: Path | None, allow_plaintext: bool | None
) -> None:
    """Take syslog over TCP, TLS, RELP, UDP or a unix socket into DuckDB until SIGTERM.

    A port of 0 takes a free one; stdout says which.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported: its threads would spin
    from cloud.cli.log_identity import CloudIdentity
    from cloud.logs.collector.receivers.bind import ListenError
    from cloud.logs.collector.server import run_collector
    from cloud.logs.collector.settings import SettingsError, load_settings
    from cloud.logs.collector.store import StoreError
    from cloud.logs.emit.settings import LogSettings
    from cloud.logs.emit.setup import set_up_logging

    set_up_logging(LogSettings(level=20), service="collector", host="-")  # stderr: it never logs into itself
    try:
        settings = load_settings(file, listen=listen, http=http, data=data, allow_plaintext=allow_plaintext)
        sys.exit(run_collector(settings, click.echo, CloudIdentity))
    except (SettingsError, ListenError, StoreError) as exc:
        raise click.ClickException(str(exc)) from exc


@log.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--host", required=True, help="The host whose log this is to be.")
@click.option("--address", default=DEFAULT_ADDRESS, show_default=True, help="That host's log socket.")
@click.option("--shift-to", type=click.Choice(["now"]), help="Move all times so that the last line happens now.")
@click.option("--service", help="The service, where neither lines nor file name tell.")
@click.option("--name", help="What the records carry as `replay`; random by default.")
def replay(file: Path, host: str, address: str, shift_to: str | None, service: str | None, name: str | None) -> None:
    """Send a nova log file through a host's rsyslog, with each line's own service, level and ids."""
    from cloud.logs.replay.file import new_name, replay_file
    from cloud.logs.replay.sender import ReplayError

    name = name or new_name()
    try:
        sent = replay_file(
            file, address=address, host=host, name=name, is_shifted=shift_to is not None, service=service
        )
    except ReplayError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"replay {name}: sent {sent.records} records from {sent.lines} lines")
    for (sender, severity), number in sorted(sent.by_service_and_severity.items()):
        click.echo(f"  {sender:20} {severity:8} {number:8}")


@log.command(epilog=EXIT_CODES)
@click.argument("query", required=False, default="", shell_complete=complete_query)
@click.option("--host", shell_complete=complete_host, help="Only this host.")
@click.option("--service", shell_complete=complete_service, help="Only this service, e.g. nova-compute.")
@click.option("--severity", shell_complete=complete_severity, help="This severity and worse, e.g. warning.")
@click.option("--request", "request_id", help="Only this request id.")
@click.option("--instance", help="Only this instance (UUID).")
@click.option("--field", multiple=True, metavar="KEY=VALUE", help="Only this value of a field; may repeat.")
@click.option("--without-event", multiple=True, metavar="EVENT", help="Not this event, e.g. canary; may repeat.")
@click.option("--follow/--no-follow", default=True, show_default=True, help="Go on with what arrives.")
@click.option("-n", "number", type=click.IntRange(0, 10_000), default=50, show_default=True, help="Rows of history.")
@click.option("--output", type=click.Choice(["pretty", "json", "raw"]), default="pretty", show_default=True)
@click.option("--utc", is_flag=True, help="Show times in UTC rather than in this machine's zone.")
@collector_options
def tail(
    *,
    query: str,
    host: str | None,
    service: str | None,
    severity: str | None,
    request_id: str | None,
    instance: str | None,
    field: tuple[str, ...],
    without_event: tuple[str, ...],
    follow: bool,
    number: int,
    output: str,
    utc: bool,
    url: str,
    key_file: Path | None,
) -> None:
    """Show the newest lines that QUERY wants, then those that arrive, each once and in order of arrival.

    With --no-follow the lines of one --request are shown in the order in which its services wrote them.
    """
    from cloud.logs.query.output import formatter

    options = {
        "q": query or None,
        "host": host,
        "service": service,
        "severity": severity,
        "request_id": request_id,
        "instance": instance,
        "field": field,
        "without_event": without_event,
        "n": number,
    }
    parameters = {key: value for key, value in options.items() if value not in (None, ())}
    terminal = sys.stdout.isatty()
    render = formatter(output, terminal=terminal, colour=terminal and "NO_COLOR" not in os.environ, utc=utc)

    _end_with_the_reader_of_stdout()
    try:
        with asking(url, key_file, query) as client:
            said = Said()
            rows = client.tail(parameters, said.hearing()) if follow else _history(client, parameters)
            for row in rows:
                sys.stdout.write(render(row) + "\n")
                sys.stdout.flush()
                said.last_arrived = row["observed_timestamp"]
    except KeyboardInterrupt:
        sys.exit(0)
    except BrokenPipeError:
        # The reader has enough. Python would flush once more at exit, into the same closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _history(client: "CollectorClient", parameters: "Parameters") -> "list[Row]":
    from cloud.logs.query.time_range import emitted_at

    rows = client.rows(parameters)
    if "request_id" in parameters:  # its hosts' lines have come over several connections
        rows.sort(key=emitted_at)
    return rows


@log.command("level")
@click.argument("service")
@click.argument("level", required=False, type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False))
@click.option("--host", help="Only there; on every host where it is up by default.")
@click.option("--for", "for_s", type=DURATION, default="15m", show_default=True, help="How long; 24h at most.")
@config_file_option
def level_(service: str, level: str | None, host: str | None, for_s: float, files: tuple[Path, ...]) -> None:
    """Let SERVICE log from LEVEL up for a while, without a restart; without LEVEL show how it stands.

    It goes back by itself. What a host forwards is up to its rsyslog: its thresholds hold as before.
    """
    from cloud.errors import CloudError
    from cloud.logs.emit.live_level import MAX_FOR_S
    from cloud.rpc.topology import Target
    from cloud.services.conductor.client import ConductorClient
    from cloud.services.control import ControlClient

    if not 0 < for_s <= MAX_FOR_S:
        raise click.BadParameter("more than 0, and 24h at most", param_hint="--for")
    failed = 0
    with bus_client(files) as (client, _):
        role = Target.of(service).role
        if host is not None:
            hosts = [host]
        else:
            hosts = [item.host for item in ConductorClient(client).list_services(binary=service) if item.is_up]
        if not hosts:
            raise click.ClickException(f"cannot find a host on which {service} is up")
        control = ControlClient(client)
        for name in hosts:
            target = Target(role, name)
            try:
                state = control.set_log_level(target, level.upper(), for_s) if level else control.get_log_level(target)
            except (CloudError, ValueError) as exc:  # the others are to have it all the same
                click.echo(f"{printable(target)}: {printable(exc)}", err=True)
                failed += 1
                continue
            until = f" for {state['left_s']:g} s, then {state['configured']}" if state["left_s"] is not None else ""
            click.echo(printable(f"{target}: {state['level']}{until}"))
    if failed:
        sys.exit(1)


def _end_with_the_reader_of_stdout() -> None:
    """End as Ctrl-C does when a pipe's reader goes, be it in an hour without a line to write."""

    def reader_went(*_: object) -> None:
        raise KeyboardInterrupt  # a BrokenPipeError would pass for a lost connection, wherever it hits the client

    def watch() -> None:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)  # errors and hang-ups are reported always, and nothing else is wanted
        poll.poll()
        os.kill(os.getpid(), signal.SIGUSR1)  # not SIGINT, which a background job may have been told to ignore

    signal.signal(signal.SIGUSR1, reader_went)
    threading.Thread(target=watch, name="stdout", daemon=True).start()
