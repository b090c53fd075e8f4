"""A database URL -> transactions, on SQLite and on PostgreSQL, each of whose waits has a bound."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase, Session

from cloud.db.models import StoredText
from cloud.db.url import parse_database_url, shown
from cloud.errors import DatabaseUnavailableError
from cloud.logs.loopback import is_loopback

_IDLE_IN_TRANSACTION_S = 60  # a service that hangs within a transaction loses it, and with it the locks of others' rows
_SILENT_PEER_S = 20  # a server whose machine is gone is noticed within this
_SCHEMA_LOCK_TIMEOUT_S = 60  # for who changes the schema while another does
_SCHEMA_LOCK = 0x6E6F7661  # "nova": the advisory lock that one of them holds
_FIRST_USE_RETRY_S = 0.01


@dataclass(frozen=True, slots=True)
class DatabaseLimits:
    """How many connections a process holds, and how long it waits for what; see the options of `[database]`."""

    max_pool_size: int = 5
    max_overflow: int = 10
    pool_timeout_s: float = 10.0
    connect_timeout_s: int = 5
    lock_timeout_s: float = 5.0
    statement_timeout_s: float = 30.0


DEFAULT_LIMITS = DatabaseLimits()


def open_database(url: str, limits: DatabaseLimits = DEFAULT_LIMITS) -> "Database":
    """The database of `url`; nothing connects before the first transaction. DatabaseUrlError for an unusable URL."""
    parsed = parse_database_url(url)
    open_engine = _sqlite_engine if parsed.get_backend_name() == "sqlite" else _postgresql_engine
    return Database(open_engine(parsed, limits), shown(parsed), limits)


class Database:
    """Transactions on one database. Threads share it; close it after the last one."""

    def __init__(self, engine: Engine, name: str, limits: DatabaseLimits) -> None:
        self.name = name
        self._limits = limits
        self._writing = engine
        self._reading = engine.execution_options(sqlite_begin=_SQLITE_READING, postgresql_readonly=True)
        self._schema_changing = engine.execution_options(sqlite_begin=_SQLITE_SCHEMA_CHANGING)

    def __repr__(self) -> str:
        return f"Database({self.name!r})"

    def transaction(self) -> AbstractContextManager[Session]:
        """Commits at the end and rolls back on an exception, which every failed statement has to become.

        DatabaseUnavailableError when the database does not answer or refuses. Nothing is written then, unless the
        connection was lost during the commit itself: the message says so.
        On SQLite there is one at a time, from its beginning on; do not open another one within.
        """
        return self._session(self._writing)

    def reading(self) -> AbstractContextManager[Session]:
        """A transaction in which the database refuses writes; it waits for no writer. Errors as of `transaction`."""
        return self._session(self._reading)

    @contextmanager
    def schema_change(self) -> Iterator[Connection]:
        """A transaction that changes the schema: one at a time in the whole cloud, of any length.

        SQLite's foreign keys are not enforced in it, since they would be while a table is copied and dropped, which
        is how SQLite changes one (sqlite.org/lang_altertable.html section 7).
        """
        with self._session(self._schema_changing) as session:
            connection = session.connection()
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_SCHEMA_LOCK_TIMEOUT_S}s'")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})")
            yield connection

    def lock(self, session: Session, name: str) -> None:
        """Hold `name` until the transaction ends: for who counts before adding, where no row stands for the count.

        What does not see rows that others are about to add has to begin after this. On SQLite every writer holds all.
        """
        if session.connection().dialect.name == "postgresql":
            session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(literal(name, StoredText()), 0))))

    def exists(self) -> bool:
        """Whether there is something to ask: SQLite would make an empty file of it, a server is taken at its word."""
        url = self._writing.url
        return url.get_backend_name() != "sqlite" or Path(url.database or "").exists()

    def insert(self, model: type[DeclarativeBase]) -> sqlite.Insert | postgresql.Insert:
        """An INSERT of this database's dialect: both have ON CONFLICT, which SQLAlchemy's general one has not."""
        is_sqlite = self._writing.dialect.name == "sqlite"
        insert: sqlite.Insert | postgresql.Insert = sqlite.insert(model) if is_sqlite else postgresql.insert(model)
        return insert

    def close(self) -> None:
        """Close the connections that no transaction uses."""
        self._writing.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Session]:
        is_committing = False
        try:
            with Session(engine, expire_on_commit=False) as session:
                session.connection()  # begins now, not at the first statement: what is read first is locked too
                yield session
                session.flush()
                is_committing = True
                session.commit()
        except PoolTimeoutError as exc:
            waited_s = self._limits.pool_timeout_s
            raise self._unavailable(f"no connection became free within {waited_s:g} s") from exc
        except DBAPIError as exc:
            if not _is_refusal(exc):
                raise
            cause = " ".join(str(exc.orig).split())
            if is_committing and exc.connection_invalidated:
                cause += "; whether the transaction was committed is unknown"
            raise self._unavailable(cause) from exc

    def _unavailable(self, cause: str) -> DatabaseUnavailableError:
        return DatabaseUnavailableError(f"cannot use database {self.name}: {cause}")


# SQLITE_PERM, BUSY, LOCKED, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOLFS, AUTH, NOTADB: the file or
# another process, never the statement (sqlite.org/rescode.html).
_SQLITE_REFUSALS = frozenset({3, 5, 6, 7, 8, 10, 11, 13, 14, 15, 22, 23, 26})

# Classes of SQLSTATE (PostgreSQL's appendix A): connection, authorization, no such database, rollback for a conflict,
# resources, not in the prerequisite state (lock timeout), operator intervention (shutdown, statement timeout), system.
_POSTGRESQL_REFUSALS = ("08", "28", "3D", "40", "53", "55", "57", "58")
# A server that became a standby, and a transaction that stood idle for too long.
_POSTGRESQL_REFUSED_STATES = ("25006", "25P03")


def _is_refusal(exc: DBAPIError) -> bool:
    if exc.connection_invalidated:
        return True
    if isinstance(exc.orig, sqlite3.Error):
        return getattr(exc.orig, "sqlite_errorcode", 0) & 0xFF in _SQLITE_REFUSALS  # the low byte is the primary code
    state: str | None = getattr(exc.orig, "sqlstate", None)
    if state is None:  # libpq's own errors, such as a refused connection, have none
        return isinstance(exc, OperationalError)
    return state.startswith(_POSTGRESQL_REFUSALS) or state in _POSTGRESQL_REFUSED_STATES


# How a transaction begins. A writer takes the write lock at once: one that read first could not get it later, when
# another has written in between, however long it waits.
_SQLITE_WRITING = ("PRAGMA foreign_keys = ON", "PRAGMA query_only = OFF", "BEGIN IMMEDIATE")
_SQLITE_READING = ("PRAGMA query_only = ON", "BEGIN")
_SQLITE_SCHEMA_CHANGING = ("PRAGMA foreign_keys = OFF", "PRAGMA query_only = OFF", "BEGIN IMMEDIATE")


def _sqlite_engine(url: URL, limits: DatabaseLimits) -> Engine:
    path = Path(url.database or "")
    engine = create_engine(
        url, creator=lambda: _connect_sqlite(path, shown(url), limits.lock_timeout_s), **_pool(limits)
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # SQLAlchemy's recipe for all versions of Python: the driver begins nothing, we do (its chapter on SQLite,
        # "Enabling Non-Legacy SQLite Transactional Modes").
        for statement in connection.get_execution_options().get("sqlite_begin", _SQLITE_WRITING):
            connection.exec_driver_sql(statement)

    return engine


def _connect_sqlite(path: Path, name: str, busy_timeout_s: float) -> sqlite3.Connection:
    try:
        _create_private_file(path)
    except FileNotFoundError as exc:
        raise DatabaseUnavailableError(f"cannot use database {name}: there is no directory {path.parent}") from exc
    except OSError as exc:
        raise DatabaseUnavailableError(f"cannot use database {name}: cannot create it: {exc.strerror}") from exc
    connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
    try:
        _use_write_ahead_log(connection, time.monotonic() + busy_timeout_s)
        # FULL, not NORMAL: what was committed outlives a power cut too, as it does in PostgreSQL. It is one fsync for
        # each of the few transactions that a cloud small enough for SQLite makes.
        connection.execute("PRAGMA synchronous = FULL").close()
    except BaseException:
        connection.close()
        raise
    return connection


def _create_private_file(path: Path) -> None:
    # SQLite itself would create it readable for all; its -wal and -shm take over the mode. Only a new file is opened:
    # closing another descriptor of a file in use drops the locks that SQLite holds on it (sqlite.org/howtocorrupt).
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _use_write_ahead_log(connection: sqlite3.Connection, deadline_s: float) -> None:
    # The switch, which only the first of all connections makes, does not wait for another one as statements do.
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline_s:
                raise
            time.sleep(_FIRST_USE_RETRY_S)
        else:
            return


def _postgresql_engine(url: URL, limits: DatabaseLimits) -> Engine:
    # A connection is tried before it is used: one that a restart of the server cut is replaced, with all its kind.
    return create_engine(url.set(query=libpq_options(url, limits)), pool_pre_ping=True, **_pool(limits))


def libpq_options(url: URL, limits: DatabaseLimits) -> dict[str, str | tuple[str, ...]]:
    """The options of `url`, and ours where it has none: over a network that is TLS with the server's name checked."""
    settings = {
        "statement_timeout": _ms(limits.statement_timeout_s),
        "lock_timeout": _ms(limits.lock_timeout_s),
        "idle_in_transaction_session_timeout": _ms(_IDLE_IN_TRANSACTION_S),
        "timezone": "UTC",
    }
    defaults = {
        "application_name": "cloud",
        "connect_timeout": str(limits.connect_timeout_s),
        "keepalives_idle": str(_SILENT_PEER_S // 2),
        "keepalives_interval": str(_SILENT_PEER_S // 4),
        "keepalives_count": "2",
        "tcp_user_timeout": _ms(_SILENT_PEER_S),
    }
    if not _is_here(url):
        defaults |= {"sslmode": "verify-full"}
        if "sslmode" not in url.query:  # libpq has this one for verify-full alone
            defaults |= {"sslrootcert": "system"}
    given = dict(url.query)
    options = [f"-c {name}={value}" for name, value in settings.items()]
    options += url.normalized_query.get("options", ())  # the later of two settings wins
    return {**defaults, **given, "options": " ".join(options)}


def _is_here(url: URL) -> bool:
    """Whether libpq connects over a socket or the loopback; it takes several hosts, by commas or as several options.

    An address goes over a name, and the environment stands in for what the URL leaves out.
    """
    query = url.normalized_query
    named = query.get("host", ()) or (url.host or os.environ.get("PGHOST", ""),)
    given = (*query.get("hostaddr", ()), os.environ.get("PGHOSTADDR", ""), *named)
    hosts = [host for item in given for host in item.split(",")]
    return all(host.startswith(("/", "@")) or not host or is_loopback(host) for host in hosts)


def _pool(limits: DatabaseLimits) -> dict[str, Any]:
    return {
        "pool_size": limits.max_pool_size,
        "max_overflow": limits.max_overflow,
        "pool_timeout": limits.pool_timeout_s,
        "hide_parameters": True,  # what is stored does not appear in the texts of errors
    }


def _ms(seconds: float) -> str:
    return str(round(seconds * 1000))
