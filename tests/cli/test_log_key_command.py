"""`cloud log key`: make, list, revoke."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloud.cli.log_key import key as command
from cloud.logs.query.access.keys import KeyFile


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_a_key_is_shown_once_and_listed_without_it(tmp_path: Path) -> None:
    made = run("create", "--data", tmp_path, "--role", "operator", "--expires", "30d", "grafana")
    assert made.exit_code == 0, made.output
    text = made.stdout.strip()
    assert text.startswith("cloudlog_")
    assert "key grafana: operator until " in made.stderr
    assert "it is shown this once" in made.stderr
    [key] = (KeyFile(tmp_path).read() or {}).values()
    assert key.expires_at is not None
    assert (key.expires_at - key.created_at).total_seconds() == pytest.approx(30 * 86_400, abs=2)
    listed = run("list", "--data", tmp_path)
    assert listed.stdout.startswith("grafana operator since ")
    assert text.rpartition("_")[2] not in listed.output


def test_a_reader_may_be_for_one_project(tmp_path: Path) -> None:
    assert run("create", "--data", tmp_path, "--role", "reader", "--project", "red", "alice").exit_code == 0
    assert run("create", "--data", tmp_path, "--role", "reader", "bob").exit_code == 0
    lines = run("list", "--data", tmp_path).stdout.splitlines()
    assert [line.split(" since ")[0].split() for line in lines] == [["alice", "reader"], ["bob", "reader"]]
    assert lines[0].endswith(" of project red")
    assert "project" not in lines[1]


def test_a_revoked_key_is_gone(tmp_path: Path) -> None:
    run("create", "--data", tmp_path, "--role", "admin", "alice")
    assert run("revoke", "--data", tmp_path, "alice").stdout == "key alice is revoked\n"
    assert run("list", "--data", tmp_path).stdout == ""
    again = run("revoke", "--data", tmp_path, "alice")
    assert again.exit_code == 1
    assert "cannot revoke key alice: there is none of that name" in again.output


REFUSED = [
    ("no role", ("alice",), 2, "Missing option '--role'"),
    ("a role that there is not", ("--role", "root", "alice"), 2, "'root' is not one of"),
    (
        "an operator of a project",
        ("--role", "operator", "--project", "red", "alice"),
        2,
        "--project is for --role reader",
    ),
    ("a span that is none", ("--role", "reader", "--expires", "soon", "alice"), 2, "not a time span"),
    ("no time at all", ("--role", "reader", "--expires", "0", "alice"), 2, "more than 0"),
    ("for too long", ("--role", "reader", "--expires", "999999999d", "alice"), 2, "beyond the year 9999"),
    ("a name that is none", ("--role", "reader", "a b"), 1, "cannot create key 'a b'"),
    (
        "a project that is none",
        ("--role", "reader", "--project", "a b", "alice"),
        1,
        "cannot create key 'alice': project",
    ),
]


@pytest.mark.parametrize(("arguments", "code", "cause"), [pytest.param(*rest, id=name) for name, *rest in REFUSED])
def test_what_cannot_be_made_is_refused(tmp_path: Path, arguments: tuple[str, ...], code: int, cause: str) -> None:
    result = run("create", "--data", tmp_path, *arguments)
    assert result.exit_code == code
    assert cause in result.output
    assert KeyFile(tmp_path).read() is None


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{")
    result = run("list", "--data", tmp_path)
    assert result.exit_code == 1
    assert f"cannot read keys {tmp_path / 'keys.json'}" in result.output
