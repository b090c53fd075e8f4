"""What a store does with files that are damaged, of another version, or left half done."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.storage.datafile import DataFile, NewerFileError, attach
from cloud.logs.collector.storage.inspection import check
from cloud.logs.collector.store import QueryInterruptedError, TableDamagedError
from cloud.logs.collector.upkeep import Upkeep
from cloud.logs.query.filter import Filter
from cloud.logs.query.limit import Limit
from cloud.logs.query.reader import Reader
from tests.collector.rows import DAY_US, NOON_US, counted, mark, rows_of

ROOT = Path(__file__).parents[2]
FIRST = "logs-2027-01-14-000000000001-0.duckdb"
SECOND = "logs-2027-01-15-000000000004-0.duckdb"
HEAD_BYTES = 3 * 4096  # of a DuckDB file, before its blocks
BLOCK_BYTES = 262_144


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A closed store: 1, 2, 3 on the first day, 4, 5 on the second."""
    store = DuckDbStore(tmp_path)
    store.append(counted(1, 3, observed_us=NOON_US - DAY_US), [mark(1, 3)])
    store.append(counted(4, 2), [mark(4, 5)])
    store.close()
    return tmp_path


def newest(store: DuckDbStore) -> list[str]:
    return [row["message"] for row in Reader(store).newest(Filter(), 1000, store.committed_row_id)]


def names(data: Path) -> list[str]:
    return sorted(path.name for path in data.iterdir() if path.name not in ("lock", "tmp"))


def damage(path: Path, content: bytes | None) -> None:
    """Give the file this content; None: spoil its blocks."""
    if content is not None:
        path.write_bytes(content)
        return
    for number in range((path.stat().st_size - HEAD_BYTES) // BLOCK_BYTES):
        spoil_block(path, number)


def spoil_block(path: Path, number: int) -> None:
    with path.open("r+b") as file:
        file.seek(HEAD_BYTES + number * BLOCK_BYTES + 1000)
        file.write(b"spoilt" * 100)


DAMAGES = [b"", b"not a database", b"\0" * 10_000, None]


@pytest.mark.parametrize("content", DAMAGES, ids=["empty", "text", "zeros", "blocks"])
@pytest.mark.parametrize("name", [FIRST, SECOND])
def test_a_damaged_file_is_set_aside_and_the_rest_serves(data: Path, name: str, content: bytes | None) -> None:
    damage(data / name, content)
    spoilt = (data / name).read_bytes()
    store = DuckDbStore(data)
    assert newest(store) == (["4", "5"] if name == FIRST else ["1", "2", "3"])
    assert store.marks() == ([mark(4, 5)] if name == FIRST else [mark(1, 3)])  # so that its lines can come again
    assert (data / f"{name}.damaged").read_bytes() == spoilt
    assert check(store.files).problems == [f"{name}.damaged: was damaged and is set aside"]
    store.append(counted(6, 1))
    store.close()
    store = DuckDbStore(data)  # and nothing more happens at the next start
    assert newest(store) == (["4", "5", "6"] if name == FIRST else ["1", "2", "3", "6"])
    store.close()


def test_row_ids_of_a_file_that_cannot_be_read_are_not_given_again(data: Path) -> None:
    damage(data / SECOND, b"")
    store = DuckDbStore(data)
    store.append(counted(6, 1))
    assert store.committed_row_id == 4 + 10_000_000_000 + 1
    store.close()


def test_two_damaged_files_of_one_name_are_both_kept(data: Path) -> None:
    (data / f"{FIRST}.damaged").write_bytes(b"an older one")
    damage(data / FIRST, b"x")
    DuckDbStore(data).close()
    assert (data / f"{FIRST}.damaged").read_bytes() == b"an older one"
    assert (data / f"{FIRST}.damaged.2").read_bytes() == b"x"


def test_damage_that_shows_in_the_marks_costs_that_file_alone(tmp_path: Path) -> None:
    store = DuckDbStore(tmp_path)
    store.append(counted(1, 3, observed_us=NOON_US - DAY_US), [mark(n, n) for n in range(1, 200_000, 2)])
    store.append(counted(4, 3), [mark(400_004, 400_006)])
    Upkeep(store).seal()
    file = store.files.shelf.files()[0]
    with store.files.connection.cursor() as cursor:
        blocks = cursor.execute(
            f"SELECT block_id FROM pragma_storage_info('{file.database}.marks')"  # noqa: S608 - our own name
            " WHERE column_name = 'first' AND block_id >= 0"
        ).fetchall()
    store.close()
    spoil_block(file.path, blocks[0][0])
    store = DuckDbStore(tmp_path)
    assert store.marks() == [mark(400_004, 400_006)]
    assert f"{FIRST}.damaged" in names(tmp_path)
    assert newest(store) == ["4", "5", "6"]
    store.close()


def spoilt_while_open(data: Path) -> tuple[DuckDbStore, DataFile]:
    """A store with 4, 5, 6, and three lines before them in a file whose damage nobody has met yet."""
    store = DuckDbStore(data)
    # So much text has blocks of its own, which nobody has read before the query does.
    long = [os.urandom(200_000).hex() for _ in range(3)]
    store.append(rows_of(long, observed_us=NOON_US - DAY_US, first=1), [mark(1, 3)])
    store.append(counted(4, 3), [mark(4, 6)])
    Upkeep(store).seal()
    file = store.files.shelf.files()[0]
    with store.files.connection.cursor() as cursor:
        blocks = cursor.execute(
            f"SELECT block_id FROM pragma_storage_info('{file.database}.lines')"  # noqa: S608 - our own name
            " WHERE column_name = 'message' AND segment_type = 'VARCHAR'"
        ).fetchall()
    spoil_block(file.path, blocks[0][0])
    return store, file


@pytest.mark.parametrize("is_count", [False, True], ids=["rows", "count"])
def test_damage_that_shows_during_a_query_costs_that_file_alone(tmp_path: Path, is_count: bool) -> None:
    data = tmp_path
    store, _ = spoilt_while_open(data)
    marks: list[object] = []
    store.on_set_aside(lambda: marks.append(store.marks()))
    if is_count:
        assert Reader(store).count(Filter(), ("host",)) == [{"host": "compute-01", "count": 6}]  # of sound columns
        assert check(store.files).problems[0].startswith(f"{FIRST}: damaged: ")
    assert newest(store) == ["4", "5", "6"]
    assert marks == [[mark(4, 6)]]
    assert f"{FIRST}.damaged" in names(data)
    assert FIRST not in names(data)
    store.append(counted(7, 1, observed_us=NOON_US - DAY_US))
    assert newest(store) == ["4", "5", "6", "7"]
    store.close()


def test_a_damaged_file_is_not_examined_beyond_the_time_of_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, file = spoilt_while_open(tmp_path)

    def take_minutes(cursor: duckdb.DuckDBPyConnection, _: DataFile) -> None:
        cursor.execute("SELECT max(hash(a.i, b.i)) FROM range(100000) a(i), range(100000) b(i)").fetchall()

    with monkeypatch.context() as patch:
        patch.setattr("cloud.logs.collector.storage.files.read_whole", take_minutes)
        with pytest.raises(QueryInterruptedError):
            store.query(f"SELECT message FROM {file.source}", {}, Limit.after(0.2).guard)  # noqa: S608 - our own name
    assert FIRST in names(tmp_path)
    Upkeep(store)._long()
    assert f"{FIRST}.damaged" in names(tmp_path)
    store.close()


def test_of_those_that_meet_a_damaged_file_one_examines_it(tmp_path: Path) -> None:
    store, file = spoilt_while_open(tmp_path)
    with store.files._examining, pytest.raises(duckdb.InterruptException, match=r"^others examine files"):
        store.files.damage(file, Limit.after(0.05).guard)
    with store.tables():  # as both do, who have it open still
        assert store.set_aside_damaged([file])
        assert store.files.damage(file) is None
        with pytest.raises(TableDamagedError):
            store.query(f"SELECT message FROM {file.source}", {})  # noqa: S608 - our own name
    store.close()


KILLED = """
import os, sys
from pathlib import Path
from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.collector.rows import counted, mark

store = DuckDbStore(Path(sys.argv[1]))
for number in range(1, 6):
    store.append(counted(number * 10, 10), [mark(number * 10, number * 10 + 9)])
os.kill(os.getpid(), 9)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of five batches of ten whose process was killed: they are in the write-ahead log."""
    data = tmp_path_factory.mktemp("killed")
    assert subprocess.call([sys.executable, "-c", KILLED, str(data)], cwd=ROOT) == -signal.SIGKILL
    return data


@pytest.fixture
def torn(killed: Path, tmp_path: Path) -> Path:
    """The write-ahead log in a copy of that store."""
    for path in killed.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    return next(tmp_path.glob("*.wal"))


def numbers(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last + 1)]


def test_a_log_that_ends_early_gives_the_batches_before(torn: Path) -> None:
    os.truncate(torn, torn.stat().st_size - 1)
    store = DuckDbStore(torn.parent)
    assert (newest(store), store.marks()) == (numbers(10, 49), [mark(10, 49)])
    store.append(counted(50, 1))
    assert newest(store) == numbers(10, 50)
    store.close()


@pytest.mark.parametrize("spoil", ["zeros behind", "garbage in the middle"])
def test_of_a_damaged_log_the_batches_before_the_damage_are_kept(torn: Path, spoil: str) -> None:
    whole = torn.read_bytes()
    middle = len(whole) // 2
    spoilt = whole + bytes(4096) if spoil == "zeros behind" else whole[:middle] + b"spoilt" * 10 + whole[middle + 60 :]
    torn.write_bytes(spoilt)
    store = DuckDbStore(torn.parent)
    found = newest(store)
    assert found == numbers(10, 59) if spoil == "zeros behind" else found in (numbers(10, 29), numbers(10, 39))
    assert store.marks() == [mark(10, int(found[-1]))]
    assert torn.with_name(f"{torn.name}.damaged").read_bytes() == spoilt
    store.append(counted(60, 1))
    store.close()
    store = DuckDbStore(torn.parent)
    assert newest(store) == [*found, "60"]
    store.close()


def old_file(path: Path) -> None:
    """As the first version made it, without the column `event`."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE logs (row_id UBIGINT, observed_timestamp TIMESTAMPTZ, timestamp TIMESTAMPTZ, hostname VARCHAR,"
            " peer VARCHAR, facility UTINYINT, severity UTINYINT, app_name VARCHAR, procid VARCHAR, msgid VARCHAR,"
            " structured_data VARCHAR, message VARCHAR, logger VARCHAR, level VARCHAR, request_id VARCHAR,"
            " instance VARCHAR, project VARCHAR, migration VARCHAR, fields VARCHAR, host_start VARCHAR,"
            " sequence UBIGINT, flags UTINYINT, batch UBIGINT)"
        )
        connection.execute(
            "INSERT INTO logs (row_id, observed_timestamp, peer, facility, severity, message, flags, batch)"
            " VALUES (7, '2027-01-15 11:00:00+00', '192.0.2.7', 16, 6, 'old', 0, 3)"
        )


def test_a_file_of_an_older_version_is_read_and_a_new_one_begun_beside_it(tmp_path: Path) -> None:
    old_file(tmp_path / "logs-2027-01-15.duckdb")
    store = DuckDbStore(tmp_path)
    store.append(counted(1, 1))
    rows = Reader(store).newest(Filter(), 10, 100)
    assert [(row["row_id"], row["message"], row["batch"]) for row in rows] == [(7, "old", 3), (8, "1", 4)]
    assert Reader(store).count(Filter(), ("host",)) == [
        {"host": "compute-01", "count": 1},
        {"host": None, "count": 1},
    ]
    store.close()
    assert names(tmp_path) == ["logs-2027-01-15-000000000008-0.duckdb", "logs-2027-01-15.duckdb"]


def test_a_file_of_an_older_version_that_a_kill_left_with_a_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "logs-2027-01-15.duckdb"
    code = (
        "import os, sys; from pathlib import Path; import duckdb;"
        "from tests.collector.test_data_directory import old_file;"
        "duckdb.DuckDBPyConnection.__exit__ = lambda *_: os.kill(os.getpid(), 9); old_file(Path(sys.argv[1]))"
    )
    assert subprocess.call([sys.executable, "-c", code, str(path)], cwd=ROOT) == -signal.SIGKILL
    assert path.with_name(f"{path.name}.wal").exists()
    store = DuckDbStore(tmp_path)
    store.append(counted(1, 1))
    assert newest(store) == ["old", "1"]
    store.close()


def test_a_file_of_a_newer_version_is_named_and_left_as_it_is(data: Path) -> None:
    with duckdb.connect(str(data / SECOND)) as connection:
        connection.execute("UPDATE about SET schema_version = 999")
    before = (data / SECOND).read_bytes()
    store = DuckDbStore(data)
    assert newest(store) == ["1", "2", "3"]
    assert store.files.refused == {SECOND: f"cannot read {data / SECOND}: its schema is 999, newer than 2"}
    assert check(store.files).problems == [f"{SECOND}: {store.files.refused[SECOND]}"]
    store.append(counted(6, 1))
    assert newest(store) == ["1", "2", "3", "6"]
    store.close()
    assert (data / SECOND).read_bytes() == before


def test_a_file_of_a_newer_duckdb_is_no_damaged_one() -> None:
    class Newer:
        def execute(self, *_: object) -> None:
            raise duckdb.IOException(
                "Trying to read a database file with version number 99, but we can only read versions between 64 and 67"
            )

    with pytest.raises(NewerFileError):
        attach(Newer(), Path(FIRST), "file_1", is_writable=False)  # type: ignore[arg-type]


def test_what_a_kill_left_half_done_goes_at_the_next_start(data: Path) -> None:
    (data / f"unfinished-{FIRST}").write_bytes(b"half")
    (data / "snapshot-1").mkdir()
    os.link(data / FIRST, data / "snapshot-1" / FIRST)
    (data / "tmp").mkdir()
    (data / "tmp" / "x").write_bytes(b"spilled")
    store = DuckDbStore(data)
    assert newest(store) == ["1", "2", "3", "4", "5"]
    store.close()
    assert names(data) == [FIRST, SECOND]


def test_doubled_rows_and_marks_without_rows_are_found_by_a_check(data: Path) -> None:
    with duckdb.connect(str(data / FIRST)) as connection:
        connection.execute("INSERT INTO lines SELECT * FROM lines WHERE row_id = 2")
    with duckdb.connect(str(data / SECOND)) as connection:
        connection.execute("DELETE FROM lines WHERE row_id = 5")
    store = DuckDbStore(data)
    run = mark(1, 1).run.start
    assert check(store.files).problems == [
        f"{FIRST}: 1 row_ids stand there twice",
        f"{FIRST}: 1 lines of run {run} stand there twice",
        f"{SECOND}: 1 marked lines of run {run} are not there",
    ]
    store.close()
