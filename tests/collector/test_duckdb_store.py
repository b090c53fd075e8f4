import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.lines import Mark, MarkKind
from cloud.logs.collector.row import RECEIVED
from cloud.logs.collector.storage import datafile
from cloud.logs.collector.storage.datafile import DataFile
from cloud.logs.collector.store import Keep, StoreError, Table
from cloud.logs.collector.upkeep import Upkeep
from cloud.logs.query.filter import Filter
from cloud.logs.query.reader import Reader
from tests.collector.rows import DAY_US, NOON_US, counted, mark, rows_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path / "data")
    yield opened
    opened.close()


def tables(store: DuckDbStore) -> list[Table]:
    with store.tables() as found:
        return list(found)


def messages(store: DuckDbStore) -> list[str]:
    """Every stored message by row_id."""
    found = [
        row
        for table in tables(store)
        for row in store.query(f"SELECT row_id, message FROM {table.sql_name}", {}).to_pylist()  # noqa: S608
    ]
    return [row["message"] for row in sorted(found, key=lambda row: row["row_id"])]


def test_what_is_appended_is_queryable_with_growing_ids(store: DuckDbStore) -> None:
    assert store.append(counted(0, 3)) == 3
    assert store.append(counted(3, 2)) == 2
    [table] = tables(store)
    assert table == Table("2027-01-15", table.sql_name, 1, 5)
    assert store.committed_row_id == 5
    assert store.query(
        f"SELECT row_id, batch, message FROM {table.sql_name} WHERE message >= $least ORDER BY row_id",  # noqa: S608
        {"least": "2"},
    ).to_pylist() == [
        {"row_id": 3, "batch": 1, "message": "2"},
        {"row_id": 4, "batch": 2, "message": "3"},
        {"row_id": 5, "batch": 2, "message": "4"},
    ]


def test_an_empty_store_has_no_tables(store: DuckDbStore) -> None:
    assert (tables(store), store.committed_row_id) == ([], 0)
    assert store.append(counted(0, 0)) == 0
    assert tables(store) == []


def test_a_batch_with_a_bad_row_is_not_stored_at_all(store: DuckDbStore) -> None:
    store.append(counted(0, 2))
    good = counted(2, 3)
    place = good.column_names.index("message")
    bad = good.set_column(place, "message", pa.array(["2", None, "4"]))
    with pytest.raises(StoreError, match=r"cannot append to the store of 2027-01-15: .*NOT NULL") as caught:
        store.append(bad)
    assert caught.value.is_lasting
    assert (messages(store), store.committed_row_id) == (["0", "1"], 2)
    store.append(good)
    assert (messages(store), store.committed_row_id) == (["0", "1", "2", "3", "4"], 5)


def test_row_ids_and_batches_go_on_after_reopening(tmp_path: Path) -> None:
    for first in (0, 2):
        store = DuckDbStore(tmp_path)
        store.append(counted(first, 2))
        store.close()
    store = DuckDbStore(tmp_path)
    assert store.committed_row_id == 4
    assert store.query(f"SELECT row_id, batch FROM {tables(store)[0].sql_name} ORDER BY 1", {}).to_pylist() == [  # noqa: S608
        {"row_id": 1, "batch": 1},
        {"row_id": 2, "batch": 1},
        {"row_id": 3, "batch": 2},
        {"row_id": 4, "batch": 2},
    ]
    store.close()


def test_each_day_of_arrival_has_its_file(tmp_path: Path) -> None:
    store = DuckDbStore(tmp_path)
    store.append(counted(0, 1, observed_us=NOON_US - DAY_US))
    store.append(counted(1, 1))
    store.append(counted(2, 1, observed_us=NOON_US - DAY_US))
    assert [(t.day, t.first_row_id, t.last_row_id) for t in tables(store)] == [
        ("2027-01-14", 1, 3),
        ("2027-01-15", 2, 2),
    ]
    store.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "lock",
        "logs-2027-01-14-000000000001-0.duckdb",
        "logs-2027-01-15-000000000002-0.duckdb",
    ]
    store = DuckDbStore(tmp_path)
    assert (messages(store), store.committed_row_id) == (["0", "1", "2"], 3)
    store.close()


def test_nul_and_long_messages_come_back_as_they_were(store: DuckDbStore) -> None:
    long = "ü" * 500_000
    store.append(rows_of(["a\0b\0", long]))
    assert messages(store) == ["a\0b\0", long]


def test_times_are_utc_wherever_the_machine_is(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from cloud.logs.collector.duckdb_store import DuckDbStore;"  # noqa: S608 - a program
        "from tests.collector.rows import counted;"
        f"store = DuckDbStore(Path({str(tmp_path)!r})); store.append(counted(0, 1));"
        "table = store.live()[0].source;"
        "print(store.query('SELECT observed_timestamp FROM ' + table, {})[0][0].as_py()); store.close()"
    )
    in_tokyo = {**os.environ, "TZ": "Asia/Tokyo"}
    output = subprocess.check_output([sys.executable, "-c", code], env=in_tokyo, text=True, cwd=ROOT)
    assert output == "2027-01-15 12:00:00+00:00\n"


def test_a_second_writer_is_refused(store: DuckDbStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"cannot use data directory {tmp_path / 'data'}: another collector has it"):
        DuckDbStore(tmp_path / "data")
    store.append(counted(0, 1))


def test_a_closed_store_can_be_opened_again(tmp_path: Path) -> None:
    DuckDbStore(tmp_path).close()
    DuckDbStore(tmp_path).close()


def test_the_directory_is_ours_alone(store: DuckDbStore, tmp_path: Path) -> None:
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=f"cannot use data directory {tmp_path / 'file' / 'data'}: "):
        DuckDbStore(tmp_path / "file" / "data")


def test_other_files_in_the_directory_are_left_alone(tmp_path: Path) -> None:
    for name in ("notes.txt", "logs-old.duckdb", "logs-2027-01-15.duckdb.bak"):
        (tmp_path / name).write_text("mine")
    store = DuckDbStore(tmp_path)
    store.append(counted(0, 1))
    store.close()
    assert (tmp_path / "logs-old.duckdb").read_text() == "mine"


def test_a_query_that_is_refused_says_so(store: DuckDbStore) -> None:
    with pytest.raises(StoreError, match="cannot query the store: "):
        store.query("SELECT * FROM nowhere", {})
    assert store.append(counted(0, 1)) == 1


def test_commits_are_told_until_unsubscribed_and_failures_are_not(store: DuckDbStore) -> None:
    seen: list[int] = []
    stop = store.on_commit(lambda: seen.append(store.committed_row_id))
    store.append(counted(0, 2))
    with pytest.raises(StoreError):
        store.append(counted(2, 1).set_column(1, "timestamp", pa.array(["no time"])))
    store.append(counted(2, 1))
    stop()
    store.append(counted(3, 1))
    assert seen == [2, 3]


def test_who_sees_a_committed_row_id_finds_its_row(store: DuckDbStore) -> None:
    store.append(counted(0, 1))
    missing: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            committed = store.committed_row_id
            if tables(store)[0].last_row_id < committed:
                missing.append(committed)
            [row] = store.query(f"SELECT max(row_id) AS last FROM {tables(store)[0].sql_name}", {}).to_pylist()  # noqa: S608
            if row["last"] < committed:
                missing.append(committed)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1, 150):
        store.append(counted(number, 1))
    done.set()
    for reader in readers:
        reader.join()
    assert missing == []


KILLED = """
import sys
from pathlib import Path
from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.collector.rows import counted

store = DuckDbStore(Path(sys.argv[1]))
number = store.committed_row_id
while True:
    number += store.append(counted(number, 1 + number % 700))
    print(number, flush=True)
"""


def test_what_was_committed_survives_kill_9_and_nothing_is_there_twice(tmp_path: Path) -> None:
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert process.stdout is not None
        for _ in range(25):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        reported = [int(line) for line in process.stdout.read().splitlines()]
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
        store = DuckDbStore(tmp_path)
        found = messages(store)
        assert found == [str(number) for number in range(len(found))]
        assert store.committed_row_id == len(found)
        assert len(found) >= max(reported, default=1)
        store.close()


def fill(disk: Path, free_bytes: int = 0) -> Path:
    """Leave so much room; the file that takes the rest."""
    filler, room = disk / "filler", os.statvfs(disk)
    filler.write_bytes(b"x" * (room.f_bavail * room.f_frsize - free_bytes))
    return filler


def incompressible(rows: int) -> pa.Table:
    return rows_of([os.urandom(500).hex() for _ in range(rows)])


@pytest.mark.parametrize(
    ("size", "rows"), [("2m", 100), ("2m", 20_000), ("24m", 5000)], ids=["write-ahead log", "row group", "checkpoint"]
)
def test_a_full_disk_refuses_batches_whole_and_takes_them_when_there_is_room(
    small_disk: Path, size: str, rows: int
) -> None:
    subprocess.check_call(["mount", "-o", f"remount,size={size}", small_disk])
    store = DuckDbStore(small_disk / "data")
    stored = 0
    batch = incompressible(rows)
    store.append(counted(0, 1))
    with pytest.raises(StoreError) as caught:  # noqa: PT012 - how many batches fit is the file system's business
        for _ in range(100):
            stored += store.append(batch)
    for _ in range(2):  # it stays refused, for the same passing reason
        assert not caught.value.is_lasting
        with pytest.raises(StoreError) as caught:
            store.append(batch)
    subprocess.check_call(["mount", "-o", "remount,size=100m", small_disk])
    assert store.append(batch) == rows
    assert len(messages(store)) == store.committed_row_id == stored + rows + 1
    store.close()
    store = DuckDbStore(small_disk / "data")
    assert len(messages(store)) == store.committed_row_id == stored + rows + 1
    store.close()


@pytest.mark.parametrize("words", ["the database has been invalidated", "fsync failed"])
def test_a_commit_that_was_said_to_fail_and_did_not_is_stored_once(tmp_path: Path, words: str) -> None:
    class Lying(DuckDbStore):
        is_lying = True

        def _insert(self, rows: pa.Table | None, marks: Sequence[Mark], keep: Keep | None, file: DataFile) -> None:
            super()._insert(rows, marks, keep, file)
            if self.is_lying:
                raise duckdb.IOException(words)

    store = Lying(tmp_path)
    with pytest.raises(StoreError):
        store.append(counted(0, 3), [mark(0, 2)])
    assert store.committed_row_id == 0
    store.is_lying = False
    assert store.append(counted(0, 3), [mark(0, 2)]) == 3
    assert store.append(counted(3, 1)) == 1
    assert (messages(store), store.committed_row_id) == (["0", "1", "2", "3"], 4)
    assert (store.marks(), store.live()[0].rows) == ([mark(0, 2)], 4)
    store.close()


@pytest.mark.parametrize("free_bytes", [0, 4096, 8192, 12288])
def test_a_day_that_begins_on_a_full_disk_is_stored_when_there_is_room(small_disk: Path, free_bytes: int) -> None:
    store = DuckDbStore(small_disk / "data")
    store.append(counted(0, 1, observed_us=NOON_US - DAY_US))
    filler = fill(small_disk, free_bytes)
    with pytest.raises(StoreError):
        store.append(counted(1, 1))
    filler.unlink()
    assert store.append(counted(1, 1)) == 1
    store.close()
    store = DuckDbStore(small_disk / "data")
    assert messages(store) == ["0", "1"]
    store.close()


def test_a_day_that_began_on_a_full_disk_does_not_keep_the_store_from_opening(small_disk: Path) -> None:
    store = DuckDbStore(small_disk / "data")
    filler = fill(small_disk, 4096)
    with pytest.raises(StoreError):
        store.append(counted(0, 1))
    store.close()
    filler.unlink()
    store = DuckDbStore(small_disk / "data")
    assert store.append(counted(0, 1)) == 1
    store.close()


def test_rows_and_marks_commit_together_or_not_at_all(store: DuckDbStore) -> None:
    store.append(counted(1, 3), [mark(1, 3)])
    bad = rows_of(["4", "5"]).set_column(11, "message", pa.array(["4", None]))
    with pytest.raises(StoreError):
        store.append(bad, [mark(4, 5)])
    assert (messages(store), store.marks()) == (["1", "2", "3"], [mark(1, 3)])


def test_marks_that_touch_are_one_and_the_oldest_run_comes_first(store: DuckDbStore) -> None:
    store.append(counted(1, 2), [mark(1, 2, start="z"), mark(5, 5, host="compute-02", start="y")])
    store.append(counted(3, 2), [mark(3, 4, start="z"), mark(7, 9, start="z"), mark(1, 1, start="a")])
    store.append(counted(5, 1), [mark(8, 10, start="z"), mark(8, 8, start="z", kind=MarkKind.WAIVED)])
    assert store.marks() == [
        mark(1, 4, start="z"),
        mark(7, 10, start="z"),
        mark(8, 8, start="z", kind=MarkKind.WAIVED),
        mark(5, 5, host="compute-02", start="y"),
        mark(1, 1, start="a"),
    ]


def test_marks_come_back_after_reopening_and_can_come_alone(tmp_path: Path) -> None:
    store = DuckDbStore(tmp_path)
    store.append(counted(1, 2, observed_us=NOON_US - DAY_US), [mark(1, 2)])
    store.append(counted(3, 2), [mark(3, 4)])
    store.record([mark(6, 6, kind=MarkKind.WAIVED)])
    store.close()
    store = DuckDbStore(tmp_path)
    assert store.marks() == [mark(1, 4), mark(6, 6, kind=MarkKind.WAIVED)]
    assert (store.committed_row_id, messages(store)) == (4, ["1", "2", "3", "4"])
    store.close()


def test_rows_that_are_not_kept_leave_no_hole_in_the_row_ids(store: DuckDbStore) -> None:
    rows = counted(1, 6)
    for number, field in enumerate(rows.schema):
        if field.type == pa.string():  # as the parser hands them over: views into the received bytes
            rows = rows.set_column(number, field.name, rows.column(number).cast(pa.string_view()))
    assert store.append(rows, keep=np.array([True, False, True, False, False, True])) == 3
    assert store.append(rows, keep=np.zeros(6, np.bool_)) == 0
    assert store.append(counted(7, 1)) == 1
    [table] = tables(store)
    found = store.query(f"SELECT row_id, message FROM {table.sql_name} ORDER BY row_id", {})  # noqa: S608 - our name
    assert found.to_pylist() == [
        {"row_id": 1, "message": "1"},
        {"row_id": 2, "message": "3"},
        {"row_id": 3, "message": "6"},
        {"row_id": 4, "message": "7"},
    ]


def test_what_is_stored_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = DuckDbStore(tmp_path / "data")
        store.append(counted(1, 1))
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()}
        store.close()
    finally:
        os.umask(before)
    name = "logs-2027-01-15-000000000001-0.duckdb"
    assert modes == {"lock": 0o600, name: 0o600, f"{name}.wal": 0o600}
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_every_column_of_the_row_is_stored() -> None:
    assert {column.name for column in RECEIVED} == {
        "observed_timestamp",
        "timestamp",
        "hostname",
        "peer",
        "facility",
        "severity",
        "app_name",
        "procid",
        "msgid",
        "structured_data",
        "message",
        "logger",
        "level",
        "request_id",
        "instance",
        "project",
        "event",
        "migration",
        "fields",
        "host_start",
        "sequence",
        "flags",
    }


def test_a_file_is_whole_when_it_is_made_whoever_has_looked_at_all_databases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB detaches what somebody holds, and writes it only when that one lets go."""
    holders: list[duckdb.DuckDBPyConnection] = []
    build = datafile.build

    def held(connection: duckdb.DuckDBPyConnection, path: Path, database: str, origin: datafile.Origin) -> Path:
        built = build(connection, path, database, origin)
        holder = connection.cursor()
        holder.execute("BEGIN")
        holder.execute(f"SELECT count(*) FROM {database}.lines").fetchall()  # noqa: S608 - our own name
        holders.append(holder)
        return built

    monkeypatch.setattr(datafile, "build", held)
    store = DuckDbStore(tmp_path)
    assert store.append(counted(1, 3)) == 3
    for holder in holders:
        holder.close()
    assert len(holders) == 1
    store.close()
    store = DuckDbStore(tmp_path)
    assert [row["message"] for row in Reader(store).newest(Filter(), 10, store.committed_row_id)] == ["1", "2", "3"]
    store.close()


def test_a_file_that_somebody_holds_for_a_moment_is_sealed_all_the_same(tmp_path: Path) -> None:
    store = DuckDbStore(tmp_path)
    store.append(counted(1, 3))
    [file] = store.live()
    holder = store.files.connection.cursor()
    holder.execute("BEGIN")
    holder.execute(f"SELECT count(*) FROM {file.database}.lines").fetchall()  # noqa: S608 - our own name
    letting_go = threading.Timer(0.3, holder.close)
    letting_go.start()
    Upkeep(store).seal()
    letting_go.join()
    assert [each.is_writable for each in store.files.shelf.files()] == [False]
    assert store.files.refused == {}
    store.close()
