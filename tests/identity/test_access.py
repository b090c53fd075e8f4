"""What a token opens by now, and which tokens have ended, on both databases."""

from datetime import timedelta

import pytest

from cloud.db.access import AccessTable
from cloud.db.engine import Database
from cloud.db.projects import ProjectChange
from cloud.db.users import UserChange
from cloud.domain.identity import Assignment
from tests.db.conftest import Clock
from tests.identity.test_roles import Cast


@pytest.fixture
def cast(database: Database, clock: Clock) -> Cast:
    cast = Cast(database, clock)
    for role in (cast.member, cast.admin):
        cast.roles.assign(Assignment(cast.alice.id, cast.red.id, role.id))
    return cast


@pytest.fixture
def access(database: Database, clock: Clock) -> AccessTable:
    return AccessTable(database, clock)


def test_access_is_user_project_and_roles(cast: Cast, access: AccessTable) -> None:
    found = access.of(cast.alice.id, cast.red.id)
    assert found is not None
    assert (found.user, found.project, found.roles) == (cast.alice, cast.red, (cast.admin, cast.member))
    found = access.of(cast.bob.id, None)
    assert found is not None
    assert (found.user, found.project, found.roles) == (cast.bob, None, ())


def test_there_is_none_without_a_role_or_in_what_is_disabled_or_gone(cast: Cast, access: AccessTable) -> None:
    assert access.of(cast.alice.id, cast.blue.id) is None
    assert access.of("0" * 32, cast.red.id) is None
    assert access.of("\x00", None) is None
    assert access.of(cast.alice.id, "\ud800") is None
    cast.projects.update(cast.red.id, ProjectChange(is_enabled=False))
    assert access.of(cast.alice.id, cast.red.id) is None
    cast.projects.update(cast.red.id, ProjectChange(is_enabled=True))
    assert access.of(cast.alice.id, cast.red.id) is not None
    cast.users.update(cast.alice.id, UserChange(is_enabled=False))
    assert access.of(cast.alice.id, cast.red.id) is None
    assert access.of(cast.alice.id, None) is None
    cast.users.update(cast.alice.id, UserChange(is_enabled=True))
    cast.projects.delete(cast.red.id)
    assert access.of(cast.alice.id, cast.red.id) is None
    cast.users.delete(cast.alice.id)
    assert access.of(cast.alice.id, None) is None


def test_revoked_token_opens_nothing_and_others_do(cast: Cast, access: AccessTable, clock: Clock) -> None:
    for _ in range(2):
        access.revoke("one", clock() + timedelta(hours=1))
    assert access.of(cast.alice.id, cast.red.id, audit_id="one") is None
    assert access.of(cast.alice.id, cast.red.id, audit_id="two") is not None


def test_rows_of_revoked_tokens_go_when_these_would_have_expired(access: AccessTable, clock: Clock) -> None:
    for hours in (1, 2, 3):
        access.revoke(f"in {hours} hours", clock() + timedelta(hours=hours))
    assert access.forget_expired() == 0
    clock.advance(2 * 3600 + 1)
    assert access.forget_expired() == 2
    assert access.forget_expired() == 0


def test_project_is_found_by_name(cast: Cast, access: AccessTable) -> None:
    assert access.project_id_of("red") == cast.red.id
    assert access.project_id_of("green") is None
    assert access.project_id_of("\x00") is None
