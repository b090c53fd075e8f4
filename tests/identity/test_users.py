"""The table of users, on both databases."""

import pytest

from cloud.db.engine import Database
from cloud.db.projects import ProjectTable
from cloud.db.roles import RoleTable
from cloud.db.users import NewUser, UserChange, UserTable
from cloud.domain.identity import Assignment
from cloud.errors import ConflictError, NotFoundError
from tests.db.conftest import Clock

NOBODY = "0" * 32


@pytest.fixture
def users(database: Database, clock: Clock) -> UserTable:
    return UserTable(database, clock)


@pytest.fixture
def projects(database: Database, clock: Clock) -> ProjectTable:
    return ProjectTable(database, clock)


def test_user_is_found_by_id_and_by_name_as_created(users: UserTable) -> None:
    alice = users.create(NewUser("alice", "hash", email="alice@example.org"))
    assert (alice.name, alice.email, alice.is_enabled, alice.default_project_id) == (
        "alice",
        "alice@example.org",
        True,
        None,
    )
    assert users.get(alice.id) == alice
    for record in (users.sign_in_record(user_id=alice.id), users.sign_in_record(name="alice")):
        assert record is not None
        assert (record.user, record.password_hash) == (alice, "hash")
        assert "hash'" not in repr(record)


def test_name_is_taken_once_and_case_counts(users: UserTable) -> None:
    users.create(NewUser("alice", "hash"))
    users.create(NewUser("Alice", "hash"))
    with pytest.raises(ConflictError, match="cannot use alice for a user: there is one of that name"):
        users.create(NewUser("alice", "hash"))
    assert [user.name for user in users.all()] == ["Alice", "alice"]
    assert [user.name for user in users.all(name="alice")] == ["alice"]


@pytest.mark.parametrize("text", ["", "x", NOBODY, "0" * 33, "\x00", "\ud800", "a" * 300, "'; DROP TABLE users --"])
def test_what_is_no_user_is_not_found_and_never_an_error_of_the_database(users: UserTable, text: str) -> None:
    assert users.sign_in_record(user_id=text) is None
    assert users.sign_in_record(name=text) is None
    assert users.all(name=text) == ()
    for ask in (
        lambda: users.get(text),
        lambda: users.update(text, UserChange(name="x")),
        lambda: users.set_password(text, "hash"),
        lambda: users.delete(text),
        lambda: users.of_project(text),
    ):
        with pytest.raises(NotFoundError):
            ask()


def test_default_project_has_to_be_there_and_brings_its_role(
    users: UserTable, projects: ProjectTable, database: Database
) -> None:
    with pytest.raises(NotFoundError, match=f"cannot find project {NOBODY}"):
        users.create(NewUser("alice", "hash", default_project_id=NOBODY))
    red = projects.create("red")
    wanted = NewUser("alice", "hash", default_project_id=red.id, role_name="member")
    with pytest.raises(NotFoundError, match="cannot find role member"):
        users.create(wanted)
    assert users.all() == ()
    member = RoleTable(database).create("member")
    alice = users.create(wanted)
    assert RoleTable(database).of(alice.id, red.id) == (member,)
    assert users.of_project(red.id) == (alice,)


def test_default_project_that_is_deleted_is_none(users: UserTable, projects: ProjectTable) -> None:
    red = projects.create("red")
    alice = users.create(NewUser("alice", "hash", default_project_id=red.id))
    projects.delete(red.id)
    assert users.get(alice.id).default_project_id is None


def test_change_leaves_what_it_does_not_name(users: UserTable, projects: ProjectTable) -> None:
    red = projects.create("red")
    alice = users.create(NewUser("alice", "hash", email="a@example.org"))
    changed = users.update(alice.id, UserChange(name="alicia", default_project_id=red.id))
    assert (changed.name, changed.email, changed.is_enabled, changed.default_project_id, changed.token_epoch) == (
        "alicia",
        "a@example.org",
        True,
        red.id,
        0,
    )
    assert users.get(alice.id) == changed
    users.create(NewUser("bob", "hash"))
    with pytest.raises(ConflictError, match="cannot use bob for a user"):
        users.update(alice.id, UserChange(name="bob"))
    with pytest.raises(NotFoundError):
        users.update(alice.id, UserChange(default_project_id=NOBODY))
    assert users.get(alice.id) == changed


def test_being_disabled_ends_tokens_once_each_time(users: UserTable) -> None:
    alice = users.create(NewUser("alice", "hash"))
    epochs = [
        users.update(alice.id, UserChange(is_enabled=is_enabled)).token_epoch
        for is_enabled in (True, False, False, True, False)
    ]
    assert epochs == [0, 1, 1, 1, 2]


def test_password_is_replaced_only_if_it_is_the_expected_one(users: UserTable) -> None:
    alice = users.create(NewUser("alice", "first"))
    assert users.set_password(alice.id, "second").token_epoch == 1
    with pytest.raises(ConflictError, match="it was changed just now"):
        users.set_password(alice.id, "third", expected_hash="first")
    assert users.set_password(alice.id, "third", expected_hash="second").token_epoch == 2
    record = users.sign_in_record(name="alice")
    assert record is not None
    assert record.password_hash == "third"


def test_roles_and_ec2_credentials_go_with_the_user(
    users: UserTable, projects: ProjectTable, database: Database
) -> None:
    roles = RoleTable(database)
    alice, red, member = users.create(NewUser("alice", "hash")), projects.create("red"), roles.create("member")
    roles.assign(Assignment(alice.id, red.id, member.id))
    users.delete(alice.id)
    assert roles.assignments() == ()
    with pytest.raises(NotFoundError):
        users.get(alice.id)
