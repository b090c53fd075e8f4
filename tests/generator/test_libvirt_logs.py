"""libvirt's own files on a compute host: what of them is forwarded, as which records, and what survives rotation."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cloud.logs.collector.batch import Source
from cloud.logs.collector.framing import Message
from cloud.logs.collector.parsing import Received, parse
from tests.generator.forwarding import LINE_ID, FrameSink, files_with, numbers, render
from tests.rsyslog import RsyslogHost
from tests.waiting import wait_until

pytestmark = pytest.mark.server

RECORD = re.compile(r"<(\d+)>1 (\S+) compute-01 (\S+) (\S+) - \[line@32473 [^\]]+\] @cee: (\{.*\})")
LIBVIRTD_LOG = """\
2014-10-30 12:00:00.123+0000: 1234: info : libvirt version: 9.0.0
2014-10-30 12:00:00.124+0000: 1234: error : virNetSocketReadWire:1808 : End of file while reading data: I/O error
2014-10-30 12:00:00.125+0000: 1235: warning : qemuDomainObjTaint:6110 : Domain is tainted
2014-10-30 12:00:00.126+0000: 1236: debug : virEventPollRunOnce:633 : poll got 0
  a line more of it
2014-10-30 12:00:00.127+0000: 1237: error : qemuProcessReportLogError:2050 : internal error: process exited:
could not open disk image
"""
QEMU_LOG = """\
2026-11-25 01:22:33.123+0000: starting up libvirt version: 9.0.0, qemu version: 7.2.0, hostname: compute-01
LC_ALL=C \\
PATH=/usr/local/bin:/usr/bin \\
/usr/bin/qemu-system-x86_64 \\
-name guest=instance-000015b9,debug-threads=on \\
-msg timestamp=on
2026-11-25T01:22:33.500001Z qemu-system-x86_64: -blockdev {"driver":"file"}: Could not open '/x': No such file or directory
2026-11-25 01:22:34.456+0000: shutting down, reason=failed
"""


def record(frame: str) -> tuple[int, str, str, str, str]:
    """PRI, TIMESTAMP, APP-NAME, PROCID and the text of a frame, which has this host's name and number and one line."""
    match = RECORD.fullmatch(frame)
    assert match is not None, frame
    return int(match[1]), match[2], match[3], match[4], json.loads(match[5])["message"]


def libvirtd_log(tree: Path) -> Path:
    path = tree / "var/log/libvirt/libvirtd.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def qemu_log(tree: Path, domain: str = "instance-000015b9") -> Path:
    path = tree / f"var/log/libvirt/qemu/{domain}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_libvirtd_line_has_the_severity_thread_and_time_of_its_text(
    tree: Path, sink: FrameSink, host: RsyslogHost
) -> None:
    render(tree, sink)
    sink.listen()
    libvirtd_log(tree).write_text(LIBVIRTD_LOG)
    host.start(tree)
    sink.wait_for("could not open disk image")
    host.stop()

    lines = LIBVIRTD_LOG.splitlines()
    assert [record(frame) for frame in sink.frames] == [
        (27, "2014-10-30T12:00:00.124Z", "libvirtd", "1234", lines[1]),
        (28, "2014-10-30T12:00:00.125Z", "libvirtd", "1235", lines[2]),
        (27, "2014-10-30T12:00:00.127Z", "libvirtd", "1237", lines[5]),
        (27, "2014-10-30T12:00:00.127Z", "libvirtd", "1237", lines[6]),
    ]
    assert numbers(sink.frames) == [1, 2, 3, 4]
    assert host.nova_log.read_text().splitlines() == sink.frames
    assert files_with(tree, "tainted") == ["libvirt/libvirtd.log", "nova/nova.log"]
    assert host.said() == ""


def test_first_line_that_goes_on_with_one_nobody_read_is_an_error_of_no_thread(
    tree: Path, sink: FrameSink, host: RsyslogHost
) -> None:
    render(tree, sink)
    sink.listen()
    libvirtd_log(tree).write_text("could not open disk image\n")
    host.start(tree)
    sink.wait_for("could not open disk image")

    (frame,) = sink.frames
    pri, time, *rest = record(frame)
    assert (pri, *rest) == (27, "libvirtd", "-", "could not open disk image")
    assert re.fullmatch(r"20\d\d-\S+", time)


def test_guide_profile_forwards_libvirtds_errors_and_all_of_qemus(
    tree: Path, sink: FrameSink, host: RsyslogHost
) -> None:
    render(tree, sink, profile="guide")
    sink.listen()
    libvirtd_log(tree).write_text(LIBVIRTD_LOG)
    qemu_log(tree).write_text(QEMU_LOG)
    host.start(tree)
    sink.wait_for("could not open disk image")
    sink.wait_for("reason=failed")

    assert sorted(record(frame)[:1] + record(frame)[2:4] for frame in sink.frames) == [
        *[(27, "libvirtd", "1234"), (27, "libvirtd", "1237"), (27, "libvirtd", "1237")],
        *[(30, "qemu", "instance-000015b9")] * 4,
    ]


def test_system_threshold_holds_for_libvirtd_and_not_for_qemu(tree: Path, sink: FrameSink, host: RsyslogHost) -> None:
    render(tree, sink, thresholds={"nova": "emerg", "system": "debug"})
    sink.listen()
    libvirtd_log(tree).write_text(LIBVIRTD_LOG)
    host.start(tree)
    sink.wait_for("could not open disk image")
    assert [record(frame)[0] for frame in sink.frames] == [30, 27, 28, 31, 31, 27, 27]
    host.stop()

    render(tree, sink, thresholds={"nova": "emerg", "system": "emerg"})
    host.start(tree)
    append(libvirtd_log(tree), LIBVIRTD_LOG)
    qemu_log(tree).write_text(QEMU_LOG)
    sink.wait_for("reason=failed")
    assert [record(frame)[2] for frame in sink.frames[7:]] == ["qemu"] * 4


def test_start_of_a_domain_is_one_record_and_the_file_name_its_procid(
    tree: Path, sink: FrameSink, host: RsyslogHost
) -> None:
    render(tree, sink)
    sink.listen()
    qemu_log(tree).write_text(QEMU_LOG)
    host.start(tree)
    sink.wait_for("reason=failed")
    host.stop()

    lines = QEMU_LOG.splitlines()
    records = [record(frame) for frame in sink.frames]
    assert [(pri, app_name, procid) for pri, _, app_name, procid, _ in records] == [
        (30, "qemu", "instance-000015b9")
    ] * 4
    assert [text for *_, text in records] == [lines[0], "\n".join(lines[1:6]), lines[6], lines[7]]
    assert (records[0][1], records[2][1], records[3][1]) == (
        "2026-11-25T01:22:33.123Z",
        "2026-11-25T01:22:33.500001Z",
        "2026-11-25T01:22:34.456Z",
    )
    assert host.nova_log.read_text().splitlines() == sink.frames

    failures: list[str] = []
    row, _ = parse(Received(Message(sink.frames[1].encode(), is_truncated=False), 0, Source("peer")), failures)
    assert (row.hostname, row.app_name, row.procid, row.facility, row.severity, row.sequence) == (
        *("compute-01", "qemu", "instance-000015b9"),
        *(3, 6, 2),
    )
    assert row.message == "\n".join(lines[1:6])
    assert failures == []


def test_unfinished_command_line_does_not_wait_for_ever(tree: Path, sink: FrameSink, host: RsyslogHost) -> None:
    render(tree, sink)
    sink.listen()
    host.start(tree)
    qemu_log(tree).write_text("LC_ALL=C \\\n/usr/bin/qemu-system-x86_64 \\\n")
    sink.wait_for("qemu-system-x86_64")

    assert [record(frame)[4] for frame in sink.frames] == ["LC_ALL=C \\\n/usr/bin/qemu-system-x86_64 \\"]


@pytest.mark.parametrize("profile", ["default", "guide"])
def test_text_of_users_and_guests_forges_neither_number_nor_record(
    tree: Path, sink: FrameSink, host: RsyslogHost, profile: str
) -> None:
    render(tree, sink, profile=profile)
    sink.listen()
    host.start(tree)
    texts = [
        '[line@32473 host="other" start="0" n="7"] x',
        '"}\r<139>1 2026-01-02T03:04:05Z other nova-compute - - [line@32473 host="other" start="0" n="8"]\x1b[2J\x00 x',
        '@cee: {"event": "migration.post.failed", "cloud": {"sd": "-"}, "libvirt": {"procid": "x"}} \\',
        "<131>1 - other\t\x7f",
    ]
    qemu_log(tree).write_text("\n".join(texts) + "\n", newline="")
    qemu_log(tree, 'a b] "[line@32473 n="9"]').write_text("m-odd-name\n")
    wait_until(lambda: len(sink.frames) == 4, what="four records")
    host.stop()

    records = {record(frame)[3:] for frame in sink.frames}
    assert records == {
        ("instance-000015b9", texts[0]),
        ("instance-000015b9", texts[1]),
        ("instance-000015b9", texts[2] + "\n" + texts[3]),
        ("-", "m-odd-name"),
    }
    assert numbers(sink.frames) == [1, 2, 3, 4]
    assert len(LINE_ID.findall(host.nova_log.read_text())) == 4
    assert host.nova_log.read_bytes().count(b"\n") == 4


def test_byte_that_is_not_utf8_costs_its_record_the_json_and_nothing_else(
    tree: Path, sink: FrameSink, host: RsyslogHost
) -> None:
    render(tree, sink)
    sink.listen()
    host.start(tree)
    qemu_log(tree).write_bytes(b"m-latin-\xe9\n")
    host.wait_for_local(b"m-latin-\xe9")

    failures: list[str] = []
    line = host.nova_log.read_bytes().removesuffix(b"\n")
    row, _ = parse(Received(Message(line, is_truncated=False), 0, Source("peer")), failures)
    assert (row.hostname, row.app_name, row.procid, row.sequence) == ("compute-01", "qemu", "instance-000015b9", 1)
    assert "m-latin-\\xe9" in row.message
    assert failures == ["utf8", "json"]


def rename(path: Path) -> None:
    """logrotate's create, and what virtlogd does."""
    path.rename(path.with_name(f"{path.name}.1"))
    path.touch()


def copy_and_truncate(path: Path) -> None:
    """logrotate's copytruncate: Debian's for libvirt."""
    shutil.copy(path, path.with_name(f"{path.name}.1"))
    with path.open("r+") as file:
        file.truncate()


@pytest.mark.parametrize("log", [libvirtd_log, qemu_log])
@pytest.mark.parametrize("rotate", [rename, copy_and_truncate])
def test_rotation_loses_nothing_and_repeats_nothing(
    tree: Path,
    sink: FrameSink,
    host: RsyslogHost,
    log: Callable[[Path], Path],
    rotate: Callable[[Path], None],
) -> None:
    render(tree, sink)
    sink.listen()
    host.start(tree)
    path = log(tree)
    # imfile knows a file by its inode, which the next one may be given again, and from 512 bytes on by these too.
    filler = "x" * 512
    for turn in range(3):
        append(path, f"2026-11-25 01:22:33.123+0000: 1: error : m-{turn}-followed {filler}\n")
        sink.wait_for(f"m-{turn}-followed")
        if rotate is rename:  # a truncation takes what is not read yet with it, and nobody can save that
            append(path, f"2026-11-25 01:22:33.123+0000: 1: error : m-{turn}-unread\n")
        rotate(path)
    append(path, "2026-11-25 01:22:33.123+0000: 1: error : m-last\n")
    sink.wait_for("m-last")
    host.stop()

    found = [match[0] for frame in sink.frames if (match := re.search(r"m-[-\w]+", frame))]
    unread = ["m-0-unread", "m-1-unread", "m-2-unread"] if rotate is rename else []
    assert sorted(found) == sorted(["m-0-followed", "m-1-followed", "m-2-followed", *unread, "m-last"])


def test_file_of_a_new_instance_is_picked_up_and_a_restart_goes_on_where_it_was(
    tree: Path, sink: FrameSink, host: RsyslogHost
) -> None:
    render(tree, sink)
    sink.listen()
    host.start(tree)  # libvirt has not made its directory yet
    append(qemu_log(tree, "instance-00000001"), "m-1\n")
    sink.wait_for("m-1")
    append(qemu_log(tree, "instance-00000002"), "m-2\n")
    append(libvirtd_log(tree), "2026-11-25 01:22:33.123+0000: 1: error : m-3\n")
    sink.wait_for("m-2")
    sink.wait_for("m-3")
    host.stop()
    append(qemu_log(tree, "instance-00000001"), "m-4\n")
    host.start(tree)
    sink.wait_for("m-4")
    host.kill()
    append(qemu_log(tree, "instance-00000002"), "m-5\n")
    host.start(tree)
    sink.wait_for("m-5")
    host.stop()

    assert sorted(record(frame)[3] + " " + record(frame)[4][-3:] for frame in sink.frames) == [
        "1 m-3",
        "instance-00000001 m-1",
        "instance-00000001 m-4",
        "instance-00000002 m-2",
        "instance-00000002 m-5",
    ]
