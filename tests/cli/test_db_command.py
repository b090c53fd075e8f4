"""`cloud db`: the schema's revision, and errors of one line."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloud.cli.main import cli


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "nova.conf"
    file.write_text(f"[DEFAULT]\nhost = controller\n[database]\nconnection = sqlite:///{tmp_path}/nova.db\n")
    return file


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["db", *map(str, arguments)])


def complaint_of(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    return result.stderr


def test_sync_says_the_revision_and_may_be_repeated(config: Path) -> None:
    for _ in range(2):
        result = run("sync", "--config-file", config)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "0006\n", "")
    result = run("version", "--config-file", config)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "0006\n", "")


def test_version_of_a_database_that_was_never_synced_says_what_mends_it(config: Path, tmp_path: Path) -> None:
    result = run("version", "--config-file", config)
    assert (result.exit_code, result.stdout) == (1, "none\n")
    assert result.stderr == (
        f"Error: cannot use the schema of database sqlite:///{tmp_path}/nova.db: it has no revision, and this code "
        "needs 0006: run `cloud db sync`\n"
    )


def test_later_file_wins(config: Path, tmp_path: Path) -> None:
    later = tmp_path / "nova-api.conf"
    later.write_text(f"[database]\nconnection = sqlite:///{tmp_path}/other.db\n")
    assert run("sync", "--config-file", config, "--config-file", later).exit_code == 0
    assert (tmp_path / "other.db").exists()
    assert not (tmp_path / "nova.db").exists()


def test_missing_connection_missing_file_and_missing_directory_are_told(tmp_path: Path) -> None:
    file = tmp_path / "nova.conf"
    assert f"cannot read configuration {file}" in complaint_of("sync", "--config-file", file)
    file.write_text("[DEFAULT]\nhost = controller\n")
    assert complaint_of("sync", "--config-file", file) == (
        "Error: cannot use a database: option [database] connection is not set\n"
    )
    file.write_text(f"[DEFAULT]\nhost = controller\n[database]\nconnection = sqlite:///{tmp_path}/none/nova.db\n")
    assert complaint_of("sync", "--config-file", file).endswith(f": there is no directory {tmp_path}/none\n")


def test_bad_url_is_told_without_its_password(tmp_path: Path) -> None:
    file = tmp_path / "nova.conf"
    file.write_text("[database]\nconnection = postgresql://nova:hunter2@db:port/nova\n")
    complaint = complaint_of("version", "--config-file", file)
    assert complaint.startswith(f"Error: cannot use option [database] connection of {file}: a database URL reads ")
    assert "hunter2" not in complaint
