import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.lines import MarkKind
from cloud.logs.collector.storage.inspection import check
from cloud.logs.collector.storage.policy import Policy
from cloud.logs.collector.storage.settings import StoreSettings
from cloud.logs.collector.store import StoreError
from cloud.logs.collector.upkeep import Upkeep
from cloud.logs.query.filter import Filter
from cloud.logs.query.reader import Reader
from tests.collector.rows import DAY_US, HOUR_US, NOON_US, counted, mark, rows_of
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
DAY_S = 86_400


class Clock:
    """The time of the store, which a test moves."""

    def __init__(self) -> None:
        self.now_s = NOON_US / 1e6

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path / "data", StoreSettings(seal_rows=100, checkpoint_bytes=1 << 20), clock)
    yield opened
    opened.close()


@pytest.fixture
def upkeep(store: DuckDbStore) -> Iterator[Upkeep]:
    made = Upkeep(store)
    yield made
    made.stop()


def files(store: DuckDbStore) -> list[tuple[str, bool]]:
    """Names of the files on disk, in order, and whether they are appended to."""
    live = {file.path.name for file in store.live()}
    return [(path.name, path.name in live) for path in sorted(store.files.path.glob("logs-*.duckdb"))]


def newest(store: DuckDbStore) -> list[str]:
    return [row["message"] for row in Reader(store).newest(Filter(), 10_000, store.committed_row_id)]


def numbers(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last + 1)]


def sealed_parts(store: DuckDbStore, upkeep: Upkeep, count: int = 3, observed_us: int = NOON_US) -> None:
    """Sealed files of ten rows each, whose marks say so too."""
    for number in range(count):
        store.append(counted(10 * number, 10, observed_us=observed_us), [mark(10 * number, 10 * number + 9)])
        upkeep.seal()


def test_a_sealed_file_can_be_read_by_another_process_and_a_new_one_takes_rows(
    store: DuckDbStore, upkeep: Upkeep
) -> None:
    store.append(counted(0, 10))
    upkeep.seal()
    store.append(counted(10, 1))
    assert files(store) == [
        ("logs-2027-01-15-000000000001-0.duckdb", False),
        ("logs-2027-01-15-000000000011-0.duckdb", True),
    ]
    code = (
        "import sys, duckdb; c = duckdb.connect(sys.argv[1], read_only=True);"
        "print(c.execute('SELECT count(*) FROM logs').fetchall())"
    )
    path = str(store.files.path / files(store)[0][0])
    assert subprocess.check_output([sys.executable, "-c", code, path], text=True) == "[(10,)]\n"
    assert newest(store) == numbers(0, 10)


def test_a_live_file_is_sealed_by_rows_by_age_and_after_its_day(
    store: DuckDbStore, upkeep: Upkeep, clock: Clock
) -> None:
    def sealed() -> list[bool]:
        upkeep.seal_due()
        return [not is_live for _, is_live in files(store)]

    store.append(counted(0, 99))
    assert sealed() == [False]
    store.append(counted(99, 1))
    assert sealed() == [True]
    store.append(counted(100, 1))
    clock.now_s += 3599
    assert sealed() == [True, False]
    clock.now_s += 1
    assert sealed() == [True, True]
    clock.now_s += 10 * 3600  # until an hour before midnight
    store.append(counted(101, 1, observed_us=NOON_US + 11 * HOUR_US))
    clock.now_s += 3600 - 1
    store.append(counted(102, 1, observed_us=NOON_US + 12 * HOUR_US))
    assert sealed() == [True, True, False, False]
    clock.now_s += 1 + 300
    assert sealed() == [True, True, True, False]
    assert newest(store) == numbers(0, 102)


def test_a_file_that_is_being_read_is_sealed_later(
    store: DuckDbStore, upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.logs.collector.storage.shelf.SWITCH_S", 0.05)
    store.append(counted(0, 3))
    with store.tables() as tables:
        upkeep.seal()
        assert store.query(f"SELECT count(*) AS n FROM {tables[0].sql_name}", {}).to_pylist() == [{"n": 3}]  # noqa: S608
        assert [file.is_writable for file in store.files.shelf.files()] == [True]
        assert store.append(counted(3, 1)) == 1  # nobody waits for that
    upkeep.seal_due()
    assert [file.is_writable for file in store.files.shelf.files()] == [False, True]
    assert newest(store) == numbers(0, 3)


def test_files_of_a_past_day_become_one(store: DuckDbStore, upkeep: Upkeep, clock: Clock) -> None:
    sealed_parts(store, upkeep)
    assert upkeep.merge() == []  # more may come today
    clock.now_s += DAY_S
    assert upkeep.merge() == ["logs-2027-01-15-000000000001-1.duckdb"]
    assert files(store) == [("logs-2027-01-15-000000000001-1.duckdb", False)]
    assert (newest(store), store.marks()) == (numbers(0, 29), [mark(0, 29)])
    assert check(store.files).problems == []
    assert upkeep.merge() == []
    store.append(counted(30, 5))  # late, for the day that was merged
    upkeep.seal()
    assert upkeep.merge() == ["logs-2027-01-15-000000000001-2.duckdb"]
    assert newest(store) == numbers(0, 34)


def test_a_query_goes_on_while_its_files_are_merged(store: DuckDbStore, upkeep: Upkeep, clock: Clock) -> None:
    sealed_parts(store, upkeep)
    clock.now_s += DAY_S
    with store.tables() as tables:
        upkeep.merge()
        for table in tables:
            assert store.query(f"SELECT count(*) AS n FROM {table.sql_name}", {}).to_pylist() == [{"n": 10}]  # noqa: S608
        assert len(tables) == 3
    store.files.let_go()
    assert len(files(store)) == 1
    assert newest(store) == numbers(0, 29)


def test_readers_see_every_row_once_while_files_are_sealed_and_merged(
    store: DuckDbStore, upkeep: Upkeep, clock: Clock
) -> None:
    clock.now_s += DAY_S  # so that all is of a past day
    done = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        reader = Reader(store)
        while not done.is_set():
            committed = reader.committed_row_id
            try:
                found = [row["row_id"] for row in reader.newest(Filter(), 10_000, committed)]
                counts = reader.count(Filter(), ())
            except StoreError as exc:
                wrong.append(exc)
                return
            if found != list(range(1, committed + 1)) or (committed and counts[0]["count"] < committed):
                wrong.append((committed, found, counts))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(12):
        store.append(counted(10 * number, 10))
        upkeep.seal()
        if number % 3 == 2:
            upkeep.merge()
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert newest(store) == numbers(0, 119)


KILLED = """
import os, sys
from pathlib import Path
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.upkeep import Upkeep
from tests.collector.rows import NOON_US, counted, mark

store = DuckDbStore(Path(sys.argv[1]), now_s=lambda: NOON_US / 1e6 + 86_400)
upkeep = Upkeep(store)
for number in range(3):
    store.append(counted(10 * number, 10), [mark(10 * number, 10 * number + 9)])
    if sys.argv[2] == "stop" and number == 2:
        store.stop_appending(lambda _: True)
        os.kill(os.getpid(), 9)
    upkeep.seal()

def die(*_):
    os.kill(os.getpid(), 9)

kind, _, count = sys.argv[2].partition(" ")
if kind == "unlink":
    unlink = Path.unlink
    def counted_unlink(path, *args, **kwargs):
        global count
        if path.name.startswith("logs-") and path.suffix == ".duckdb":
            count = int(count) - 1
            if count < 0:
                die()
        unlink(path, *args, **kwargs)
    Path.unlink = counted_unlink
upkeep._step = lambda name: die() if name == kind else None
upkeep.merge()
die()
"""
STEPS = ["stop", "build", "copy", "publish", "replace", "unlink 0", "unlink 1", "unlink 2", "end"]


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_of_a_merge_neither_loses_nor_doubles_a_row(tmp_path: Path, step: str) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), step]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stderr) == (-signal.SIGKILL, "")
    store = DuckDbStore(tmp_path, now_s=lambda: NOON_US / 1e6 + DAY_S)
    assert (newest(store), store.marks(), store.committed_row_id) == (numbers(0, 29), [mark(0, 29)], 30)
    assert check(store.files).problems == []
    upkeep = Upkeep(store)
    upkeep.seal()
    upkeep.merge()
    assert newest(store) == numbers(0, 29)
    assert [path.name for path in tmp_path.glob("*logs-*")] == ["logs-2027-01-15-000000000001-1.duckdb"]
    upkeep.stop()
    store.close()


@pytest.mark.parametrize("step", ["build", "copy", "publish"])
def test_a_merge_that_fails_leaves_everything_as_it_was(
    store: DuckDbStore, upkeep: Upkeep, clock: Clock, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed_parts(store, upkeep)
    clock.now_s += DAY_S
    before = files(store)

    def full(name: str) -> None:
        if name == step:
            raise OSError("no space left on device")

    monkeypatch.setattr(upkeep, "_step", full)
    with pytest.raises(StoreError, match=r"cannot rewrite logs-2027-01-15-000000000001-0\.duckdb, .*: no space left"):
        upkeep.merge()
    assert files(store) == before
    assert list(store.files.path.glob("unfinished*")) == []
    monkeypatch.undo()
    assert upkeep.merge() == ["logs-2027-01-15-000000000001-1.duckdb"]
    assert newest(store) == numbers(0, 29)


def test_a_damaged_part_is_set_aside_and_the_others_are_merged(
    store: DuckDbStore, upkeep: Upkeep, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed_parts(store, upkeep)
    clock.now_s += DAY_S
    damaged = store.files.shelf.files()[1]
    damage = duckdb.IOException("Corrupt database file: computed checksum 1 does not match stored checksum 2")
    monkeypatch.setattr(store.files, "damage", lambda file, _: damage if file == damaged else None)

    def broken(name: str) -> None:
        if name == "copy":
            raise damage

    monkeypatch.setattr(upkeep, "_step", broken)
    with pytest.raises(StoreError):
        upkeep.merge()
    monkeypatch.setattr(upkeep, "_step", lambda _: None)
    upkeep.merge()
    assert newest(store) == numbers(0, 9) + numbers(20, 29)
    assert store.files.path.joinpath(f"{damaged.path.name}.damaged").exists()


def test_whole_files_expire_by_age_and_their_marks_stay_as_expired(
    store: DuckDbStore, upkeep: Upkeep, clock: Clock
) -> None:
    for day in range(3):
        store.append(
            counted(10 * day, 10, observed_us=NOON_US + day * DAY_US),
            [mark(10 * day, 10 * day + 9), mark(50, 50, start="closed", kind=MarkKind.CLOSED)],
        )
        upkeep.seal()
    clock.now_s += 2 * DAY_S
    policy = Policy.parse("rest 2d")
    would = upkeep.expire(policy, is_dry_run=True)
    assert (would.deleted, would.thinned, would.rows) == (["logs-2027-01-15-000000000001-0.duckdb"], [], 10)
    assert would.freed_bytes > 0
    assert newest(store) == numbers(0, 29)
    assert upkeep.expire(policy) == would
    assert newest(store) == numbers(10, 29)
    closed = mark(50, 50, start="closed", kind=MarkKind.CLOSED)
    kept = [mark(0, 9, kind=MarkKind.EXPIRED), mark(10, 29), closed]
    assert sorted(store.marks(), key=lambda each: each.first) == kept
    assert upkeep.expire(policy).deleted == []
    store.close()
    again = DuckDbStore(store.files.path, now_s=clock)
    assert sorted(again.marks(), key=lambda each: each.first) == kept
    assert check(again.files).problems == []
    again.close()


def test_row_ids_go_on_when_everything_has_expired(store: DuckDbStore, upkeep: Upkeep, clock: Clock) -> None:
    store.append(counted(0, 10), [mark(0, 9)])
    upkeep.seal()
    clock.now_s += 9 * DAY_S
    assert upkeep.expire(Policy.parse("rest 1d")).rows == 10
    assert newest(store) == []
    store.close()
    again = DuckDbStore(store.files.path, now_s=clock)
    assert again.committed_row_id == 10
    assert again.marks() == [mark(0, 9, kind=MarkKind.EXPIRED)]
    again.close()


def test_the_oldest_files_expire_until_the_size_is_kept(store: DuckDbStore, upkeep: Upkeep) -> None:
    for number in range(4):
        store.append(rows_of([os.urandom(50_000).hex() for _ in range(10)], first=number * 10))
        upkeep.seal()
    sizes = [file.path.stat().st_size for file in store.files.shelf.files()]
    policy = Policy({}, max_bytes=sum(sizes[2:]) + 10_000)
    assert upkeep.expire(policy).deleted == [
        "logs-2027-01-15-000000000001-0.duckdb",
        "logs-2027-01-15-000000000011-0.duckdb",
    ]
    assert [row["row_id"] for row in Reader(store).newest(Filter(), 100, 40)] == list(range(21, 41))


def test_rows_of_a_severity_expire_before_the_others(store: DuckDbStore, upkeep: Upkeep, clock: Clock) -> None:
    for day in range(2):
        store.append(
            rows_of(
                ["a", "b", "c", "d"], severities=[7, 6, 7, 3], first=1 + 4 * day, observed_us=NOON_US + day * DAY_US
            ),
            [mark(1 + 4 * day, 4 + 4 * day)],
        )
        upkeep.seal()
    clock.now_s += 3 * DAY_S
    policy = Policy.parse("debug 3d, info 3d, rest 30d")
    gone = upkeep.expire(policy)
    assert (gone.deleted, gone.thinned, gone.rows) == ([], ["logs-2027-01-15-000000000001-0.duckdb"], 3)
    rows = Reader(store).newest(Filter(), 100, 8)
    assert [(row["row_id"], row["message"]) for row in rows] == [(4, "d"), (5, "a"), (6, "b"), (7, "c"), (8, "d")]
    assert store.marks() == [mark(1, 8)]  # what has expired is not missed
    assert check(store.files).problems == []
    assert upkeep.expire(policy).thinned == []


def test_the_threads_seal_merge_and_expire_by_themselves(
    store: DuckDbStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.logs.collector.upkeep.ROUND_S", 0.02)
    monkeypatch.setattr("cloud.logs.collector.upkeep.CHECKPOINT_POLL_S", 0.02)
    broken = threading.Event()
    upkeep = Upkeep(store, Policy.parse("rest 10d"), broken.set)
    clock.now_s += DAY_S
    upkeep.start()
    for number in range(3):
        store.append(counted(100 * number, 100))
        wait_until(lambda: not store.live(), what="the seal")
    merged = "logs-2027-01-15-000000000001-"
    wait_until(lambda: len(files(store)) == 1 and files(store)[0][0].startswith(merged), what="the merge")
    assert newest(store) == numbers(0, 299)
    clock.now_s += 30 * DAY_S
    wait_until(lambda: newest(store) == [], what="the expiry")
    upkeep.stop()
    assert not broken.is_set()


def test_a_large_log_is_written_into_its_file_beside_the_appends(store: DuckDbStore, upkeep: Upkeep) -> None:
    for _ in range(8):
        store.append(rows_of([os.urandom(100_000).hex()]))
    log = next(store.files.path.glob("*.wal"))
    assert log.stat().st_size > 1 << 20
    upkeep.checkpoint()
    assert not log.exists() or log.stat().st_size < 1 << 20
    assert store.append(counted(1, 1)) == 1
    assert len(newest(store)) == 9


def test_on_a_full_disk_nothing_is_lost_by_checkpoint_seal_merge_or_expiry(small_disk: Path, clock: Clock) -> None:
    subprocess.check_call(["mount", "-o", "remount,size=8m", small_disk])
    store = DuckDbStore(small_disk / "data", StoreSettings(checkpoint_bytes=1), clock)
    upkeep = Upkeep(store, Policy.parse("debug 1d"))
    for number in range(2):
        store.append(rows_of([f"{number}"], severities=[7]))
        upkeep.seal()
    store.append(rows_of([os.urandom(1000).hex() for _ in range(1000)]))
    free = os.statvfs(small_disk)
    (small_disk / "filler").write_bytes(b"x" * (free.f_bavail * free.f_frsize))
    upkeep.checkpoint()
    upkeep.seal_due()
    upkeep.seal()
    clock.now_s += 2 * DAY_S
    for work in (upkeep.merge, upkeep.expire):
        with pytest.raises(StoreError):
            work()
    with pytest.raises(StoreError):
        store.append(rows_of([os.urandom(1000).hex() for _ in range(1000)]))
    (small_disk / "filler").unlink()
    assert store.append(rows_of(["again"])) == 1
    upkeep.seal()
    upkeep.merge()
    rows = Reader(store).newest(Filter(), 10_000, store.committed_row_id)
    assert ([row["row_id"] for row in rows], rows[-1]["message"]) == (list(range(1, 1004)), "again")
    upkeep.stop()
    store.close()
    store = DuckDbStore(small_disk / "data", now_s=clock)
    assert (store.committed_row_id, check(store.files).problems) == (1003, [])
    store.close()
