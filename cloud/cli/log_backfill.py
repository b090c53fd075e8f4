"""`cloud log backfill`: fill what did not reach the collector from a host's local files."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloud.cli.log_asking import url_option

DEFAULT_DIRECTORY = "/var/log/nova"

if TYPE_CHECKING:
    from cloud.logs.backfill.filling import Outcome


@click.command()
@click.option("--host", help="The inventory's name of the host; by default whose lines the files end with.")
@click.option("--directory", default=DEFAULT_DIRECTORY, show_default=True, help="Where nova.log is.")
@url_option
@click.option("--ssh", "target", metavar="USER@HOST", help="Read the files there, where nothing needs to be installed.")
@click.option("--ssh-config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="ssh's -F.")
@click.option("--dry-run", is_flag=True, help="Say what is missing and found; send and confirm nothing.")
@click.option("--accept", is_flag=True, help="Miss no more what no file has.")
def backfill(
    *,
    host: str | None,
    directory: str,
    url: str,
    target: str | None,
    ssh_config: Path | None,
    dry_run: bool,
    accept: bool,
) -> None:
    """Send lines that the collector is missing from the host's local files, rotated ones included.

    The collector knows the gaps in what it has stored. Whether the end of an earlier run of rsyslogd has arrived, or
    anything of one, only the files can tell; a run that is stored whole is confirmed, and not asked about again.
    Exits with 0 when nothing is missing any more, and with 1 otherwise. It may be repeated: what is stored already
    is not stored again.
    """
    from cloud.logs.backfill.client import BackfillClient
    from cloud.logs.backfill.files import LocalFiles, ReadError
    from cloud.logs.backfill.filling import BackfillError, Options
    from cloud.logs.backfill.filling import backfill as run_backfill
    from cloud.logs.backfill.remote import SshFiles
    from cloud.logs.query.client import ClientError

    def warn(text: str) -> None:
        click.echo(f"cloud log backfill: {text}", err=True)

    try:
        files = SshFiles(target, directory, ssh_config) if target else LocalFiles(Path(directory))
        with BackfillClient(url) as collector:
            outcomes = run_backfill(files, collector, Options(host, dry_run, accept), warn)
    except (BackfillError, ReadError, ClientError) as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(_table(outcomes) if outcomes else "nothing is missing")
    sys.exit(0 if all(outcome.is_settled for outcome in outcomes) else 1)


def _table(outcomes: "Sequence[Outcome]") -> str:
    from prettytable import PrettyTable

    from cloud.cli.bus import printable

    table = PrettyTable(["Host", "Start", "Missing", "Found", "Filled", "Still missing", "State"], align="r")
    for name in ("Host", "Start", "State"):
        table.align[name] = "l"
    for each in outcomes:
        table.add_row(
            [
                printable(each.run.host),
                printable(each.run.start),
                each.missing,
                each.found,
                each.filled,
                each.still_missing,
                printable(each.state),
            ]
        )
    return table.get_string()
