"""`cloud db`: the schema of the compute cloud's database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloud.cli.bus import config_file_option

if TYPE_CHECKING:  # SQLAlchemy takes as long to import as all the rest of `cloud`
    from cloud.db.engine import Database


@click.group()
def db() -> None:
    """Bring the database's schema up to date."""


@db.command()
@config_file_option
def sync(files: tuple[Path, ...]) -> None:
    """Bring the schema to what this code needs; say the revision. Harmless when it is that already."""
    from cloud.db import schema

    with _database(files) as database:
        click.echo(schema.sync(database))


@db.command()
@config_file_option
def version(files: tuple[Path, ...]) -> None:
    """Say the schema's revision, or none; exit 0 only if it is what this code needs."""
    from cloud.db import schema

    with _database(files) as database:
        click.echo(schema.current_revision(database) or "none")
        schema.check(database)


@contextmanager
def _database(files: tuple[Path, ...]) -> Iterator["Database"]:
    from cloud.db.options import DATABASE_OPTIONS, configured_database
    from cloud.db.schema import SchemaError
    from cloud.db.url import DatabaseUrlError
    from cloud.errors import DatabaseUnavailableError
    from cloud.services.configuration import ConfigurationError, read_configuration

    try:
        conf = read_configuration(files, groups={"database": DATABASE_OPTIONS})
        with configured_database(conf) as database:
            yield database
    except (ConfigurationError, DatabaseUrlError, DatabaseUnavailableError, SchemaError) as exc:
        raise click.ClickException(str(exc)) from exc
