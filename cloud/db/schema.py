"""The schema of a database: brought to what this code needs, or checked to be that."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from cloud.db.engine import Database
from cloud.errors import CloudError

MIGRATIONS = Path(__file__).parent / "migrations"


class SchemaError(CloudError):
    """A schema that this code cannot work with; the message says which it is, which it should be, and what mends it."""


def sync(database: Database, migrations: Path = MIGRATIONS) -> str:
    """Bring the schema to the newest revision, which is returned. All of it happens or nothing; several may call it."""
    with database.schema_change() as connection:
        config = _config(migrations)
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as exc:
            current = MigrationContext.configure(connection).get_current_revision()
            raise SchemaError(_mismatch(database, current, migrations)) from exc
        if connection.dialect.name == "sqlite":
            orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if orphans:
                raise SchemaError(f"cannot change database {database.name}: {len(orphans)} rows would refer to none")
    return expected_revision(migrations)


def check(database: Database, migrations: Path = MIGRATIONS) -> None:
    """SchemaError unless the schema has the revision that this code needs."""
    current = current_revision(database)
    if current != expected_revision(migrations):
        raise SchemaError(_mismatch(database, current, migrations))


def current_revision(database: Database) -> str | None:
    """The revision of the schema; None for a database that was never synced."""
    if not database.exists():
        return None
    with database.reading() as session:
        return MigrationContext.configure(session.connection()).get_current_revision()


def expected_revision(migrations: Path = MIGRATIONS) -> str:
    """The newest revision that this code knows."""
    head = ScriptDirectory.from_config(_config(migrations)).get_current_head()
    if head is None:
        raise SchemaError(f"cannot find a migration in {migrations}")
    return head


def draft(database: Database, message: str, migrations: Path = MIGRATIONS) -> Path:
    """For who changes models.py: the next migration, written by comparing it with a synced database; read it over."""
    config = _config(migrations)
    revision = f"{len(list((migrations / 'versions').glob('[0-9]*.py'))) + 1:04}"
    with database.schema_change() as connection:
        config.attributes["connection"] = connection
        script = command.revision(config, message, autogenerate=True, rev_id=revision)
    if script is None or isinstance(script, list):
        raise SchemaError(f"cannot draft one migration in {migrations}")
    return Path(script.path)


def _config(migrations: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _mismatch(database: Database, current: str | None, migrations: Path) -> str:
    expected = expected_revision(migrations)
    found = f"cannot use the schema of database {database.name}"
    if current is None:
        return f"{found}: it has no revision, and this code needs {expected}: run `cloud db sync`"
    known = {script.revision for script in ScriptDirectory.from_config(_config(migrations)).walk_revisions()}
    if current in known:
        return f"{found}: it has revision {current}, and this code needs {expected}: run `cloud db sync`"
    return (
        f"{found}: it has revision {current}, and this code, which needs {expected}, is older than that: "
        "install the release whose `cloud db sync` was run"
    )
