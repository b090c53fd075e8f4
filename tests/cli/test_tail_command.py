"""`cloud log tail` as a process: what it prints, and how it ends."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.collecting import COMMAND, Collector, collecting


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


def test_history_is_shown_in_order_of_arrival_and_then_it_ends(collector: Collector) -> None:
    collector.send("history", "one", "two", "three")
    with collector.tail("--host", "history", "--no-follow", "-n", "2") as tail:
        out, err = tail.communicate(timeout=20)
    assert out == (
        "2026-01-31 10:00:00.500 history nova-compute[42] INFO two  flags=skewed\n"
        "2026-01-31 10:00:00.500 history nova-compute[42] INFO three  flags=skewed\n"
    )
    assert (err, tail.returncode) == ("", 0)


def test_json_is_one_object_a_line_and_raw_is_the_message(collector: Collector) -> None:
    collector.send("formats", '@cee: {"message":"two\\nlines","x":1}')
    with collector.tail("--host", "formats", "--no-follow", "--output", "json") as tail:
        row = json.loads(tail.communicate(timeout=20)[0])
    assert (row["message"], row["fields"], row["facility"]) == ("two\nlines", {"x": 1}, "local1")
    with collector.tail("--host", "formats", "--no-follow", "--output", "raw") as tail:
        assert tail.communicate(timeout=20)[0] == "two\nlines\n"


def test_severity_means_this_and_worse(collector: Collector) -> None:
    collector.send("severities", "bad", severity=3)
    collector.send("severities", "warned", severity=4)
    collector.send("severities", "fine", severity=6)
    with collector.tail("--host", "severities", "--no-follow", "--severity", "warning", "--output", "raw") as tail:
        assert tail.communicate(timeout=20)[0] == "bad\nwarned\n"


def test_live_lines_follow_history_and_ctrl_c_ends_with_0(collector: Collector) -> None:
    collector.send("live", "old")
    with collector.tail("--host", "live", "--output", "raw") as tail:
        assert tail.stdout is not None
        assert tail.stdout.readline() == "old\n"
        collector.send("live", "new")
        assert tail.stdout.readline() == "new\n"
        tail.send_signal(signal.SIGINT)
        assert tail.communicate(timeout=20) == ("", "")
    assert tail.returncode == 0


def test_a_closed_pipe_ends_with_0_and_without_a_word(collector: Collector) -> None:
    collector.send("pipe", *(f"line {number}" for number in range(100)))
    with collector.tail("--host", "pipe", "-n", "100", "--output", "raw") as tail:
        assert tail.stdout is not None
        assert tail.stderr is not None
        assert tail.stdout.readline() == "line 0\n"
        tail.stdout.close()
        collector.send("pipe", "one more")
        assert tail.stderr.read() == ""
        assert tail.wait(20) == 0


def test_a_pipe_whose_reader_left_ends_the_tail_although_nothing_arrives(collector: Collector) -> None:
    collector.send("silent", "only")
    with collector.tail("--host", "silent", "--output", "raw") as tail:
        assert tail.stdout is not None
        assert tail.stdout.readline() == "only\n"
        tail.stdout.close()
        assert tail.wait(20) == 0


def test_an_absent_collector_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = subprocess.run(
        [*COMMAND, "tail", "--url", f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert re.fullmatch(rf"Error: cannot reach the collector at http://127\.0\.0\.1:{port}: .*refused.*\n", done.stderr)


def test_a_wrong_severity_is_said_in_the_collectors_words(collector: Collector) -> None:
    with collector.tail("--severity", "loud") as tail:
        out, err = tail.communicate(timeout=20)
    assert tail.returncode == 2
    assert out == ""
    assert err == (
        "Error: the collector refuses: cannot use severity 'loud': expected one of"
        " emerg, alert, crit, err, warning, notice, info, debug\n"
    )


def test_a_query_chooses_the_lines(collector: Collector) -> None:
    collector.send("query", "one disk", "two disks", "three nets")
    with collector.tail("host:query -disks", "--no-follow", "--output", "raw") as tail:
        assert tail.communicate(timeout=20) == ("one disk\nthree nets\n", "")


def test_a_wrong_query_is_shown_with_a_caret_under_the_column(collector: Collector) -> None:
    with collector.tail("host:a | count") as tail:
        out, err = tail.communicate(timeout=20)
    assert (tail.returncode, out) == (2, "")
    assert err == (
        "Error: the collector refuses: cannot read query at column 8: a pipe has no meaning here\n"
        "  host:a | count\n"
        "         ^\n"
    )


def test_lines_of_a_request_are_in_the_order_of_their_times_and_one_may_have_none(collector: Collector) -> None:
    collector.send("request", '@cee: {"message":"late","request_id":"req-of-two"}', at="-")
    collector.send("request", '@cee: {"message":"early","request_id":"req-of-two"}')
    with collector.tail("--request", "req-of-two", "--no-follow", "--output", "raw") as tail:
        assert tail.communicate(timeout=20) == ("early\nlate\n", "")
