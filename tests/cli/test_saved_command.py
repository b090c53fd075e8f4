"""`cloud log saved`, and the searches that are asked again with `--saved`, as processes."""

import json
from collections.abc import Iterator

import pytest

from tests.cli.collecting import Collector, collecting


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        found.send("compute-01", "audit one", "audit two")
        found.send("compute-02", "disk is gone", severity=3)
        done = found.run(
            "saved", "save", "audits", "audit", "--since", "2h", "--columns", "host,message", "--shared",
            "--description", "how long they take",
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, "saved search audits is version 1, shared\n")
        yield found


def test_a_saved_search_is_asked_with_its_query_and_columns(collector: Collector) -> None:
    done = collector.run("search", "--saved", "audits", "--output", "csv")
    assert (done.returncode, done.stdout) == (0, "host,message\ncompute-01,audit one\ncompute-01,audit two\n")


def test_a_query_narrows_it_and_a_pipe_counts_it(collector: Collector) -> None:
    done = collector.run("search", "--saved", "audits", "two OR gone", "--output", "raw")
    assert (done.returncode, done.stdout) == (0, "audit two\n")
    done = collector.run("search", "--saved", "audits", "| count by host", "--output", "csv")
    assert (done.returncode, done.stdout) == (0, "host,count\ncompute-01,2\n")


def test_the_command_lines_own_range_goes_before_the_saved_one(collector: Collector) -> None:
    done = collector.run("search", "--saved", "audits", "--until", "1h", "--since", "2h", "--output", "raw")
    assert (done.returncode, done.stdout) == (1, "")
    done = collector.run("export", "--saved", "audits")
    assert (done.returncode, done.stderr) == (0, "cloud log export: 2 lines\n")


def test_what_narrows_it_is_pointed_at_where_it_is_wrong(collector: Collector) -> None:
    done = collector.run("search", "--saved", "audits", "host:")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("\n  host:\n      ^\n")


def test_one_that_is_not_there_is_a_wrong_command_of_search_and_not_found_of_show(collector: Collector) -> None:
    for command, code in ((["search", "--saved", "none"], 2), (["saved", "show", "none"], 1)):
        done = collector.run(*command)
        assert (done.returncode, done.stdout) == (code, "")
        assert "there is no saved search none: cloud log saved list shows" in done.stderr


def test_it_is_listed_and_shown(collector: Collector) -> None:
    head, line = collector.run("saved", "list").stdout.splitlines()
    assert head.split() == ["NAME", "QUERY", "SINCE", "UNTIL", "SHARED", "OWNER", "VERSION", "DESCRIPTION"]
    assert line.split()[:5] == ["audits", "audit", "2h", "-", "yes"]
    shown = collector.run("saved", "show", "audits").stdout.splitlines()
    assert shown[:3] == ["name:        audits", "query:       audit", "since:       2h"]
    assert "columns:     host, message" in shown
    found = json.loads(collector.run("saved", "show", "audits", "--output", "json").stdout)
    assert (found["name"], found["is_own"], found["columns"]) == ("audits", True, ["host", "message"])


def test_it_is_replaced_only_when_asked_to_and_only_in_the_version_that_was_seen(collector: Collector) -> None:
    assert collector.run("saved", "save", "disks", "disk").returncode == 0
    done = collector.run("saved", "save", "disks", "gone")
    assert done.returncode == 2
    assert done.stderr.endswith("has one of that name; --replace changes it\n")
    done = collector.run("saved", "save", "disks", "--replace", "--since", "1d")
    assert (done.returncode, done.stdout) == (0, "saved search disks is version 2, private\n")
    found = json.loads(collector.run("saved", "show", "disks", "--output", "json").stdout)
    assert (found["query"], found["since"]) == ("disk", "1d")
    for change in (["save", "disks", "gone", "--replace"], ["delete", "disks"]):
        done = collector.run("saved", *change, "--if-version", "1")
        assert done.returncode == 2
        assert "has made it version 2" in done.stderr
    done = collector.run("saved", "delete", "disks")
    assert (done.returncode, done.stderr) == (0, "cloud log saved delete: disks is gone\n")
    assert collector.run("saved", "delete", "disks").returncode == 1


def test_a_query_that_cannot_be_read_is_not_saved(collector: Collector) -> None:
    done = collector.run("saved", "save", "wrong", "host:a severity:>=loud")
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:3] == ["  host:a severity:>=loud", "                    ^"]
    assert collector.run("saved", "show", "wrong").returncode == 1
