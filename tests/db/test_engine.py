"""Transactions: what they keep, how long they wait, and what an error says."""

import socket
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from cloud.db.engine import Database, DatabaseLimits, open_database
from cloud.db.models import ServiceRow
from cloud.db.schema import sync
from cloud.db.services import ServiceTable
from cloud.domain.service import ServiceReport
from cloud.errors import DatabaseUnavailableError
from tests.db.conftest import LIMITS, Clock
from tests.postgresql import PASSWORD, PostgreSql

REPORT = ServiceReport("compute-01", "nova-compute", "compute", "nova")
IMPATIENT = DatabaseLimits(lock_timeout_s=0.2, statement_timeout_s=20.0, pool_timeout_s=0.2)
WRITE_AND_WAIT = """
import sys
from sqlalchemy import text
from cloud.db.engine import open_database
with open_database(sys.argv[1]) as database, database.transaction() as session:
    session.execute(text("UPDATE services SET topic = 'half-done'"))
    print("written", flush=True)
    sys.stdin.read()
"""


def topics(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(ServiceRow.topic)))


def set_topic(database: Database, topic: str) -> None:
    with database.transaction() as session:
        session.execute(update(ServiceRow).values(topic=topic))


def count_until_full(services: ServiceTable) -> int:
    """How many new services could be stored; it was told why the next one could not."""
    for stored in range(1000):
        try:
            services.report(ServiceReport(f"{stored:0255}", "nova-compute", "compute", "nova"))
        except DatabaseUnavailableError as exc:
            if not str(exc).endswith(": database or disk is full"):
                raise
            return stored
    raise AssertionError("it never got full")


def complaint_of(database: Database) -> str:
    """What a transaction that only begins is refused with; the password is in no part of it."""
    with pytest.raises(DatabaseUnavailableError) as caught, database.transaction():
        pass
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_transaction_commits_at_its_end(services: ServiceTable, database: Database) -> None:
    services.report(REPORT)
    set_topic(database, "changed")
    assert topics(database) == ["changed"]


def test_exception_rolls_back_and_comes_out_as_it_is(services: ServiceTable, database: Database) -> None:
    services.report(REPORT)
    error = LookupError("mine")
    with pytest.raises(LookupError) as caught, database.transaction() as session:  # noqa: PT012 - a transaction
        session.execute(update(ServiceRow).values(topic="half-done"))
        raise error
    assert caught.value is error
    assert topics(database) == ["compute"]


def test_mistake_in_a_statement_is_not_taken_for_an_unavailable_database(database: Database) -> None:
    with pytest.raises(DBAPIError), database.transaction() as session:
        session.execute(text("SELECT * FROM no_such_table"))
    assert topics(database) == []


def test_values_are_not_in_the_text_of_an_error(services: ServiceTable, database: Database) -> None:
    services.report(REPORT)
    row = {"host": "compute-01", "binary": "nova-compute", "topic": "s3cret", "availability_zone": "nova"}
    state = {"report_count": 1, "disabled": False, "is_up": False, "created_at": Clock().now, "updated_at": Clock().now}
    with pytest.raises(IntegrityError) as caught, database.transaction() as session:
        session.add(ServiceRow(**row, **state))
    assert "s3cret" not in str(caught.value)
    assert topics(database) == ["compute"]


def test_reading_refuses_writes_and_its_connection_writes_again_afterwards(
    database_url: str, services: ServiceTable
) -> None:
    services.report(REPORT)
    with open_database(database_url, replace(LIMITS, max_pool_size=1, max_overflow=0)) as database:
        with pytest.raises(DatabaseUnavailableError, match=r"read-?only"), database.reading() as session:
            session.execute(update(ServiceRow).values(topic="changed"))
        set_topic(database, "changed")
        assert topics(database) == ["changed"]


def test_reader_sees_what_was_committed_and_waits_for_no_writer(services: ServiceTable, database: Database) -> None:
    services.report(REPORT)
    with database.transaction() as session:
        session.execute(update(ServiceRow).values(topic="half-done"))
        assert topics(database) == ["compute"]
    assert topics(database) == ["half-done"]


def test_lock_of_another_is_waited_for_no_longer_than_the_bound(database_url: str, services: ServiceTable) -> None:
    services.report(REPORT)
    with open_database(database_url, IMPATIENT) as holder, open_database(database_url, IMPATIENT) as other:
        with holder.transaction() as session:
            session.execute(update(ServiceRow).values(topic="first"))
            started_s = time.monotonic()
            with pytest.raises(DatabaseUnavailableError, match=r"^cannot use database .*: .*lock"):
                set_topic(other, "second")
            assert 0.2 <= time.monotonic() - started_s < 5
        assert topics(other) == ["first"]
        set_topic(other, "second")
        assert topics(other) == ["second"]


def test_name_that_another_holds_is_waited_for_no_longer_than_the_bound(
    database_url: str, services: ServiceTable
) -> None:
    impatient = replace(LIMITS, lock_timeout_s=0.1)
    with open_database(database_url, impatient) as first, open_database(database_url, impatient) as second:
        with first.transaction() as session:
            first.lock(session, "instances of p1\x00")
            with pytest.raises(DatabaseUnavailableError), second.transaction() as waiting:
                second.lock(waiting, "instances of p1\x00")
        with second.transaction() as session:
            second.lock(session, "instances of p1\x00")


def test_names_are_held_apart(services: ServiceTable, database: Database, database_url: str) -> None:
    with database.transaction() as session:
        database.lock(session, "instances of p1")
        database.lock(session, "instances of p1")
        if database_url.startswith("postgresql"):
            with database.transaction() as other:
                database.lock(other, "instances of p2")


def test_transaction_waits_for_a_connection_no_longer_than_the_bound(url: str) -> None:
    with open_database(url, replace(IMPATIENT, max_pool_size=1, max_overflow=0)) as database:
        with database.reading():
            assert complaint_of(database).endswith(": no connection became free within 0.2 s")
        with database.reading() as session:
            assert session.scalar(text("SELECT 1")) == 1


def test_process_that_is_killed_within_a_transaction_leaves_nothing_of_it(
    database_url: str, services: ServiceTable, database: Database
) -> None:
    services.report(REPORT)
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE_AND_WAIT, database_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
    finally:
        process.kill()
        process.communicate()
    assert topics(database) == ["compute"]
    set_topic(database, "changed")
    assert topics(database) == ["changed"]


def test_closed_database_can_be_used_again(database: Database) -> None:
    database.close()
    assert topics(database) == []


# SQLite alone.


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "nova.db"


@pytest.fixture
def sqlite_database(file: Path) -> Iterator[Database]:
    with open_database(f"sqlite:///{file}", IMPATIENT) as database:
        yield database


def test_opening_touches_no_file(sqlite_database: Database, file: Path) -> None:
    assert not file.exists()


def test_only_the_owner_may_read_the_file_and_its_companions(sqlite_database: Database, file: Path) -> None:
    sync(sqlite_database)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in file.parent.iterdir()}
    assert modes == {"nova.db": "0o600", "nova.db-shm": "0o600", "nova.db-wal": "0o600"}


def test_every_connection_writes_ahead_flushes_each_commit_and_keeps_references(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as first, sqlite_database.reading() as second:
        for session in (first, second):
            assert session.scalar(text("PRAGMA journal_mode")) == "wal"
            assert session.scalar(text("PRAGMA synchronous")) == 2
        assert first.scalar(text("PRAGMA foreign_keys")) == 1


def test_missing_directory_is_named(tmp_path: Path) -> None:
    with open_database(f"sqlite:///{tmp_path}/none/nova.db") as database:
        assert complaint_of(database) == (
            f"cannot use database sqlite:///{tmp_path}/none/nova.db: there is no directory {tmp_path}/none"
        )
        (tmp_path / "none").mkdir()
        sync(database)


def test_file_that_is_no_database_is_refused(sqlite_database: Database, file: Path) -> None:
    file.write_bytes(b"no database at all" * 100)
    assert complaint_of(sqlite_database) == f"cannot use database sqlite:///{file}: file is not a database"


def test_full_disk_is_told_and_what_was_committed_stays(file: Path, clock: Clock) -> None:
    with open_database(f"sqlite:///{file}", replace(IMPATIENT, max_pool_size=1, max_overflow=0)) as database:
        sync(database)
        services = ServiceTable(database, clock, 60)
        with database.transaction() as session:
            session.execute(text("PRAGMA max_page_count = 1"))  # SQLite takes it for as many as there are
        stored = count_until_full(services)
        assert len(services.all()) == stored > 0
        with database.transaction() as session:
            session.execute(text("PRAGMA max_page_count = 1000"))
        services.report(REPORT)
        assert len(services.all()) == stored + 1


def test_other_program_that_locks_the_file_is_waited_for_no_longer_than_the_bound(
    sqlite_database: Database, file: Path
) -> None:
    sync(sqlite_database)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert complaint_of(sqlite_database) == f"cannot use database sqlite:///{file}: database is locked"
        other.execute("ROLLBACK")
    assert topics(sqlite_database) == []


# PostgreSQL alone.


@pytest.fixture
def own_server() -> Iterator[PostgreSql]:
    """A server that a test may kill."""
    with PostgreSql() as server:
        yield server


@pytest.mark.server
def test_server_that_is_killed_is_used_again_once_it_is_back_and_nothing_committed_is_lost(
    own_server: PostgreSql, clock: Clock
) -> None:
    with open_database(own_server.url, LIMITS) as database:
        sync(database)
        services = ServiceTable(database, clock, 60)
        for _ in range(3):
            services.report(REPORT)

        with pytest.raises(DatabaseUnavailableError), database.transaction() as session:  # noqa: PT012 - a transaction
            session.execute(update(ServiceRow).values(topic="half-done"))
            own_server.kill()
            session.execute(update(ServiceRow).values(topic="half-done"))
        assert complaint_of(database).startswith(
            f"cannot use database postgresql://nova:***@127.0.0.1:{own_server.port}/postgres: connection failed: "
        )

        own_server.start()
        services.report(REPORT)
        assert topics(database) == ["compute"]
        assert [service.report_count for service in services.all()] == [4]


@pytest.mark.server
def test_connection_that_is_lost_during_the_commit_leaves_a_doubt_and_says_so(own_server: PostgreSql) -> None:
    with open_database(own_server.url, LIMITS) as database:
        sync(database)
        doubt = r"; whether the transaction was committed is unknown$"
        with pytest.raises(DatabaseUnavailableError, match=doubt), database.transaction() as session:  # noqa: PT012
            session.execute(update(ServiceRow).values(topic="half-done"))
            own_server.kill()


@pytest.mark.server
def test_restart_of_the_server_between_two_transactions_goes_unnoticed(own_server: PostgreSql, clock: Clock) -> None:
    with open_database(own_server.url, LIMITS) as database:
        sync(database)
        services = ServiceTable(database, clock, 60)
        services.report(REPORT)
        own_server.restart()
        services.report(REPORT)
        assert [service.report_count for service in services.all()] == [2]


@pytest.mark.server
def test_statement_may_take_no_longer_than_the_bound(postgresql: PostgreSql) -> None:
    with (
        open_database(postgresql.url, replace(LIMITS, statement_timeout_s=0.2)) as database,
        pytest.raises(DatabaseUnavailableError, match=r": canceling statement due to statement timeout$"),
        database.transaction() as session,
    ):
        session.execute(select(func.pg_sleep(30)))


@pytest.mark.server
def test_wrong_password_is_told_without_either(postgresql: PostgreSql) -> None:
    url = postgresql.url.replace(PASSWORD, "wrong-horse")
    with open_database(url) as database:
        complaint = complaint_of(database)
    assert complaint.endswith('password authentication failed for user "nova"')
    assert "wrong-horse" not in complaint + repr(database)


@pytest.mark.server
def test_database_that_does_not_exist_is_told(postgresql: PostgreSql) -> None:
    with open_database(postgresql.url + "_not") as database:
        assert complaint_of(database).endswith('database "postgres_not" does not exist')


def test_refused_connection_is_told_without_the_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        with open_database(f"postgresql://nova:{PASSWORD}@127.0.0.1:{port}/nova") as database:
            complaint = complaint_of(database)
    assert complaint.startswith(f"cannot use database postgresql://nova:***@127.0.0.1:{port}/nova: connection failed: ")
    assert "Connection refused" in complaint


def test_server_that_accepts_and_says_nothing_is_waited_for_no_longer_than_the_bound() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"postgresql://nova:{PASSWORD}@127.0.0.1:{port}/nova"
        with open_database(url, DatabaseLimits(connect_timeout_s=2)) as database:
            started_s = time.monotonic()
            assert "timeout" in complaint_of(database)
            assert time.monotonic() - started_s < 10


@pytest.mark.server
def test_settings_of_the_url_win_over_ours(postgresql: PostgreSql) -> None:
    url = postgresql.url + "?application_name=mine&options=-c%20lock_timeout%3D7s"
    with open_database(url, LIMITS) as database, database.reading() as session:
        shown = {
            name: session.scalar(text(f"SHOW {name}")) for name in ("application_name", "lock_timeout", "timezone")
        }
    assert shown == {"application_name": "mine", "lock_timeout": "7s", "timezone": "UTC"}
