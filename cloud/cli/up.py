"""`cloud up`: a small cloud on this machine, with all of the log's way."""

import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import click

from cloud.cli.log import DEFAULT_URL
from cloud.up.machine import Machine
from cloud.up.process import ProcessError

CORPUS = Path(__file__).parent.parent / "logs" / "replay" / "corpus.log"
DEFAULT_LISTEN = "tcp://127.0.0.1:1024"
WATCH_S = 0.2


@click.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), default=Path(".run"), show_default=True)
@click.option("--host", default="compute-01", show_default=True, help="The name of the simulated host.")
@click.option("--replay", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A nova log file.")
@click.option("--shift-to", type=click.Choice(["now", "never"]), default="now", show_default=True)
@click.option("--once", is_flag=True, help="No live tail: replay, compare what was sent with what is stored, stop.")
@click.option("--listen", metavar="URL", help="The collector's syslog.  [default: port 1024 or a free one]")
@click.option("--http", metavar="HOST:PORT", help="The collector's API.  [default: port 8080 or a free one]")
def up(
    *, data: Path, host: str, file: Path | None, shift_to: str, once: bool, listen: str | None, http: str | None
) -> None:
    """Start collector, rsyslogd and nova-compute, replay a log through them, and follow what arrives.

    Without --replay it is a log of our own. Without rsyslogd on the machine the services send to the collector.
    """
    from cloud.logs.generator.inventory import InventoryError
    from cloud.logs.query.client import ClientError
    from cloud.logs.replay.sender import ReplayError

    # As Ctrl-C: through the finally of all that runs. What ends --once early has not shown that anything agrees.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM if once else 0))
    machine = Machine(
        data,
        host,
        listen=listen or ("tcp://127.0.0.1:0" if once else _free(DEFAULT_LISTEN)),
        http=http or ("127.0.0.1:0" if once else _free(DEFAULT_URL)).removeprefix("http://"),
    )
    try:
        with ExitStack() as stack:
            stack.enter_context(machine)
            machine.start()
            _tell(machine)
            agrees = _replay(machine, file or CORPUS, is_shifted=shift_to == "now", compares=once)
            if once:
                sys.exit(0 if agrees else 1)
            machine.follow()
            while True:
                machine.check()
                time.sleep(WATCH_S)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT if once else 0)
    except (ClientError, InventoryError, ProcessError, ReplayError, OSError) as exc:
        raise click.ClickException(str(exc)) from exc


def _tell(machine: Machine) -> None:
    way = "its own rsyslogd" if machine.has_rsyslog else "straight to the collector: there is no rsyslogd here"
    click.echo(f"host        {machine.host}: {machine.tree} ({way})")
    click.echo(f"collector   {machine.syslog_url} (syslog), {machine.http_url} (API, /metrics)")
    click.echo(f"store       {machine.directory / 'store'}")
    click.echo(f"output      {machine.directory / 'output'}")
    program = Path(sys.executable).parent / "cloud"
    click.echo(f"ask it      {program} log tail --host {machine.host} --url {machine.http_url}")


def _replay(machine: Machine, file: Path, *, is_shifted: bool, compares: bool) -> bool:
    """Replay `file` on the machine's host; with `compares`, whether the store has each of its records."""
    from cloud.logs.query.client import CollectorClient
    from cloud.logs.replay.file import new_name, replay_file
    from cloud.up.agreement import comparison, stored_counts

    name = new_name()
    sent = replay_file(file, address=machine.syslog_address, host=machine.host, name=name, is_shifted=is_shifted)
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
