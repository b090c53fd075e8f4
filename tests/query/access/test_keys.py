"""The file of the collector's own keys: made, found, revoked, followed."""

import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloud.logs.emit.redact import redact_text
from cloud.logs.query.access.keys import MAX_KEYS, KeyFile, Keys, KeysError, Wanted
from cloud.logs.query.access.roles import Role

NOON = datetime(2027, 1, 15, 12, tzinfo=UTC)


class Clock:
    """Seconds and time of day, which stand until a test moves them."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def seconds(self) -> float:
        return self.now_s

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.now_s - 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path)


@pytest.fixture
def keys(file: KeyFile, clock: Clock) -> Keys:
    return Keys(file, clock.seconds, clock.now)


def test_a_key_is_found_by_its_text_and_nothing_in_the_file_is_the_text(file: KeyFile, keys: Keys) -> None:
    text = file.create(Wanted("grafana", Role.READER))
    found = keys.find(text)
    assert found is not None
    assert (found.name, found.role, found.project, found.expires_at) == ("grafana", "reader", None, None)
    assert text.rpartition("_")[2] not in file.path.read_text()
    assert text.partition("_")[2].partition("_")[2] not in file.path.read_text()
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.path.parent.iterdir()] == ["keys.json"]


def test_two_keys_have_nothing_in_common(file: KeyFile) -> None:
    one, two = file.create(Wanted("one", Role.READER)), file.create(Wanted("two", Role.READER))
    assert len(one) == len(two) == len("cloudlog_") + 16 + 1 + 43
    assert one.split("_", 2)[1] != two.split("_", 2)[1]
    assert one.split("_", 2)[2] != two.split("_", 2)[2]


def test_a_directory_that_is_missing_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    KeyFile(tmp_path / "new" / "data").create(Wanted("one", Role.READER))
    assert (tmp_path / "new" / "data").stat().st_mode & 0o777 == 0o700


def test_a_key_is_good_until_it_expires(file: KeyFile, keys: Keys, clock: Clock) -> None:
    text = file.create(Wanted("short", Role.READER, expires_at=NOON + timedelta(seconds=60)))
    found = keys.find(text)
    clock.now_s += 59
    assert keys.find(text) == found
    clock.now_s += 1
    assert keys.find(text) is None


def test_what_changes_in_the_file_is_known_a_second_later(file: KeyFile, keys: Keys, clock: Clock) -> None:
    assert not keys.are_there()
    text = file.create(Wanted("one", Role.READER))
    clock.now_s += 1
    assert keys.are_there()
    assert keys.find(text) is not None
    file.revoke("one")
    assert keys.find(text) is not None
    clock.now_s += 1
    assert keys.find(text) is None
    assert keys.are_there(), "there were keys once: nobody is let in without one again"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"keys": {}}',
        '{"version": 2, "keys": []}',
        '{"keys": [{}]}',
        '{"keys": [], "more": 1}',
        "\0" * 9,
    ],
)
def test_a_file_that_cannot_be_read_is_no_file_without_keys(file: KeyFile, keys: Keys, clock: Clock, text: str) -> None:
    good = file.create(Wanted("one", Role.READER))
    assert keys.find(good) is not None
    whole = file.path.read_text()
    file.path.write_text(text)
    clock.now_s += 1
    for ask in (keys.are_there, lambda: keys.find(good), lambda: file.create(Wanted("two", Role.READER))):
        with pytest.raises(KeysError, match=f"cannot read keys {file.path}"):
            ask()
    file.path.write_text(whole)
    clock.now_s += 1
    assert keys.find(good) is not None


CHANGES: list[tuple[str, Callable[[dict[str, object]], object], str]] = [
    ("a role that there is not", lambda key: key.update(role="root"), "expected a role of"),
    ("a reader of a project", lambda key: key.update(project="red"), "no other role has one"),
    ("a member of none", lambda key: key.update(role="member"), "a member has a project"),
    ("a time without a zone", lambda key: key.update(expires_at="2027-01-15T12:00:00"), "no zone"),
    ("an id that is none", lambda key: key.update(id="../../x"), "id"),
    ("a hash that is none", lambda key: key.update(sha256=""), "sha256"),
]


@pytest.mark.parametrize(("change", "cause"), [pytest.param(*rest, id=name) for name, *rest in CHANGES])
def test_an_entry_that_is_none_is_named_without_its_hash(
    file: KeyFile, change: Callable[[dict[str, object]], object], cause: str
) -> None:
    file.create(Wanted("one", Role.READER))
    content = json.loads(file.path.read_text())
    change(content["keys"][0])
    file.path.write_text(json.dumps(content))
    with pytest.raises(KeysError, match=cause) as caught:
        file.read()
    assert content["keys"][0]["sha256"] == "" or content["keys"][0]["sha256"] not in str(caught.value)


@pytest.mark.parametrize("name", ["", " ", "a b", "-x", "a\n", "../x", "x" * 65, "é", "\x1b[31m"])
def test_a_name_that_would_spoil_a_log_line_is_refused(file: KeyFile, name: str) -> None:
    with pytest.raises(KeysError, match="cannot create key"):
        file.create(Wanted(name, Role.READER))
    assert file.read() is None


def test_a_name_is_given_once_and_again_after_it_was_revoked(file: KeyFile) -> None:
    file.create(Wanted("one", Role.READER))
    with pytest.raises(KeysError, match="cannot create key one: there is one of that name"):
        file.create(Wanted("one", Role.ADMIN))
    file.revoke("one")
    with pytest.raises(KeysError, match="cannot revoke key one: there is none of that name"):
        file.revoke("one")
    assert file.create(Wanted("one", Role.ADMIN))


def test_there_are_only_so_many(file: KeyFile) -> None:
    file.create(Wanted("0", Role.READER))
    content = json.loads(file.path.read_text())
    first = content["keys"][0]
    content["keys"] = [{**first, "id": f"{n:016x}", "name": str(n)} for n in range(MAX_KEYS)]
    file.path.write_text(json.dumps(content))
    with pytest.raises(KeysError, match="there are 1000, revoke some"):
        file.create(Wanted("one-too-many", Role.READER))
    assert len(file.read() or {}) == MAX_KEYS


def test_makers_at_the_same_time_lose_no_key(file: KeyFile) -> None:
    threads = [threading.Thread(target=file.create, args=(Wanted(f"key-{n}", Role.READER),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key.name for key in (file.read() or {}).values()) == [f"key-{n}" for n in range(8)]


def test_what_a_maker_that_was_killed_left_is_in_nobodys_way(file: KeyFile) -> None:
    file.path.with_name("keys.json.new").write_text("half")
    assert file.create(Wanted("one", Role.READER))
    assert [path.name for path in file.path.parent.iterdir()] == ["keys.json"]


def test_a_key_in_a_log_line_is_known_for_a_secret(file: KeyFile) -> None:
    text = file.create(Wanted("one", Role.READER))
    assert text.rpartition("_")[2] not in redact_text(f"cannot use {text}: no")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
def test_root_makes_keys_for_whose_directory_it_is(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, 12345, 23456)
    KeyFile(data).create(Wanted("one", Role.READER))
    made = (data / "keys.json").stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (12345, 23456, 0o600)
