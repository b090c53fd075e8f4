"""The table of key pairs, alike on SQLite and PostgreSQL."""

from datetime import UTC, datetime

import pytest

from cloud.db.engine import Database
from cloud.db.keypairs import KeypairTable
from cloud.domain.keypair import Keypair, NewKeypair
from cloud.errors import BadRequestError, ConflictError, NotFoundError, QuotaError
from tests.db.conftest import Clock
from tests.db.making import at_once, failures


@pytest.fixture
def keypairs(database: Database, clock: Clock) -> KeypairTable:
    return KeypairTable(database, clock)


def new(name: str, user_id: str = "u1") -> NewKeypair:
    return NewKeypair(user_id, name, "ssh", "c4:4e", "ssh-rsa AAAA u1@example.org")


def test_key_pair_comes_back_as_it_was_made(keypairs: KeypairTable) -> None:
    made = keypairs.create(new("mykey"))
    assert made == Keypair(
        user_id="u1",
        name="mykey",
        type="ssh",
        fingerprint="c4:4e",
        public_key="ssh-rsa AAAA u1@example.org",
        created_at=datetime(2014, 10, 16, 12, 0, tzinfo=UTC),
        id=1,
    )
    assert keypairs.get("u1", "mykey") == made
    assert Keypair.from_dict(made.as_dict()) == made


def test_name_is_used_once_by_each_user(keypairs: KeypairTable) -> None:
    keypairs.create(new("mykey"))
    keypairs.create(new("mykey", "u2"))
    with pytest.raises(ConflictError, match="cannot create key pair mykey: the user has one of that name"):
        keypairs.create(new("mykey"))
    keypairs.delete("u1", "mykey")
    keypairs.create(new("mykey"))


def test_users_see_their_own_by_name(keypairs: KeypairTable) -> None:
    for name in ("b", "B", "a"):
        keypairs.create(new(name))
    keypairs.create(new("c", "u2"))
    assert [keypair.name for keypair in keypairs.list("u1")] == ["B", "a", "b"]
    assert keypairs.list("u3") == ()


def test_what_is_not_there_is_not_found(keypairs: KeypairTable) -> None:
    keypairs.create(new("mykey"))
    for user_id, name in (("u2", "mykey"), ("u1", "MYKEY"), ("u1", "x\x00"), ("u1", "n" * 300)):
        for ask in (keypairs.get, keypairs.delete):
            with pytest.raises(NotFoundError, match="cannot find key pair"):
                ask(user_id, name)


def test_quota_counts_a_users_own(keypairs: KeypairTable) -> None:
    keypairs.create(new("a", "u2"), limit=1)
    for name in ("a", "b"):
        keypairs.create(new(name), limit=2)
    with pytest.raises(QuotaError, match="cannot create key pair c: quota of key_pairs is 2, 2 are used"):
        keypairs.create(new("c"), limit=2)
    keypairs.create(new("c"), limit=-1)


def test_forty_at_once_with_a_quota_of_ten_are_exactly_ten(keypairs: KeypairTable) -> None:
    done = at_once(40, lambda number: keypairs.create(new(f"key-{number}"), limit=10))
    assert [type(exc) for exc in failures(done)] == [QuotaError] * 30
    assert len(keypairs.list("u1")) == 10


def test_of_one_name_at_once_there_is_one(keypairs: KeypairTable) -> None:
    done = at_once(10, lambda _number: keypairs.create(new("mykey")))
    assert [type(exc) for exc in failures(done)] == [ConflictError] * 9


def test_what_no_column_holds_is_refused(keypairs: KeypairTable) -> None:
    with pytest.raises(BadRequestError, match="cannot store name: it has more than 255 characters"):
        keypairs.create(new("n" * 256))
    assert keypairs.create(new("nul\x00")).name == "nul\ufffd"
    with pytest.raises(ConflictError):
        keypairs.create(new("nul\x00"))
