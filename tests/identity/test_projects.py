"""The table of projects, on both databases."""

import pytest

from cloud.db.engine import Database
from cloud.db.projects import ProjectChange, ProjectTable
from cloud.db.roles import RoleTable
from cloud.db.users import NewUser, UserTable
from cloud.domain.identity import Assignment
from cloud.errors import ConflictError, NotFoundError
from tests.db.conftest import Clock


@pytest.fixture
def projects(database: Database, clock: Clock) -> ProjectTable:
    return ProjectTable(database, clock)


def test_project_is_found_as_created(projects: ProjectTable) -> None:
    red = projects.create("red", "the red one")
    assert (red.name, red.description, red.is_enabled) == ("red", "the red one", True)
    assert projects.get(red.id) == red
    blue = projects.create("blue", is_enabled=False)
    assert projects.all() == (blue, red)
    assert projects.all(name="red") == (red,)
    assert projects.all(name="green") == ()


def test_name_is_taken_once(projects: ProjectTable) -> None:
    red, blue = projects.create("red"), projects.create("blue")
    with pytest.raises(ConflictError, match="cannot use red for a project: there is one of that name"):
        projects.create("red")
    with pytest.raises(ConflictError, match="cannot use blue for a project"):
        projects.update(red.id, ProjectChange(name="blue"))
    assert projects.all() == (blue, red)


@pytest.mark.parametrize("text", ["", "x", "0" * 32, "\x00", "\ud800"])
def test_what_is_no_project_is_not_found(projects: ProjectTable, text: str) -> None:
    assert projects.all(name=text) == ()
    assert projects.of_user(text) == ()
    for ask in (
        lambda: projects.get(text),
        lambda: projects.update(text, ProjectChange(name="x")),
        lambda: projects.delete(text),
    ):
        with pytest.raises(NotFoundError):
            ask()


def test_change_leaves_what_it_does_not_name_and_being_disabled_ends_tokens(projects: ProjectTable) -> None:
    red = projects.create("red", "the red one")
    changed = projects.update(red.id, ProjectChange(is_enabled=False))
    assert (changed.name, changed.description, changed.is_enabled, changed.token_epoch) == (
        "red",
        "the red one",
        False,
        1,
    )
    changed = projects.update(red.id, ProjectChange(name="pink", description="", is_enabled=True))
    assert (changed.name, changed.description, changed.is_enabled, changed.token_epoch) == ("pink", "", True, 1)


def test_projects_of_a_user_are_the_enabled_ones_with_a_role(
    projects: ProjectTable, database: Database, clock: Clock
) -> None:
    roles = RoleTable(database)
    alice = UserTable(database, clock).create(NewUser("alice", "hash"))
    member, admin = roles.create("member"), roles.create("admin")
    names = ("red", "blue", "gone", "other")
    red, blue, gone, _ = (projects.create(name) for name in names)
    for project in (red, blue, gone):
        roles.assign(Assignment(alice.id, project.id, member.id))
    roles.assign(Assignment(alice.id, red.id, admin.id))
    projects.update(gone.id, ProjectChange(is_enabled=False))
    assert projects.of_user(alice.id) == (blue, red)
    projects.delete(red.id)
    assert projects.of_user(alice.id) == (blue,)
