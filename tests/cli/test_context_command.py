"""`cloud log context` as a process: the lines around one."""

import json
import socket
from collections.abc import Iterator

import pytest

from tests.cli.collecting import Collector, collecting
from tests.waiting import wait_until

NUMBERED = '<134>1 - compute-03 nova-compute - - [line@32473 host="compute-03" start="{}" n="{}"] {}'


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        found.send("compute-01", "one", "two")
        found.send("compute-02", "between", severity=3)
        found.send("compute-01", '@cee: {"message": "three", "traceback": "a\\nb"}', "four")
        numbered = [
            NUMBERED.format(start, number, f"{start} {number}") for start in ("old", "new") for number in (1, 2)
        ]
        with socket.create_connection(("127.0.0.1", found.syslog_port)) as sender:
            for line in numbered:
                sender.sendall(f"{len(line)} {line}".encode())
            wait_until(lambda: found.count("compute-03") == 4, what="the numbered lines")
        yield found


def row_id(collector: Collector, word: str) -> str:
    return str(json.loads(collector.run("search", word, "--output", "json").stdout)["row_id"])


def test_people_see_which_line_it_is(collector: Collector) -> None:
    done = collector.run("context", row_id(collector, "three"), "-C", "1")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line[:2] for line in lines] == ["  ", "> ", "  ", "  ", "  "]
    assert [line[2:].split()[5] for line in (lines[0], lines[1], lines[4])] == ["two", "three", "four"]


def test_lines_of_its_host_or_of_all_are_shown_in_order_of_arrival(collector: Collector) -> None:
    three = row_id(collector, "three")
    done = collector.run("context", three, "-C", "0", "-B", "2", "--output", "csv", "--columns", "host,message")
    assert done.stdout == "host,message\ncompute-01,one\ncompute-01,two\ncompute-01,three\n"
    done = collector.run("context", three, "-C", "1", "--same", "all", "--output", "json")
    assert [json.loads(line)["message"] for line in done.stdout.splitlines()] == ["between", "three", "four"]


def test_a_number_of_a_hosts_rsyslog_names_its_newest_line(collector: Collector) -> None:
    done = collector.run("context", "compute-03:2", "-C", "0", "--output", "raw")
    assert (done.returncode, done.stdout) == (0, "new 2\n")
    old = row_id(collector, '"old 2"')
    assert done.stderr == (f"cloud log context: compute-03 has counted anew: there are other lines 2, the rows {old}\n")


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("99999", 1, "cannot find row 99999"),
        ("compute-01:77", 1, "there is no line 77 of compute-01"),
        ("compute-01", 2, "'compute-01' is no ROW_ID and no HOST:SEQUENCE"),
        ("0", 2, "greater than or equal to 1"),
    ],
)
def test_a_line_that_is_not_there_and_one_that_could_not_be(
    collector: Collector, line: str, code: int, said: str
) -> None:
    done = collector.run("context", line)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
