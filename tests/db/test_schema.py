"""Migrations: they make what models.py says, whoever runs them, and however many do."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, Table, insert, inspect, text

import cloud.db.identity_models  # noqa: F401 - its tables belong to the same metadata
from cloud.db.engine import Database, open_database
from cloud.db.models import Base
from cloud.db.schema import MIGRATIONS, SchemaError, check, current_revision, draft, sync
from tests.db.conftest import LIMITS

SYNC = """
import sys
import cloud.db.identity_models  # noqa: F401 - its tables belong to the same metadata
from cloud.db.engine import open_database
from cloud.db.schema import sync
sys.stdin.readline()
with open_database(sys.argv[1]) as database:
    print(sync(database))
"""


@pytest.fixture
def empty(url: str) -> Iterator[Database]:
    with open_database(url, LIMITS) as database:
        yield database


@pytest.fixture
def own(empty: Database) -> Database:
    """With our tables; for tests that change the schema, which no other one is to find so."""
    sync(empty)
    return empty


def set_revision(database: Database, revision: str) -> None:
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def complaint_about(database: Database, migrations: Path = MIGRATIONS) -> str:
    with pytest.raises(SchemaError) as caught:
        check(database, migrations)
    return str(caught.value)


def test_migrations_make_the_tables_of_the_models(database: Database) -> None:
    with database.reading() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_sync_says_the_revision_and_may_be_repeated(empty: Database) -> None:
    assert current_revision(empty) is None
    assert sync(empty) == "0006"
    check(empty)
    assert sync(empty) == "0006"
    assert current_revision(empty) == "0006"


def test_several_processes_that_sync_at_once_all_succeed(url: str, empty: Database) -> None:
    command = [sys.executable, "-c", SYNC, url]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(4)]
    try:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.communicate(timeout=60) for process in processes] == [("0006\n", "")] * 4
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    check(empty)


def test_migration_that_fails_leaves_nothing(empty: Database, tmp_path: Path) -> None:
    copy = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    (copy / "versions" / "0007_broken.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\nrevision = '0007'\ndown_revision = '0006'\n"
        "def upgrade() -> None:\n"
        "    op.create_table('halves', sa.Column('id', sa.Integer(), primary_key=True))\n"
        "    raise LookupError('halfway')\n"
    )
    with pytest.raises(LookupError, match="halfway"):
        sync(empty, copy)
    with empty.reading() as session:
        assert inspect(session.connection()).get_table_names() == []


def test_empty_database_is_told_from_a_synced_one(empty: Database) -> None:
    assert complaint_about(empty) == (
        f"cannot use the schema of database {empty.name}: it has no revision, and this code needs 0006: "
        "run `cloud db sync`"
    )


def test_older_schema_is_told(own: Database, tmp_path: Path) -> None:
    copy = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    (copy / "versions" / "0007_next.py").write_text(
        "revision = '0007'\ndown_revision = '0006'\ndef upgrade() -> None:\n    pass\n"
    )
    assert complaint_about(own, copy) == (
        f"cannot use the schema of database {own.name}: it has revision 0006, and this code needs 0007: "
        "run `cloud db sync`"
    )
    assert sync(own, copy) == "0007"
    check(own, copy)


def test_schema_of_a_newer_release_is_told_and_left_alone(own: Database) -> None:
    set_revision(own, "0099")
    complaint = (
        f"cannot use the schema of database {own.name}: it has revision 0099, and this code, which needs 0006, "
        "is older than that: install the release whose `cloud db sync` was run"
    )
    assert complaint_about(own) == complaint
    with pytest.raises(SchemaError) as caught:
        sync(own)
    assert str(caught.value) == complaint
    assert current_revision(own) == "0099"


def test_instances_of_before_get_their_hostname(empty: Database, tmp_path: Path) -> None:
    older = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    for path in (older / "versions").glob("*.py"):
        if path.name >= "0004":
            path.unlink()
    assert sync(empty, older) == "0003"
    now = datetime(2014, 10, 16, 12, 0, tzinfo=UTC)
    texts = dict.fromkeys(("project_id", "user_id", "flavorid", "vm_state", "reservation_id"), "x")
    numbers = dict.fromkeys(
        ("memory_mb", "vcpus", "root_gb", "ephemeral_gb", "power_state", "progress", "launch_index"), 1
    )
    rest = {"flavor": {}, "metadata": {}, "system_metadata": {}, "has_config_drive": False}
    same = texts | numbers | rest | {"created_at": now, "updated_at": now}
    rows = [{"uuid": str(UUID(int=number)), "display_name": f"Web {number}", **same} for number in range(1, 2502)]
    rows[6]["display_name"] = "\u65e5\u672c"
    with empty.transaction() as session:
        instances = Table("instances", MetaData(), autoload_with=session.connection())
        session.execute(insert(instances), rows)
    assert sync(empty) == "0006"
    with empty.reading() as session:
        found = session.scalars(text("SELECT hostname FROM instances ORDER BY id")).all()
    expected = [f"web-{number}" for number in range(1, 2502)]
    expected[6] = "Server-00000000-0000-0000-0000-000000000007"
    assert found == expected


def test_draft_is_the_next_migration_from_what_the_models_have_beyond_the_database(
    own: Database, tmp_path: Path
) -> None:
    copy = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    with own.transaction() as session:
        session.execute(text("ALTER TABLE services DROP COLUMN topic"))
    path = draft(own, "topics of services", copy)
    assert path == copy / "versions" / "0007_topics_of_services.py"
    text_of_it = path.read_text()
    assert text_of_it.startswith('"""Topics of services."""\n')
    assert "revision = '0007'\ndown_revision = '0006'\n" in text_of_it
    assert "batch_op.add_column(sa.Column('topic', sa.String(length=255), nullable=False))" in text_of_it


def test_migrations_and_their_template_are_in_the_package() -> None:
    found = sorted(
        str(path.relative_to(MIGRATIONS)) for path in MIGRATIONS.rglob("*") if path.suffix in (".py", ".mako")
    )
    assert found == [
        "env.py",
        "script.py.mako",
        "versions/0001_services.py",
        "versions/0002_identity.py",
        "versions/0003_compute.py",
        "versions/0004_migrations.py",
        "versions/0005_owners_of_migrations.py",
        "versions/0006_storage_of_compute_hosts.py",
    ]
