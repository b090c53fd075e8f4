"""Database URLs: which are taken, how they are shown, and that no complaint quotes a password."""

import traceback

import pytest

from cloud.db.engine import open_database
from cloud.db.url import DatabaseUrlError, parse_database_url

SYNOPSIS = "a database URL reads sqlite:////PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME; this one "


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////var/lib/nova/nova.db", "sqlite:////var/lib/nova/nova.db"),
        ("postgresql://nova:hunter2@127.0.0.1:5433/nova", "postgresql://nova:***@127.0.0.1:5433/nova"),
        ("postgresql+psycopg://nova:hunter2@db/nova", "postgresql://nova:***@db/nova"),
        ("postgresql://nova:hunter2%40%2F@[::1]:5432/nova", "postgresql://nova:***@[::1]:5432/nova"),
        ("postgresql://db/nova?password=hunter2&sslmode=require", "postgresql://db/nova"),
        ("postgresql://nova@/nova?host=/run/postgresql", "postgresql://nova@/nova?host=%2Frun%2Fpostgresql"),
    ],
)
def test_database_is_shown_without_its_password(url: str, shown: str) -> None:
    with open_database(url) as database:
        assert database.name == shown
        assert repr(database) == f"Database({shown!r})"


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_postgresql_means_psycopg_3(scheme: str) -> None:
    assert parse_database_url(f"{scheme}://nova@db/nova").drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", SYNOPSIS + "cannot be parsed"),
        ("hunter2", SYNOPSIS + "cannot be parsed"),
        ("postgresql://nova:hunter2@db:port/nova", SYNOPSIS + "cannot be parsed"),
        ("postgresql://nova:pass@hunter2:word@db/nova", SYNOPSIS + "cannot be parsed"),
        ("mysql://nova:hunter2@db/nova", SYNOPSIS + "starts with mysql"),
        ("postgresql+psycopg2://nova:hunter2@db/nova", SYNOPSIS + "starts with postgresql+psycopg2"),
        ("postgresql://nova:pass@hunter2@db/nova", "an @ in the name or password of a database URL is written %40"),
        ("postgresql://nova:pass@hunter2/x@db/nova", "an @ in the name or password of a database URL is written %40"),
        ("postgresql://nova:hunter2@db", "the URL of a PostgreSQL database names the database: postgresql://HOST/NAME"),
        (
            "postgresql://nova:hunter2@db/nova?colour=red",
            'the URL of a PostgreSQL database takes libpq\'s options: invalid connection option "colour"',
        ),
        ("sqlite://", "the URL of a SQLite database names its file by an absolute path: sqlite:////PATH"),
        ("sqlite:///nova.db", "the URL of a SQLite database names its file by an absolute path: sqlite:////PATH"),
        ("sqlite:///:memory:", "the URL of a SQLite database names its file by an absolute path: sqlite:////PATH"),
        ("sqlite:////nova.db?mode=memory", "the URL of a SQLite database takes no options"),
    ],
)
def test_unusable_url_is_refused_in_words_without_the_password(url: str, complaint: str) -> None:
    with pytest.raises(DatabaseUrlError) as caught:
        open_database(url)
    assert str(caught.value) == complaint
    said = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in said
