"""The text of a database URL -> a checked URL, and a name for the database that is safe to show."""

from psycopg import ProgrammingError
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

_EXPECTED = "sqlite:////PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME"
_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


class DatabaseUrlError(ValueError):
    """A database URL that cannot be used. The message quotes nothing of it that may belong to a password."""


def parse_database_url(text: str) -> URL:
    """The URL with its driver named; DatabaseUrlError unless it is an absolute SQLite file or a PostgreSQL database."""
    url = _parsed(text)
    if url is None:
        raise DatabaseUrlError(f"a database URL reads {_EXPECTED}; this one cannot be parsed")
    if url.drivername not in _DRIVERS:
        raise DatabaseUrlError(f"a database URL reads {_EXPECTED}; this one starts with {url.drivername}")
    url = url.set(drivername=_DRIVERS[url.drivername])
    (_check_sqlite if url.drivername == "sqlite" else _check_postgresql)(url)
    return url


def shown(url: URL) -> str:
    """The URL without password, driver and options; a socket directory, which is the host, stays."""
    where = {key: value for key, value in url.query.items() if key in ("host", "port")}
    return url.set(drivername=url.get_backend_name(), query=where).render_as_string(hide_password=True)


def _parsed(text: str) -> URL | None:
    # No exception leaves here, not even as a cause: the parser's words may quote a piece of the password.
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        return None


def _check_sqlite(url: URL) -> None:
    if url.host or url.username or not (url.database or "").startswith("/"):
        raise DatabaseUrlError("the URL of a SQLite database names its file by an absolute path: sqlite:////PATH")
    if url.query:
        raise DatabaseUrlError("the URL of a SQLite database takes no options")


def _check_postgresql(url: URL) -> None:
    if "@" in f"{url.host}{url.database}":  # the parser ends a password at its first @, so the rest of it is in here
        raise DatabaseUrlError("an @ in the name or password of a database URL is written %40")
    if "service" in url.query:
        raise DatabaseUrlError("the URL of a PostgreSQL database names its host itself, not by a service file")
    if not url.database:
        raise DatabaseUrlError("the URL of a PostgreSQL database names the database: postgresql://HOST/NAME")
    try:
        make_conninfo(**dict.fromkeys(url.query, "0"))
    except ProgrammingError as exc:
        raise DatabaseUrlError(f"the URL of a PostgreSQL database takes libpq's options: {str(exc).strip()}") from exc
