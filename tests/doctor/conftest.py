"""A cloud for the doctor, on either database."""

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from cloud.db.engine import Database, open_database
from cloud.db.schema import sync
from tests.db.conftest import LIMITS, Clock, clock, postgresql
from tests.doctor.site import Site
from tests.postgresql import PostgreSql

__all__ = ["clock", "postgresql"]

_numbers = count(1)


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our tables with nothing in them, to be copied: making them takes longer than most tests."""
    path = tmp_path_factory.mktemp("doctor") / "nova.db"
    with open_database(f"sqlite:///{path}", LIMITS) as database:
        sync(database)
    return path


@pytest.fixture(scope="session")
def template(postgresql: PostgreSql) -> str:
    """The same on the server, by name."""
    name = "doctor_template"
    with open_database(postgresql.create_database(name), LIMITS) as database:
        sync(database)
    return name


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_file"), tmp_path / "nova.db")
        with open_database(f"sqlite:///{tmp_path}/nova.db", LIMITS) as database:
            yield database
        return
    server: PostgreSql = request.getfixturevalue("postgresql")
    template = sql.Identifier(request.getfixturevalue("template"))
    name = f"doctor_{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), template))
        with open_database(f"{server.url.rpartition('/')[0]}/{name}", LIMITS) as database:
            yield database
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def site(database: Database, clock: Clock) -> Site:
    """Hosts a, b and c, which are up; nothing on them."""
    return Site(database, clock)
