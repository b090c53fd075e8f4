"""The table of EC2 credentials, on both databases."""

import re

import pytest

from cloud.db.ec2_credentials import Ec2CredentialTable
from cloud.db.engine import Database
from cloud.errors import NotFoundError
from tests.db.conftest import Clock
from tests.identity.test_roles import Cast


@pytest.fixture
def credentials(database: Database, clock: Clock) -> Ec2CredentialTable:
    return Ec2CredentialTable(database, clock)


@pytest.fixture
def cast(database: Database, clock: Clock) -> Cast:
    return Cast(database, clock)


def test_credential_is_found_by_its_access_key_and_its_user(
    cast: Cast, credentials: Ec2CredentialTable, clock: Clock
) -> None:
    first = credentials.create(cast.alice.id, cast.red.id)
    clock.advance(1)
    second = credentials.create(cast.alice.id, cast.blue.id)
    assert (first.user_id, first.project_id) == (cast.alice.id, cast.red.id)
    assert re.fullmatch("[0-9a-f]{40}", first.secret)
    assert first.secret != second.secret
    assert first.secret not in repr(first)
    assert credentials.get(first.access) == first
    assert credentials.of_user(cast.alice.id) == (first, second)
    assert credentials.of_user(cast.bob.id) == ()


def test_credential_is_deleted_by_its_own_user_alone(cast: Cast, credentials: Ec2CredentialTable) -> None:
    credential = credentials.create(cast.alice.id, cast.red.id)
    with pytest.raises(NotFoundError, match=f"cannot find EC2 credential {credential.access}"):
        credentials.delete(cast.bob.id, credential.access)
    credentials.delete(cast.alice.id, credential.access)
    assert credentials.get(credential.access) is None


def test_credential_goes_with_its_user_and_with_its_project(cast: Cast, credentials: Ec2CredentialTable) -> None:
    of_alice = credentials.create(cast.alice.id, cast.red.id)
    of_bob = credentials.create(cast.bob.id, cast.red.id)
    cast.users.delete(cast.alice.id)
    assert credentials.get(of_alice.access) is None
    assert credentials.get(of_bob.access) == of_bob
    cast.projects.delete(cast.red.id)
    assert credentials.get(of_bob.access) is None


@pytest.mark.parametrize("strange", ["0" * 32, "", "\x00", "\ud800"])
def test_what_is_not_there_is_not_found(cast: Cast, credentials: Ec2CredentialTable, strange: str) -> None:
    assert credentials.get(strange) is None
    assert credentials.of_user(strange) == ()
    with pytest.raises(NotFoundError):
        credentials.delete(cast.alice.id, strange)
    with pytest.raises(NotFoundError):
        credentials.create(strange, cast.red.id)
    with pytest.raises(NotFoundError):
        credentials.create(cast.alice.id, strange)
