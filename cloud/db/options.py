"""The group `[database]` of nova.conf -> a Database."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from oslo_config import cfg, types

from cloud.db.engine import DEFAULT_LIMITS, Database, DatabaseLimits, open_database
from cloud.db.url import DatabaseUrlError, parse_database_url


class _DatabaseUrl(types.String):
    """A URL that open_database takes."""

    hides_value = True  # its errors quote nothing of the value: read_configuration may show them of a secret option

    def __call__(self, value: Any) -> Any:
        parse_database_url(value)
        return value


DATABASE_OPTIONS: Sequence[cfg.Opt] = (
    cfg.Opt(
        "connection",
        type=_DatabaseUrl(),
        secret=True,
        help="The compute cloud's database: sqlite:////PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME.",
    ),
    cfg.IntOpt(
        "max_pool_size",
        default=DEFAULT_LIMITS.max_pool_size,
        min=1,
        max=100,
        help="Connections that a service keeps open.",
    ),
    cfg.IntOpt(
        "max_overflow",
        default=DEFAULT_LIMITS.max_overflow,
        min=0,
        max=100,
        help="Connections beyond those, closed after use.",
    ),
    cfg.FloatOpt(
        "pool_timeout_s",
        default=DEFAULT_LIMITS.pool_timeout_s,
        min=0.1,
        max=300,
        help="Seconds that a transaction waits for a connection when all are in use.",
    ),
    cfg.IntOpt(
        "connect_timeout_s",
        default=DEFAULT_LIMITS.connect_timeout_s,
        min=2,  # libpq takes 1 for 2
        max=60,
        help="Seconds to connect within; PostgreSQL only, for each address of its host.",
    ),
    cfg.FloatOpt(
        "lock_timeout_s",
        default=DEFAULT_LIMITS.lock_timeout_s,
        min=0.1,
        max=300,
        help="Seconds that a transaction waits for what another one holds.",
    ),
    cfg.FloatOpt(
        "statement_timeout_s",
        default=DEFAULT_LIMITS.statement_timeout_s,
        min=0.1,
        max=3600,
        help="Seconds that a statement may take; PostgreSQL only.",
    ),
)


def configured_database(conf: cfg.ConfigOpts) -> Database:
    """The database that `[database]` names, not yet connected; DatabaseUrlError when it names none."""
    group = conf.database
    if group.connection is None:
        raise DatabaseUrlError("cannot use a database: option [database] connection is not set")
    limits = DatabaseLimits(**{field.name: group[field.name] for field in fields(DatabaseLimits)})
    return open_database(group.connection, limits)
