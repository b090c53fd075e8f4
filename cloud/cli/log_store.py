"""`cloud log store`: what the collector's data directory holds, whether it is whole, copies of it, and less of it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloud.cli.log_asking import url_option

if TYPE_CHECKING:
    from cloud.logs.query.store_admin import StoreAdmin

DEFAULT_DATA = "/var/lib/cloud/logs"

data_option = click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=DEFAULT_DATA,
    show_default=True,
    help="The collector's data directory.",
)


@click.group()
def store() -> None:
    """Look after the collector's data directory, also while a collector has it open."""


@store.command()
@data_option
@url_option
def stats(data: Path, url: str) -> None:
    """Show files, rows, bytes, times and the hosts' shares."""
    with _admin(data, url) as admin:
        found = admin.stats()
    width = max((len(file.name) for file in found.files), default=4)
    for file in found.files:
        times = f"{file.first_time} - {file.last_time}" if file.first_time else file.note
        click.echo(f"{file.name:{width}} {file.state:8} {file.rows:12} rows {file.size_bytes:14} B  {times}".rstrip())
    click.echo(f"{found.rows} rows, {found.size_bytes} B, {found.bytes_per_row:.1f} B a row")
    indexed = [file for file in found.files if file.is_indexed]
    if indexed:
        click.echo(f"{len(indexed)} files with an index, {sum(file.index_bytes for file in indexed)} B")
    for share in found.hosts:
        click.echo(f"  {share.host or '-':30} {share.rows:12} rows {100 * share.rows / found.rows:5.1f} %")


@store.command()
@data_option
@url_option
def check(data: Path, url: str) -> None:
    """Read everything, and compare rows with marks; the exit code is 1 when something is wrong."""
    with _admin(data, url) as admin:
        found = admin.check()
    for problem in found.problems:
        click.echo(problem)
    click.echo(f"{found.rows} rows read, {len(found.problems)} problems")
    sys.exit(1 if found.problems else 0)


@store.command()
@data_option
@url_option
@click.option("--retention", metavar="POLICY", help="E.g. 'debug 3d, rest 30d, max_gb 50'; a collector has its own.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def expire(data: Path, url: str, retention: str | None, *, dry_run: bool) -> None:
    """Delete now what the retention policy does not keep."""
    with _admin(data, url) as admin:
        gone = admin.expire(retention, is_dry_run=dry_run)
    for word, names in (("delete", gone.deleted), ("thin", gone.thinned)):
        for name in names:
            click.echo(f"{'would ' if dry_run else ''}{word} {name}")
    click.echo(f"{gone.rows} rows, {gone.freed_bytes} B in whole files")


@store.command()
@data_option
@url_option
@click.argument("target", type=click.Path(file_okay=False, path_type=Path), metavar="DIRECTORY")
def backup(data: Path, url: str, target: Path) -> None:
    """Copy everything that is stored now, keys and saved searches too, into DIRECTORY: an empty or a missing one."""
    with _admin(data, url) as admin:
        names = admin.backup(target)
    click.echo(f"{len(names)} files in {target}")


@store.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_DATA,
    show_default=True,
    help="The data directory; empty, or missing.",
)
@click.argument("source", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIRECTORY")
def restore(data: Path, source: Path) -> None:
    """Fill an empty data directory from the backup in DIRECTORY.

    Keys that were revoked since it was made are good again. As root, make the directory first and give it to the user
    whom the collector runs as: the files belong to whom it belongs to, and one that is missing is made for root.
    """
    from cloud.logs.collector.storage.backup import restore as restore_backup
    from cloud.logs.collector.store import StoreError

    try:
        names = restore_backup(source, data)
    except StoreError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"{len(names)} files in {data}")


@store.command()
@data_option
@url_option
@click.option("--format", "format_", type=click.Choice(["parquet"]), default="parquet", show_default=True)
@click.option("--since", type=click.DateTime(), help="Arrived at this time (UTC) or later.")
@click.option("--until", type=click.DateTime(), help="Arrived before this time (UTC).")
@click.option("--host", help="Only this host.")
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
def export(
    *,
    data: Path,
    url: str,
    format_: str,
    since: datetime | None,
    until: datetime | None,
    host: str | None,
    target: Path,
) -> None:
    """Write rows to the new FILE, with the names of the Elastic Common Schema."""
    from cloud.logs.collector.storage.export import Wanted

    wanted = Wanted(since and since.replace(tzinfo=UTC), until and until.replace(tzinfo=UTC), host)
    with _admin(data, url) as admin:
        rows = admin.export(wanted, target)
    click.echo(f"{rows} rows in {target} ({format_})")


@contextmanager
def _admin(data: Path, url: str) -> "Iterator[StoreAdmin]":
    from cloud.logs.collector.storage.policy import PolicyError
    from cloud.logs.collector.store import StoreError
    from cloud.logs.query.store_admin import open_admin

    try:
        with open_admin(data, url) as admin:
            yield admin
    except (StoreError, PolicyError) as exc:
        raise click.ClickException(str(exc)) from exc
