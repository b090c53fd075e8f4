"""The regular expressions of filters: read the same on either database, and as Python reads them."""

import re
import time

import pytest
from sqlalchemy import select

from cloud.db.engine import Database
from cloud.db.instances import InstanceTable
from cloud.db.models import InstanceRow
from cloud.db.pattern import matches
from cloud.errors import BadRequestError
from tests.db.making import NO_QUOTA, new_instance

NAMES = (
    "web-1", "web-10", "WEB-1", "my.web", "myxweb", "a%b", "a_b", "a*b", "a?b", "a[b]", "a/b", "a\\b", "a|b", "a$b", "a^b",
    "ab", "grüße", "x", "two\nlines", "50%", "_",
)  # fmt: skip


def found(database: Database, pattern: str, *, is_from_start: bool = False) -> set[str]:
    with database.reading() as session:
        is_sqlite = session.connection().dialect.name == "sqlite"
        condition = matches(InstanceRow.display_name, pattern, is_sqlite=is_sqlite, is_from_start=is_from_start)
        return set(session.scalars(select(InstanceRow.display_name).where(condition)))


@pytest.fixture
def named(database: Database, instances: InstanceTable) -> Database:
    instances.create([new_instance(number, display_name=name) for number, name in enumerate(NAMES)], NO_QUOTA)
    return database


READ = (
    "", "web", "WEB", "^web", "web$", "^web-1$", "^web-.$", "^web-..$", "web.1", "my.web", r"my\.web", "w.*1", "^w.*$",
        "a.+b", "^a.+b$", "a.*b", "%", "_", "^_$", r"a\*b", r"a\?b", r"a\[b\]", "a/b", r"a\\b", r"a\|b", r"a\$b", r"a\^b",
        "web|x", "^ab$|^x$", "x|", "gr..e", "ß", "^.$", "^..$", "two.lines", "$", "^", "^$", r"\$", r"\\", "-", "50%$", ".*",
        "a-b", " ", r"\/", r"^a\\b$", "web-1$|web-10", r"\-1",
)  # fmt: skip
NOT_READ = (
    "[ab]", "a]", "(a)", "a)", "a{2}", "a*", "a+", "a?", "*", r"\d", r"\b", "a\\", "a^b", "a$b", ".?", ".*?", "^^a", "a$$",
)  # fmt: skip


# In one database each: to make one takes longer than all the patterns.
def test_pattern_finds_what_python_would(named: Database) -> None:
    for pattern in READ:
        expected = re.compile(pattern, re.DOTALL)
        assert found(named, pattern) == {name for name in NAMES if expected.search(name)}, pattern
        matched = {name for name in NAMES if expected.match(name)}
        assert found(named, pattern, is_from_start=True) == matched, pattern


def test_what_is_not_read_is_refused(named: Database) -> None:
    for pattern in NOT_READ:
        with pytest.raises(BadRequestError, match=r"^cannot filter by pattern "):
            found(named, pattern)


def test_patterns_have_a_bound(named: Database) -> None:
    with pytest.raises(BadRequestError, match="cannot filter by a pattern of 256 characters: it has at most 255"):
        found(named, "a" * 256)
    with pytest.raises(BadRequestError, match="it has more than 20 alternatives"):
        found(named, "|" * 20)
    assert found(named, "|".join(["^x"] * 20)) == {"x"}


def test_text_that_no_database_stores_is_found_as_it_was_stored(named: Database, instances: InstanceTable) -> None:
    instances.create([new_instance(100, display_name="nul\x00")], NO_QUOTA)
    assert found(named, "nul\x00$") == {"nul\ufffd"}
    assert found(named, "\ud800x") == set()


def test_pattern_of_many_wildcards_ends_soon(database: Database, instances: InstanceTable) -> None:
    instances.create([new_instance(number, display_name="a" * 255) for number in range(200)], NO_QUOTA)
    started_s = time.monotonic()
    assert found(database, "a.*" * 60 + "b") == set()
    assert time.monotonic() - started_s < 5
