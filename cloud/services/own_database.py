"""The database of a daemon that has one: opened at its start, and told that the daemon is alive."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from oslo_config import cfg

from cloud.domain.service import ServiceReport
from cloud.errors import DatabaseUnavailableError
from cloud.logs.emit import logger
from cloud.services.manager import ManagerError

if TYPE_CHECKING:
    from cloud.db.engine import Database  # most services live without SQLAlchemy


def open_own_database(conf: cfg.ConfigOpts, stack: ExitStack) -> "Database":
    """The database, of which it is known that its schema is ours, or that it cannot be reached just now.

    ManagerError for one that cannot be used; `stack` closes it.
    """
    from cloud.db.options import configured_database
    from cloud.db.schema import SchemaError, check
    from cloud.db.url import DatabaseUrlError

    try:
        database = configured_database(conf)
        stack.callback(database.close)
        check(database)
    except (DatabaseUrlError, SchemaError) as exc:
        raise ManagerError(str(exc)) from exc
    except DatabaseUnavailableError as exc:
        logger.bind(error=str(exc)).warning("database is away")
    return database


def reporter_to(database: "Database", report: ServiceReport, *, down_after_s: float) -> Callable[[], None]:
    """What enters `report`, and also sees to it that the schema is ours.

    The database may have been away until now, or be another one.
    """
    from cloud.db.schema import check
    from cloud.db.services import ServiceTable

    table = ServiceTable(database, now=lambda: datetime.now(UTC), down_after_s=down_after_s)
    is_checked = False

    def enter() -> None:
        nonlocal is_checked
        try:
            if not is_checked:
                check(database)
            table.report(report)
            is_checked = True
        except DatabaseUnavailableError:
            is_checked = False
            raise

    return enter
