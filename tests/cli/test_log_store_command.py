"""`cloud log store` on a directory, and the same on a collector that has it open."""

import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import httpx
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from cloud.cli.log_store import store as command
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.access.keys import KEYS, KeyFile, Wanted
from cloud.logs.query.access.principal import Principal
from cloud.logs.query.access.roles import Role
from cloud.logs.query.saved.search import SearchContent
from cloud.logs.query.saved.searches import SEARCHES, Searches
from tests.cli.keeping import NOON_S, Running, fill
from tests.collector.rows import mark

FIRST = "logs-2027-01-14-000000000001-0.duckdb"
SECOND = "logs-2027-01-15-000000000004-0.duckdb"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    fill(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(params=["directory", "collector"])
def options(data: Path, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    if request.param == "directory":
        yield ["--data", str(data), "--url", "http://127.0.0.1:1"]
        return
    with Running(data) as running:
        yield ["--data", str(data), "--url", running.url]


def run(name: str, *arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [name, *map(str, arguments)], catch_exceptions=False)


def test_stats_show_files_and_shares(options: list[str]) -> None:
    result = run("stats", *options)
    assert result.exit_code == 0, result.output
    first, second, total, *hosts = result.output.splitlines()
    assert first.split()[:1] + first.split()[2:4] == [FIRST, "3", "rows"]
    assert first.endswith("B  2027-01-14T12:00:00Z - 2027-01-14T12:00:00Z")
    assert second.endswith("B  2027-01-15T12:00:00Z - 2027-01-15T13:00:00Z")
    assert total.startswith("5 rows, ")
    assert [line.split() for line in hosts] == [
        ["compute-01", "4", "rows", "80.0", "%"],
        ["compute-02", "1", "rows", "20.0", "%"],
    ]


def test_a_check_of_a_sound_store_finds_nothing(options: list[str]) -> None:
    result = run("check", *options)
    assert (result.exit_code, result.output) == (0, "5 rows read, 0 problems\n")


def test_a_check_names_what_is_wrong_and_fails(data: Path) -> None:
    with duckdb.connect(str(data / SECOND)) as connection:
        connection.execute("DELETE FROM lines WHERE row_id = 5")
    (data / FIRST).write_bytes(b"")
    result = run("check", "--data", data)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{FIRST}.damaged: was damaged and is set aside",
        f"{SECOND}: 1 marked lines of run {mark(1, 1).run.start} are not there",
        "1 rows read, 2 problems",
    ]


def test_expiring_says_what_goes_and_does_it_unless_told_not_to(options: list[str], data: Path) -> None:
    retention = ["--retention", "max_gb 0.001"]
    would = run("expire", *options, *retention, "--dry-run")
    assert (would.exit_code, would.output.splitlines()[0]) == (0, f"would delete {FIRST}")
    assert (data / FIRST).exists()
    done = run("expire", *options, *retention)
    assert (done.exit_code, done.output.splitlines()[0]) == (0, f"delete {FIRST}")
    assert not (data / FIRST).exists()


def test_without_a_policy_that_of_the_collector_holds(data: Path) -> None:
    with Running(data) as running:
        done = run("expire", "--data", data, "--url", running.url)
    assert done.output.splitlines()[0] == f"delete {FIRST}"
    alone = run("expire", "--data", data)
    assert alone.exit_code == 1
    assert "cannot expire without --retention" in alone.output


def test_a_wrong_policy_is_named(options: list[str]) -> None:
    result = run("expire", *options, "--retention", "debug soon")
    assert result.exit_code == 1
    assert "cannot use retention 'debug soon': expected an age" in result.output


def test_a_backup_is_restored_into_an_empty_directory(options: list[str], data: Path, tmp_path: Path) -> None:
    result = run("backup", *options, tmp_path / "backup")
    assert (result.exit_code, result.output) == (0, f"2 files in {tmp_path / 'backup'}\n")
    assert list(data.glob("snapshot-*")) == []
    again = run("backup", *options, tmp_path / "backup")
    assert again.exit_code == 1
    assert "backup: it is not an empty directory" in again.output
    restored = run("restore", "--data", tmp_path / "new", tmp_path / "backup")
    assert (restored.exit_code, restored.output) == (0, f"2 files in {tmp_path / 'new'}\n")
    assert run("check", "--data", tmp_path / "new").output == "5 rows read, 0 problems\n"
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    store = DuckDbStore(tmp_path / "new", now_s=lambda: NOON_S)
    assert (len(store.marks()), store.committed_row_id) == (2, 5)
    store.close()


def test_a_backup_has_keys_and_saved_searches_for_its_owner_alone(
    options: list[str], data: Path, tmp_path: Path
) -> None:
    KeyFile(data).create(Wanted("night-watch", Role.READER))
    Searches(data).create(Principal("key night-watch", Role.READER), SearchContent(name="errors", query="é"))
    result = run("backup", *options, tmp_path / "backup")
    assert (result.exit_code, result.output) == (0, f"4 files in {tmp_path / 'backup'}\n")
    KeyFile(data).revoke("night-watch")  # what is backed up stays as it was
    assert run("restore", "--data", tmp_path / "new", tmp_path / "backup").exit_code == 0
    assert run("check", "--data", tmp_path / "new").output == "5 rows read, 0 problems\n"
    [key] = (KeyFile(tmp_path / "new").read() or {}).values()
    [search] = Searches(tmp_path / "new").visible_to(Principal("key night-watch", Role.READER))
    assert (key.name, search.query) == ("night-watch", "é")
    kept = [tmp_path / place / name for place in ("backup", "new") for name in (KEYS, SEARCHES)]
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}


def test_a_directory_with_anything_in_it_is_not_restored_into(data: Path, tmp_path: Path) -> None:
    run("backup", "--data", data, tmp_path / "backup")
    before = sorted(path.name for path in data.iterdir())
    result = run("restore", "--data", data, tmp_path / "backup")
    assert result.exit_code == 1
    assert f"cannot restore into {data}: it is not an empty directory" in result.output
    assert sorted(path.name for path in data.iterdir()) == before


def test_a_backup_that_is_not_whole_is_refused_before_anything_is_written(data: Path, tmp_path: Path) -> None:
    run("backup", "--data", data, tmp_path / "backup")
    os.truncate(tmp_path / "backup" / FIRST, 4096)
    result = run("restore", "--data", tmp_path / "new", tmp_path / "backup")
    assert f"{FIRST} is not there as it was backed up" in result.output
    (tmp_path / "backup" / "backup.json").unlink()
    result = run("restore", "--data", tmp_path / "new", tmp_path / "backup")
    assert "it is no finished backup" in result.output
    assert not (tmp_path / "new").exists()


def test_rows_are_exported_under_names_that_others_know(options: list[str], tmp_path: Path) -> None:
    target = tmp_path / "rows.parquet"
    result = run("export", *options, "--since", "2027-01-15", "--host", "compute-01", target)
    assert (result.exit_code, result.output) == (0, f"1 rows in {target} (parquet)\n")
    [row] = pq.read_table(target).to_pylist()
    assert row["event.ingested"].isoformat() == "2027-01-15T12:00:00+00:00"
    assert {key: value for key, value in row.items() if value is not None and key != "event.ingested"} == {
        "host.name": "compute-01",
        "source.address": "192.0.2.7",
        "log.syslog.facility.code": 16,
        "log.syslog.severity.code": 6,
        "service.name": "nova-api",
        "message": "4",
        "cloudlog.host_start": mark(1, 1).run.start,
        "event.sequence": 4,
        "cloudlog.flags": 0,
        "cloudlog.row_id": 4,
        "cloudlog.batch": 2,
    }
    again = run("export", *options, target)
    assert again.exit_code == 1
    assert "exists" in again.output


def test_the_collector_lets_in_only_who_can_read_its_directory(data: Path) -> None:
    with Running(data) as running, httpx.Client(base_url=f"{running.url}/api/v1/store", trust_env=False) as http:
        for method, path in (("GET", "/stats"), ("POST", "/check"), ("POST", "/expire"), ("POST", "/snapshots")):
            answer = http.request(method, path, json={}, headers={"X-Store-Key": "guessed"})
            assert (answer.status_code, answer.json()["detail"]) == (
                403,
                f"cannot use the store: the key is not that of {data}",
            )
        assert (data / "store-key").stat().st_mode & 0o777 == 0o600
        key = {"X-Store-Key": (data / "store-key").read_text()}
        assert http.delete("/snapshots/tmp", headers=key).status_code == 404
        assert http.delete("/snapshots/snapshot-..%2F..", headers=key).status_code == 404
    assert (data / FIRST).exists()


def test_the_key_of_the_store_crosses_no_network_in_plain_text(data: Path) -> None:
    with Running(data):
        result = run("stats", "--data", data, "--url", "http://192.0.2.1:8080")
    assert result.exit_code == 1
    assert "cannot send a key to http://192.0.2.1:8080: without https that network could read it" in result.output


def test_a_collector_that_is_not_there_is_named(data: Path) -> None:
    with Running(data):
        result = run("stats", "--data", data, "--url", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert "cannot ask the collector at http://127.0.0.1:1" in result.output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_puts_into_a_directory_belongs_to_whom_that_does(data: Path, tmp_path: Path) -> None:
    KeyFile(data).create(Wanted("night-watch", Role.READER))
    run("backup", "--data", data, tmp_path / "backup")
    new = tmp_path / "new"
    new.mkdir()
    os.chown(new, 4711, 4712)
    assert run("restore", "--data", new, tmp_path / "backup").exit_code == 0
    assert owners(new) == dict.fromkeys((KEYS, FIRST, SECOND), (4711, 4712))
    expired = run("expire", "--data", new, "--retention", "max_gb 0.001")
    assert expired.exit_code == 0, expired.output
    [begun] = owners(new).keys() - {KEYS, FIRST, SECOND, "lock"}
    assert begun.endswith("-000000000006-0.duckdb")
    assert owners(new) == dict.fromkeys((KEYS, "lock", begun), (4711, 4712))


def owners(directory: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_uid, path.stat().st_gid) for path in directory.iterdir()}
