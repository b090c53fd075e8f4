"""The tables of roles and of who has which, on both databases."""

import pytest

from cloud.db.engine import Database
from cloud.db.projects import ProjectTable
from cloud.db.roles import RoleTable
from cloud.db.users import NewUser, UserTable
from cloud.domain.identity import Assignment
from cloud.errors import ConflictError, NotFoundError
from tests.db.conftest import Clock

NONE = "0" * 32


class Cast:
    """Alice, Bob, projects red and blue, roles admin and member."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.users = UserTable(database, clock)
        self.projects = ProjectTable(database, clock)
        self.roles = RoleTable(database)
        self.alice, self.bob = (self.users.create(NewUser(name, "hash")) for name in ("alice", "bob"))
        self.red, self.blue = (self.projects.create(name) for name in ("red", "blue"))
        self.admin, self.member = (self.roles.create(name) for name in ("admin", "member"))


@pytest.fixture
def cast(database: Database, clock: Clock) -> Cast:
    return Cast(database, clock)


def test_role_is_found_as_created_and_its_name_is_taken_once(cast: Cast) -> None:
    assert cast.roles.get(cast.admin.id) == cast.admin
    assert cast.roles.all() == (cast.admin, cast.member)
    assert cast.roles.all(name="member") == (cast.member,)
    assert cast.roles.all(name="\x00") == ()
    with pytest.raises(ConflictError, match="cannot use member for a role: there is one of that name"):
        cast.roles.create("member")


def test_role_is_given_once_and_taken_away_once(cast: Cast) -> None:
    given = Assignment(cast.alice.id, cast.red.id, cast.member.id)
    assert [cast.roles.assign(given) for _ in range(2)] == [True, False]
    cast.roles.assign(Assignment(cast.alice.id, cast.red.id, cast.admin.id))
    assert cast.roles.of(cast.alice.id, cast.red.id) == (cast.admin, cast.member)
    assert cast.roles.of(cast.alice.id, cast.blue.id) == ()
    cast.roles.take_away(given)
    assert cast.roles.of(cast.alice.id, cast.red.id) == (cast.admin,)
    with pytest.raises(NotFoundError, match=f"cannot find role {cast.member.id} of user {cast.alice.id}"):
        cast.roles.take_away(given)


def test_taking_a_role_away_ends_the_users_tokens_and_giving_one_does_not(cast: Cast) -> None:
    given = Assignment(cast.alice.id, cast.red.id, cast.member.id)
    cast.roles.assign(given)
    assert cast.users.get(cast.alice.id).token_epoch == 0
    cast.roles.take_away(given)
    assert cast.users.get(cast.alice.id).token_epoch == 1
    assert cast.users.get(cast.bob.id).token_epoch == 0


def test_deleting_a_role_takes_it_from_all_and_ends_their_tokens(cast: Cast) -> None:
    cast.roles.assign(Assignment(cast.alice.id, cast.red.id, cast.member.id))
    cast.roles.assign(Assignment(cast.alice.id, cast.red.id, cast.admin.id))
    cast.roles.delete(cast.member.id)
    assert cast.roles.assignments() == (Assignment(cast.alice.id, cast.red.id, cast.admin.id),)
    assert [cast.users.get(user.id).token_epoch for user in (cast.alice, cast.bob)] == [1, 0]
    with pytest.raises(NotFoundError, match=f"cannot find role {cast.member.id}"):
        cast.roles.delete(cast.member.id)


@pytest.mark.parametrize("strange", [NONE, "", "x", "\x00", "\ud800"])
def test_nothing_is_given_to_or_in_what_is_not_there(cast: Cast, strange: str) -> None:
    alice, red, member = cast.alice.id, cast.red.id, cast.member.id
    for assignment in (
        Assignment(strange, red, member),
        Assignment(alice, strange, member),
        Assignment(alice, red, strange),
    ):
        with pytest.raises(NotFoundError):
            cast.roles.assign(assignment)
        with pytest.raises(NotFoundError):
            cast.roles.take_away(assignment)
    with pytest.raises(NotFoundError):
        cast.roles.of(strange, red)
    with pytest.raises(NotFoundError):
        cast.roles.of(alice, strange)
    assert cast.roles.assignments(user_id=strange) == ()
    assert cast.roles.assignments() == ()


def test_assignments_are_those_that_were_asked_for(cast: Cast) -> None:
    alice_red = Assignment(cast.alice.id, cast.red.id, cast.member.id)
    alice_blue = Assignment(cast.alice.id, cast.blue.id, cast.admin.id)
    bob_red = Assignment(cast.bob.id, cast.red.id, cast.member.id)
    for assignment in (alice_red, alice_blue, bob_red):
        cast.roles.assign(assignment)
    assert set(cast.roles.assignments()) == {alice_red, alice_blue, bob_red}
    assert set(cast.roles.assignments(user_id=cast.alice.id)) == {alice_red, alice_blue}
    assert set(cast.roles.assignments(project_id=cast.red.id)) == {alice_red, bob_red}
    assert cast.roles.assignments(role_id=cast.admin.id) == (alice_blue,)
    assert cast.roles.assignments(user_id=cast.bob.id, role_id=cast.admin.id) == ()
