"""`cloud bootstrap`: the first users, a file to sign in with, and nothing at all the second time."""

import re
import shlex
import stat
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloud.cli.bootstrap import bootstrap
from cloud.db.access import AccessTable
from cloud.db.engine import Database, open_database
from cloud.db.projects import ProjectTable
from cloud.db.roles import RoleTable
from cloud.db.schema import sync
from cloud.db.users import UserTable
from cloud.services.identity.passwords import Passwords
from tests.db.conftest import LIMITS, Clock, clock, kind, postgresql, url

__all__ = ["clock", "kind", "postgresql", "url"]

FIRST = """\
role admin: created
role member: created
project admin: created
user admin: created
role admin of user admin in project admin: created
flavors: created
"""
SECOND = """\
role admin: unchanged
role member: unchanged
project admin: unchanged
user admin: unchanged
role admin of user admin in project admin: unchanged
flavors: unchanged
nothing was changed
"""


class Site:
    """A directory with identity.conf, whose database is synced."""

    def __init__(self, directory: Path, url: str) -> None:
        self.directory = directory
        self.url = url
        self.config = directory / "identity.conf"
        self.config.write_text(
            f"[DEFAULT]\nhost = controller\n[database]\nconnection = {url}\n"
            "[identity]\npublic_url = https://cloud.example.org:5000\nregion = Here\n"
        )
        self.openrc = directory / "openrc"

    def run(self, *arguments: str | Path, stdin: str | None = None) -> Result:
        fixed = ["--config-file", str(self.config), "--openrc", str(self.openrc)]
        return CliRunner().invoke(bootstrap, [*fixed, *map(str, arguments)], input=stdin)

    def succeed(self, *arguments: str | Path, stdin: str | None = None) -> str:
        result = self.run(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    def fail(self, *arguments: str | Path, stdin: str | None = None) -> str:
        result = self.run(*arguments, stdin=stdin)
        assert result.exit_code == 1, result.output
        return result.stderr

    def password(self, path: Path | None = None) -> str:
        return environment(path or self.openrc)["OS_PASSWORD"]

    def is_password(self, password: str, user: str = "admin") -> bool:
        with open_database(self.url, LIMITS) as database:
            record = UserTable(database, Clock()).sign_in_record(name=user)
            assert record is not None
            return Passwords(1).matches(record.password_hash, password)

    def names(self) -> list[str]:
        """The files beside the database."""
        return sorted(path.name for path in self.directory.iterdir() if not path.name.startswith("nova.db"))


def environment(openrc: Path) -> dict[str, str]:
    """What a shell makes of the file."""
    script = f"set -eu; . {shlex.quote(str(openrc))}; env -0"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, env={})
    pairs = (pair.split("=", 1) for pair in done.stdout.decode().split("\0") if pair.startswith("OS_"))
    return dict(pairs)


@pytest.fixture
def site(tmp_path: Path, url: str) -> Site:
    with open_database(url, LIMITS) as database:
        sync(database)
    return Site(tmp_path, url)


@pytest.fixture
def local(tmp_path: Path) -> Site:
    return local_site(tmp_path)


def local_site(directory: Path) -> Site:
    url = f"sqlite:///{directory}/nova.db"
    with open_database(url, LIMITS) as database:
        sync(database)
    return Site(directory, url)


def roles_of(database: Database, user: str, project: str) -> list[str]:
    record = UserTable(database, Clock()).sign_in_record(name=user)
    project_id = AccessTable(database, Clock()).project_id_of(project)
    assert record is not None
    assert project_id is not None
    return [role.name for role in RoleTable(database).of(record.user.id, project_id)]


def test_first_run_creates_and_second_run_changes_nothing(site: Site) -> None:
    assert site.succeed() == f"{FIRST}to sign in: . {site.openrc}\n"
    with open_database(site.url, LIMITS) as database:
        assert roles_of(database, "admin", "admin") == ["admin"]
        assert [role.name for role in RoleTable(database).all()] == ["admin", "member"]
        assert [project.name for project in ProjectTable(database, Clock()).all()] == ["admin"]
    written = site.openrc.read_text()
    assert site.succeed() == SECOND
    assert site.openrc.read_text() == written
    assert site.is_password(site.password())


def test_openrc_is_private_and_says_where_and_as_whom(local: Site) -> None:
    local.succeed()
    assert stat.S_IMODE(local.openrc.stat().st_mode) == 0o600
    said = environment(local.openrc)
    password = said.pop("OS_PASSWORD")
    assert re.fullmatch(r"[\w-]{32}", password)
    assert said == {
        "OS_AUTH_URL": "https://cloud.example.org:5000/v2.0",
        "OS_USERNAME": "admin",
        "OS_TENANT_NAME": "admin",
        "OS_PROJECT_NAME": "admin",
        "OS_REGION_NAME": "Here",
    }
    assert local.names() == ["identity.conf", "openrc"]


def test_passwords_differ_and_are_printed_only_on_request(tmp_path: Path) -> None:
    passwords = set()
    for number in range(2):
        directory = tmp_path / str(number)
        directory.mkdir()
        site = local_site(directory)
        output = site.run("--print-password").output if number else site.run().output
        passwords.add(site.password())
        assert (site.password() in output) == bool(number)
    assert len(passwords) == 2


@pytest.mark.parametrize(
    "password", ["swordfish", 'it\'s a "quoted" $HOME `id` \\ one', "пароль-12", " spaces around "]
)
def test_password_may_come_from_a_file_or_standard_input_or_the_prompt(tmp_path: Path, password: str) -> None:
    for way in ("file", "stdin", "prompt"):
        directory = tmp_path / way
        directory.mkdir()
        site = local_site(directory)
        if way == "file":
            (directory / "password").write_text(f"{password}\n")
            output = site.succeed("--password-file", directory / "password")
        elif way == "stdin":
            output = site.succeed("--password-file", "-", stdin=f"{password}\n")
        else:
            output = site.succeed("--prompt", stdin=f"{password}\n{password}\n")
        assert password not in output
        assert site.password() == password
        assert site.is_password(password)


@pytest.mark.parametrize("content", ["", "short\n", "two\nlines of it\n", "x" * 1001, "null\0byte and more"])
def test_password_that_is_none_is_refused_before_anything_is_done(local: Site, content: str) -> None:
    file = local.directory / "password"
    file.write_text(content)
    complaint = local.fail("--password-file", file)
    assert complaint == "Error: a password is one line of 8 to 1000 printable characters\n"
    assert local.succeed("--password-file", "-", stdin="swordfish").startswith(FIRST)


def test_password_file_that_cannot_be_read_is_told(local: Site) -> None:
    missing = local.directory / "missing"
    assert local.fail("--password-file", missing) == f"Error: cannot read {missing}: No such file or directory\n"
    (local.directory / "binary").write_bytes(b"hunter2\xff\xff")
    complaint = local.fail("--password-file", local.directory / "binary")
    assert complaint == f"Error: cannot read {local.directory}/binary: it is not text\n"


def test_no_option_takes_a_password_itself() -> None:
    options = {option for parameter in bootstrap.params for option in parameter.opts}
    assert {option for option in options if "password" in option} == {
        "--password-file",
        "--reset-password",
        "--reset-service-password",
        "--print-password",
    }


def test_file_that_is_there_already_is_not_written_over_and_nothing_is_done(local: Site) -> None:
    local.openrc.write_text("mine")
    assert local.fail() == f"Error: cannot write {local.openrc}: it is there already\n"
    assert local.openrc.read_text() == "mine"
    with open_database(local.url, LIMITS) as database:
        assert UserTable(database, Clock()).all() == ()
    local.openrc.unlink()
    output = local.succeed()
    assert "user admin: created" in output
    assert "role admin: unchanged" in output


def test_link_in_the_files_place_is_not_followed(local: Site) -> None:
    target = local.directory / "target"
    local.openrc.symlink_to(target)
    assert local.fail() == f"Error: cannot write {local.openrc}: it is there already\n"
    assert not target.exists()
    local.succeed("--reset-password")
    assert not target.exists()
    assert not local.openrc.is_symlink()
    assert stat.S_IMODE(local.openrc.stat().st_mode) == 0o600


def test_directory_that_is_missing_is_told_before_anything_is_done(local: Site) -> None:
    local.openrc = local.directory / "none" / "openrc"
    assert local.fail() == f"Error: cannot write {local.openrc}: No such file or directory\n"
    with open_database(local.url, LIMITS) as database:
        assert UserTable(database, Clock()).all() == ()


def test_reset_gives_another_password_and_ends_the_tokens(local: Site) -> None:
    local.succeed()
    old = local.password()
    with open_database(local.url, LIMITS) as database:
        users = UserTable(database, Clock())
        before = users.all(name="admin")[0]
        output = local.succeed("--reset-password")
        after = users.all(name="admin")[0]
    assert "user admin: changed" in output
    assert (before.id, before.token_epoch + 1) == (after.id, after.token_epoch)
    assert local.password() != old
    assert (local.is_password(old), local.is_password(local.password())) == (False, True)
    assert stat.S_IMODE(local.openrc.stat().st_mode) == 0o600


def test_second_run_says_what_it_does_not_do(local: Site) -> None:
    local.succeed()
    local.openrc.unlink()
    result = local.run("--password-file", "-", stdin="swordfish")
    assert (result.exit_code, result.stdout) == (0, SECOND)
    assert result.stderr.splitlines() == [
        f"cloud bootstrap: {local.openrc} is not written: the password that user admin has already is not known here",
        "cloud bootstrap: the password that was given is not used: user admin has one already",
    ]
    assert not local.openrc.exists()


def test_service_user_is_created_on_request_with_a_file_of_its_own(site: Site) -> None:
    file = site.directory / "nova-openrc"
    output = site.succeed("--service-openrc", file)
    assert output == (
        f"{FIRST}role service: created\nproject service: created\nuser nova: created\n"
        f"role service of user nova in project service: created\nto sign in: . {site.openrc}\n"
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    said = environment(file)
    assert (said["OS_USERNAME"], said["OS_TENANT_NAME"]) == ("nova", "service")
    assert site.is_password(said["OS_PASSWORD"], "nova")
    assert said["OS_PASSWORD"] != site.password()
    assert said["OS_PASSWORD"] not in output
    with open_database(site.url, LIMITS) as database:
        assert roles_of(database, "nova", "service") == ["service"]
    assert site.succeed("--service-openrc", file).splitlines()[-1] == "nothing was changed"
    site.succeed("--service-openrc", file, "--reset-service-password")
    assert not site.is_password(said["OS_PASSWORD"], "nova")
    assert site.is_password(site.password(file), "nova")


def test_role_that_was_taken_from_admin_comes_back(local: Site) -> None:
    local.succeed()
    with open_database(local.url, LIMITS) as database:
        roles = RoleTable(database)
        roles.take_away(roles.assignments()[0])
        assert "role admin of user admin in project admin: created" in local.succeed()
        assert roles_of(database, "admin", "admin") == ["admin"]


def test_database_that_was_never_synced_is_told(tmp_path: Path) -> None:
    site = Site(tmp_path, f"sqlite:///{tmp_path}/nova.db")
    assert "run `cloud db sync`" in site.fail()
    assert not site.openrc.exists()


def test_options_that_contradict_each_other_are_told(local: Site) -> None:
    for arguments in (("--prompt", "--password-file", "-"), ("--reset-service-password",)):
        assert local.run(*arguments).exit_code == 2


def test_place_to_sign_in_has_to_be_known(local: Site) -> None:
    local.config.write_text(f"[database]\nconnection = {local.url}\n[identity]\nport = 0\n")
    assert local.fail() == (
        "Error: cannot tell where to sign in: option [identity] public_url is not set, and port is 0\n"
    )
