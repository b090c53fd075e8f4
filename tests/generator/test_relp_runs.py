"""The rendered files in a real rsyslogd that forwards by RELP: what is sent again, and what survives."""

import contextlib
import gzip
import json
import re
import subprocess
from pathlib import Path

import pytest

from cloud.logs.events import EVENTS
from tests.generator.forwarding import DEBUG, ERR, INFO, LINE_ID, nova_line, numbers, render
from tests.generator.relp import RelpSink
from tests.rsyslog import RsyslogHost
from tests.waiting import wait_until

pytestmark = pytest.mark.server

MARK = re.compile(
    r"<46>1 \S+ compute-01 rsyslogd - - \[line@32473 host=\"compute-01\" start=\"[0-9A-F]{32}\" n=\"\d+\"\] @cee: (.+)"
)


def messages(lines: list[str]) -> list[str]:
    """The test's own, without what rsyslogd says of itself."""
    return [match[0] for line in lines if (match := re.search(r"m-\S+$", line))]


def test_numbered_lines_of_any_length_arrive_once_and_in_order(
    tree: Path, relp_sink: RelpSink, host: RsyslogHost
) -> None:
    render(tree, relp_sink)
    relp_sink.listen()
    host.start(tree)
    host.send(nova_line(INFO, "m-first"), nova_line(DEBUG, "m-local"), nova_line(INFO, "x" * 120_000 + " m-long"))
    host.send(nova_line(ERR, "m-last"))
    relp_sink.wait_for("m-last")
    host.stop()

    assert messages(relp_sink.frames) == ["m-first", "m-long", "m-last"]
    assert numbers(relp_sink.frames) == [1, 2, 3]
    assert relp_sink.frames[1].count("x") == 120_000
    assert host.said() == ""


@pytest.mark.parametrize("profile", ["default", "guide"])
def test_idle_host_says_that_it_is_there_in_its_own_log_and_to_the_collector_only(
    tree: Path, relp_sink: RelpSink, host: RsyslogHost, profile: str
) -> None:
    render(tree, relp_sink, {"mark_interval_s": 1}, profile=profile, thresholds={"nova": "emerg"})
    relp_sink.listen()
    host.start(tree)
    relp_sink.wait_for('n="1"')
    host.stop()

    match = MARK.fullmatch(relp_sink.frames[0])
    assert match
    assert json.loads(match[1]) == {"message": "mark", "event": "host.mark"}
    assert "host.mark" in EVENTS
    assert host.nova_log.read_text().splitlines()[0] == relp_sink.frames[0]
    assert not (tree / "var/log/syslog").exists()


def test_what_a_collector_took_and_did_not_answer_is_sent_again_without_a_new_line(
    tree: Path, relp_sink: RelpSink, host: RsyslogHost
) -> None:
    render(tree, relp_sink, {"mark_interval_s": 1})
    relp_sink.acknowledges = False
    relp_sink.listen()
    host.start(tree)
    host.send(*(nova_line(INFO, f"m-{number}.") for number in range(20)))
    relp_sink.wait_for("m-19.")

    relp_sink.cut()
    before = len(relp_sink.frames)
    relp_sink.acknowledges = True
    relp_sink.listen()
    expected = [f"m-{number}." for number in range(20)]
    wait_until(lambda: len(messages(relp_sink.frames[before:])) >= 20, what="the window once more")
    again = relp_sink.frames[before:]

    assert messages(again) == expected
    assert numbers(again)[:20] == numbers(relp_sink.frames)[:20]


def test_durable_queue_survives_kill_minus_9_but_for_what_was_not_yet_flushed(
    tree: Path, relp_sink: RelpSink, host: RsyslogHost
) -> None:
    render(tree, relp_sink, durable_queue=True)
    host.start(tree)
    host.send(*(nova_line(INFO, f"m-{number}.") for number in range(300)))
    host.wait_for_local("m-299.")
    host.kill()

    relp_sink.listen()
    host.start(tree)
    survived = {f"m-{number}." for number in range(200)}  # checkpointInterval is 100
    wait_until(lambda: survived <= set(messages(relp_sink.frames)), what="the lines of before")
    assert len(LINE_ID.findall(host.nova_log.read_text())) >= 300


def test_rotation_keeps_every_line_and_goes_on_numbering(tree: Path, relp_sink: RelpSink, host: RsyslogHost) -> None:
    render(tree, relp_sink)
    relp_sink.listen()
    host.start(tree)
    for day in ("20260101", "20260102", "20260103"):
        host.send(nova_line(INFO, f"m-{day}"))
        host.wait_for_local(f"m-{day}")
        rotate(tree, host, day)
    host.send(nova_line(INFO, "m-last"))
    relp_sink.wait_for("m-last")
    host.stop()

    log = tree / "var/log/nova"
    names = ["nova.log", "nova.log-20260101.gz", "nova.log-20260102.gz", "nova.log-20260103"]
    assert sorted(path.name for path in log.iterdir()) == names
    texts = [gzip.decompress((log / name).read_bytes()).decode() for name in names[1:3]]
    texts += [(log / name).read_text() for name in (names[3], names[0])]
    assert [messages(text.splitlines()) for text in texts] == [
        ["m-20260101"],
        ["m-20260102"],
        ["m-20260103"],
        ["m-last"],
    ]
    assert numbers(texts) == [1, 2, 3, 4]


def rotate(tree: Path, host: RsyslogHost, day: str) -> None:
    """What logrotate does with the tree's own file, as if it had been done on `day`; return when rsyslogd has heard."""
    assert host._process is not None
    pid, log = host._process.pid, tree / "var/log/nova"
    (tree / "run/nova/rsyslogd.pid").write_text(str(pid))
    command = ["logrotate", "--force", "--state", str(tree / "logrotate.state"), str(tree / "etc/logrotate.d/nova")]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (run.returncode, run.stderr) == (0, "")
    max(log.glob("nova.log-*")).rename(log / f"nova.log-{day}")
    wait_until(
        lambda: not any("/nova.log-" in path for path in opened_by(pid)), what="rsyslogd to let go of the old file"
    )


def opened_by(pid: int) -> list[str]:
    """The files that the process has open; one that it closes meanwhile may be missing."""
    paths = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            paths.append(str(descriptor.readlink()))
    return paths
