"""`cloud log key`: who may ask the collector, beside the users that the identity service knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from cloud.cli.duration import DURATION

DEFAULT_DATA = "/var/lib/cloud/logs"

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_DATA,
    show_default=True,
    help="The collector's data directory.",
)


@click.group()
def key() -> None:
    """Make, list and revoke keys for the collector's HTTP; a running one knows within two seconds.

    As long as there is no key and no identity service in its settings, everybody on this machine may ask it.
    """


@key.command()
@data_option
@click.option("--role", required=True, type=click.Choice(["reader", "operator", "admin"]), help="What it may do.")
@click.option("--project", metavar="ID", help="Only lines of this project; for a reader.")
@click.option("--expires", "expires_s", type=DURATION, help="How long it is good, e.g. 30d; for ever by default.")
@click.argument("name")
def create(data: Path, role: str, project: str | None, expires_s: float | None, name: str) -> None:
    """Make a key NAME and write it to stdout, this once: only a hash of it is kept.

    A reader sees all lines, or those of one project; an operator also asks in SQL and fills gaps; an admin also looks
    after the store.
    """
    from cloud.logs.query.access.keys import KeyFile, Wanted
    from cloud.logs.query.access.roles import ROLE_WORDS, Role

    if project is not None and role != "reader":
        raise click.UsageError(
            f"--project is for --role reader: nothing that takes {role} can be narrowed to a project"
        )
    if expires_s == 0:
        raise click.BadParameter("more than 0", param_hint="--expires")
    expires_at = None
    try:
        if expires_s is not None:
            expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=expires_s)
    except OverflowError as exc:
        raise click.BadParameter("that is beyond the year 9999", param_hint="--expires") from exc
    wanted = Wanted(name, ROLE_WORDS[role] if project is None else Role.MEMBER, project, expires_at)
    with _errors():
        text = KeyFile(data).create(wanted)
    click.echo(f"key {name}: {role}{_only(project)}{_until(expires_at)}; it is shown this once", err=True)
    click.echo(text)


@key.command("list")
@data_option
def list_(data: Path) -> None:
    """Show the keys: name, role, project, since when and until when; never the keys themselves."""
    from cloud.logs.query.access.keys import KeyFile

    with _errors():
        keys = KeyFile(data).read() or {}
    now = datetime.now(UTC)
    width = max((len(each.name) for each in keys.values()), default=4)
    for each in keys.values():
        role = each.role if each.project is None else "reader"
        end = " expired" if each.has_expired(now) else ""
        click.echo(
            f"{each.name:{width}} {role:8} since {_time(each.created_at)}{_only(each.project)}"
            f"{_until(each.expires_at)}{end}"
        )


@key.command()
@data_option
@click.argument("name")
def revoke(data: Path, name: str) -> None:
    """Let the key NAME be good no more; a tail that was asked with it ends within seconds."""
    from cloud.logs.query.access.keys import KeyFile

    with _errors():
        KeyFile(data).revoke(name)
    click.echo(f"key {name} is revoked")


def _only(project: str | None) -> str:
    return "" if project is None else f" of project {project}"


def _until(moment: datetime | None) -> str:
    return "" if moment is None else f" until {_time(moment)}"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def _errors() -> Iterator[None]:
    from cloud.logs.query.access.keys import KeysError

    try:
        yield
    except KeysError as exc:
        raise click.ClickException(str(exc)) from exc
