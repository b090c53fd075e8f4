"""The catalogue: what is shipped is whole, and what is wrong in a file is said by file and key."""

from pathlib import Path

import pytest

from cloud.logs.query.explain.catalogue import CatalogueError, Said
from cloud.logs.query.explain.cause_files import load, shipped

GOOD = """
title = "a"
meaning = "b {bridge}"
check = ["c"]
remedy = ["d"]
[[signatures]]
any = ["no bridge (?P<bridge>\\\\w+)"]
"""
WRONG = [
    ("title = ", "no TOML", ""),
    (GOOD.replace('title = "a"', ""), "title: expected a text", ""),
    (GOOD.replace('check = ["c"]', "check = []"), "check: expected a list of texts, at least one", ""),
    (GOOD.replace('remedy = ["d"]', 'remedy = ["d", 1]'), "remedy: expected a list of texts", ""),
    (GOOD.replace('title = "a"', 'title = "a"\ncolour = "red"'), "colour: no such key", ""),
    (GOOD.replace("{bridge}", "{port}"), "meaning: {port} is no group", ""),
    (GOOD.replace("any = ", 'all = ["x"]\nevery = '), "signatures[1].every: no such key", ""),
    (GOOD.replace("\\\\w+", "("), "signatures[1].any: ", "is no regular expression"),
    (GOOD.replace("any = ", "none = "), "signatures[1]: expected any, all, exceptions or events", ""),
    (GOOD + 'steps = ["lunch"]', "signatures[1].steps: 'lunch' is not in the vocabulary", ""),
    (GOOD + 'scope = "host"', "signatures[1].explains: expected with scope host", ""),
    (GOOD + 'scope = "cloud"', "signatures[1].scope: expected operation or host", ""),
    (GOOD.replace("[[signatures]]", 'over = ["nobody"]\n[[signatures]]'), "over: there is no cause nobody", ""),
]


def test_all_that_are_shipped_can_be_used_and_are_many() -> None:
    assert len(shipped().causes) >= 25


@pytest.mark.parametrize(("content", "key", "cause"), WRONG)
def test_what_is_wrong_in_a_file_is_said_by_file_and_key(tmp_path: Path, content: str, key: str, cause: str) -> None:
    (tmp_path / "a-cause.toml").write_text(content)
    with pytest.raises(CatalogueError) as raised:
        load(tmp_path)
    assert str(raised.value).startswith("cannot load cause a-cause.toml: ")
    assert cause in str(raised.value)
    assert key in str(raised.value) or key == "no TOML"


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "A cause.toml").write_text(GOOD)
    with pytest.raises(CatalogueError, match=r"A cause\.toml: its name"):
        load(tmp_path)


def test_what_was_caught_stands_in_the_texts(tmp_path: Path) -> None:
    (tmp_path / "a-cause.toml").write_text(GOOD)
    (match,) = load(tmp_path).matches(Said("there is no bridge br100"))
    assert match.cause.meaning == "b br100"


@pytest.mark.parametrize(
    ("text", "exception", "causes"),
    [
        ("unable to connect to server at '10.77.0.9:16509': No route to host", None, ["destination-unreachable"]),
        ("unable to connect to server at 'compute-02:49152': Connection refused", None, ["migration-port-refused"]),
        ("unable to connect to server at 'compute-02:49215': No route to host", None, ["migration-port-refused"]),
        ("unable to connect to server at 'compute-02:61152': Connection timed out", None, ["migration-port-refused"]),
        ("unable to connect to server at 'compute-02:16514': Connection timed out", None, ["destination-unreachable"]),
        ("unable to connect to server at 'compute-02:49151': Connection timed out", None, ["destination-unreachable"]),
        ("Unsafe migration: Migration without shared storage is unsafe", None, ["no-shared-storage"]),
        ("Cannot get interface MTU on 'br100': No such device", None, ["missing-bridge"]),
        ("internal error: Attempt to migrate guest to the same host 0a1b", None, ["same-host"]),
        ("unsupported configuration: Target CPU feature count 1 does not match source 0", None, ["cpu-incompatible"]),
        ("qemu-system-x86_64: allocate 1073741824 bytes for jit buffer: Cannot allocate memory", None, ["destination-out-of-memory"]),
        ("operation aborted: job 'migration out' canceled by client", None, ["migration-cancelled"]),
        ("Storage pool not found: no storage pool with matching target path", None, ["storage-pool-missing"]),
        ("qemu unexpectedly closed the monitor: Could not open '/a/disk': No such file or directory", None, ["missing-disk"]),
        ("no valid host: 3 hosts; RamFilter 3 -> 0", "NoValidHostError", ["no-valid-host"]),
        ("no valid host: others were faster 3 times; cannot claim 2048 MB of memory: 0 are left", "NoValidHostError", ["host-full"]),
        ("everything is fine", None, []),
        ("", None, []),
        ("internal error: qemu unexpectedly closed the monitor", "libvirtError", []),
    ],
)  # fmt: skip
def test_what_libvirt_and_our_scheduler_say_is_known_by_one_cause_at_most(
    text: str, exception: str | None, causes: list[str]
) -> None:
    assert [match.cause.id for match in shipped().matches(Said(text, exception))] == causes


@pytest.mark.parametrize(
    ("exception", "procedure", "causes"),
    [
        ("InvalidSharedStorage", "migration", ["no-shared-storage"]),
        ("InvalidSharedStorage", "evacuate", ["storage-not-as-asked"]),
        ("InvalidSharedStorage", "build", []),
        ("VirtualInterfaceCreateException", "build", ["vif-plugging-failed"]),
        ("VirtualInterfacePlugException", "build", []),  # raised for kinds of interfaces that nova does not know, too
    ],
)
def test_a_class_of_exceptions_is_a_cause_where_it_is_raised_for_one_thing_only(
    exception: str, procedure: str, causes: list[str]
) -> None:
    said = Said(f"{exception}: what it says", exception, procedure=procedure)
    assert [match.cause.id for match in shipped().matches(said)] == causes
