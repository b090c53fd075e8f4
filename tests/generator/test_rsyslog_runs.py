"""The rendered files in a real rsyslogd: what it writes, what it forwards, and how it numbers that."""

import re
from pathlib import Path

import pytest

from tests.generator.forwarding import (
    DEBUG,
    ERR,
    INFO,
    LINE_ID,
    TIME,
    WARNING,
    FrameSink,
    files_with,
    nova_line,
    numbers,
    render,
    stock_beside,
)
from tests.rsyslog import RsyslogHost
from tests.waiting import wait_until

pytestmark = pytest.mark.server


def test_default_profile_forwards_info_and_up_and_keeps_every_line_in_one_file(
    tree: Path, sink: FrameSink, host: RsyslogHost
) -> None:
    render(tree, sink)
    sink.listen()
    host.start(tree)
    host.send(nova_line(DEBUG, "m-debug"), nova_line(INFO, "m-info"), nova_line(ERR, "m-err"), nova_line(ERR, "m-last"))
    sink.wait_for("m-last")
    host.stop()

    for marker in ("m-debug", "m-info", "m-err", "m-last"):
        assert files_with(tree, marker) == ["nova/nova.log"]
    assert [frame.rsplit(" ", 1)[1] for frame in sink.frames] == ["m-info", "m-err", "m-last"]
    assert numbers(sink.frames) == [1, 2, 3]
    assert host.said() == ""


def test_wire_line_carries_the_inventory_name_the_sent_time_and_no_newline(
    tree: Path, sink: FrameSink, host: RsyslogHost
) -> None:
    render(tree, sink)
    sink.listen()
    host.start(tree)
    host.send(nova_line(INFO, '@cee: {"message": "spawned"}', '[ours@32473 a="b"]'))
    sink.wait_for("spawned")
    host.stop()

    (frame,) = sink.frames
    start = LINE_ID.search(frame)
    assert start is not None
    assert frame == (
        f'<142>1 {TIME} compute-01 nova-compute 12 - [ours@32473 a="b"]'
        f'[line@32473 host="compute-01" start="{start[1]}" n="1"] @cee: {{"message": "spawned"}}'
    )
    assert host.nova_log.read_text() == frame + "\n"


def test_each_start_numbers_from_one_under_an_id_of_its_own(tree: Path, sink: FrameSink, host: RsyslogHost) -> None:
    render(tree, sink)
    sink.listen()
    for marker in ("m-first", "m-second"):
        host.start(tree)
        host.send(nova_line(INFO, "m-before"), nova_line(INFO, marker))
        sink.wait_for(marker)
        host.stop()

    ids = LINE_ID.findall(host.nova_log.read_text())
    assert [number for _, number in ids] == ["1", "2", "1", "2"]
    assert ids[0][0] == ids[1][0] != ids[2][0] == ids[3][0]


def test_forged_number_is_dropped_and_malformed_line_stays_parseable(
    tree: Path, sink: FrameSink, host: RsyslogHost
) -> None:
    render(tree, sink)
    sink.listen()
    host.start(tree)
    forged = '[line@32473 host="other" start="0" n="7"]'
    host.send(nova_line(INFO, "m-forged", forged), nova_line(DEBUG, "m-unsent", forged), "<142>1 m-bad")
    sink.wait_for("m-bad")
    host.stop()

    assert "other" not in host.nova_log.read_text()
    assert numbers(sink.frames) == [1, 2]
    assert re.fullmatch(r"<142>1 \S+ compute-01 - - - \[line@\S+ \S+ \S+ n=\"2\"\] m-bad", sink.frames[1])


def test_long_line_is_not_cut(tree: Path, sink: FrameSink, host: RsyslogHost) -> None:
    render(tree, sink)
    sink.listen()
    host.start(tree)
    host.send(nova_line(INFO, "x" * 120_000 + "m-end"))
    sink.wait_for("m-end")

    assert sink.frames[0].count("x") == 120_000


def test_guide_profile_forwards_errors_and_events_only(tree: Path, sink: FrameSink, host: RsyslogHost) -> None:
    render(tree, sink, profile="guide")
    sink.listen()
    host.start(tree)
    host.send(
        nova_line(INFO, '@cee: {"message": "m-plain"}'),
        nova_line(WARNING, "m-warning"),
        nova_line(ERR, "m-err"),
        nova_line(INFO, '@cee: {"event": "migration.transfer.started", "message": "m-migration"}'),
        nova_line(INFO, '@cee: {"event": "instance.reboot", "message": "m-instance"}'),
        nova_line(WARNING, '@cee: {"event": "rpc.timeout", "message": "m-timeout"}'),
        nova_line(INFO, '@cee: {"event": "canary", "message": "m-canary"}'),
        nova_line(INFO, '@cee: {"event": "canary.else", "message": "m-other-event"}'),
        nova_line(INFO, '@cee: {"message": "m-in-text event migration.transfer.started"}'),
        nova_line(INFO, '@cee: {"event": {"a": 1}, "message": "m-no-text"}'),
        nova_line(INFO, '@cee: {"event": "migration.post.completed", "message": "m-body", "cloud": {"sd": "x"}}'),
        nova_line(ERR, "m-last"),
    )
    sink.wait_for("m-last")
    host.stop()

    markers = [match[0] for frame in sink.frames if (match := re.search(r"m-[a-z]+", frame))]
    assert markers == ["m-err", "m-migration", "m-instance", "m-timeout", "m-canary", "m-body", "m-last"]
    assert numbers(sink.frames) == [1, 2, 3, 4, 5, 6, 7]
    for marker in ("m-plain", "m-warning", "m-err", "m-migration", "m-in-text", "m-last"):
        assert files_with(tree, marker) == ["nova/nova.log"]


@pytest.mark.parametrize("profile", ["default", "guide"])
def test_beside_stock_each_nova_line_is_in_one_file_and_system_lines_keep_theirs(
    tree: Path, sink: FrameSink, host: RsyslogHost, profile: str
) -> None:
    render(tree, sink, profile=profile)
    stock, dev_log = stock_beside(tree)
    sink.listen()
    host.start(tree, stock, sockets=(dev_log,))
    host.send(nova_line(DEBUG, "m-debug"), nova_line(INFO, "m-info"), nova_line(ERR, "m-err"))
    host.send("<139>Jan  2 03:04:05 nova-compute: m-devlog", to=dev_log)  # a service with the guide's own handler
    host.send("<131>Jan  2 03:04:05 haproxy: m-local0", to=dev_log)  # no service of this host has local0
    host.send("<27>Jan  2 03:04:05 libvirtd[1]: m-libvirt", "<14>Jan  2 03:04:05 cli: m-user", to=dev_log)
    sink.wait_for("m-libvirt")
    host.stop()

    for marker in ("m-debug", "m-info", "m-err", "m-devlog"):
        assert files_with(tree, marker) == ["nova/nova.log"]
    assert files_with(tree, "m-libvirt") == ["nova/nova.log", "syslog"]
    assert files_with(tree, "m-local0") == ["syslog"]
    assert files_with(tree, "m-user") == ["syslog", "user.log"]
    assert not any("m-local0" in frame or "m-user" in frame for frame in sink.frames)


def test_system_lines_below_warning_stay_and_dnsmasq_stops(tree: Path, sink: FrameSink, host: RsyslogHost) -> None:
    render(tree, sink)
    stock, dev_log = stock_beside(tree)
    sink.listen()
    host.start(tree, stock, sockets=(dev_log,))
    host.send(
        "<30>Jan  2 03:04:05 dnsmasq-dhcp[1]: m-lease",
        "<28>Jan  2 03:04:05 dnsmasq[1]: m-no-address",
        "<30>Jan  2 03:04:05 libvirtd[1]: m-daemon-info",
        "<28>Jan  2 03:04:05 libvirtd[1]: m-daemon-warning",
        "<6>Jan  2 03:04:05 kernel: m-kern-info",
        "<4>Jan  2 03:04:05 kernel: m-kern-warning",
        "<27>Jan  2 03:04:05 libvirtd[1]: m-last",
        to=dev_log,
    )
    sink.wait_for("m-last")
    host.stop()

    assert [frame.rsplit(" ", 1)[1] for frame in sink.frames] == [
        "m-no-address",
        "m-daemon-warning",
        "m-kern-warning",
        "m-last",
    ]
    assert numbers(sink.frames) == [1, 2, 3, 4]
    assert files_with(tree, "m-lease") == []
    assert files_with(tree, "m-daemon-info") == ["syslog"]
    assert files_with(tree, "m-kern-info") == ["kern.log", "syslog"]


def test_system_threshold_holds_where_nova_has_a_stricter_one(tree: Path, sink: FrameSink, host: RsyslogHost) -> None:
    render(tree, sink, thresholds={"nova": "err", "system": "warning"})
    stock, dev_log = stock_beside(tree)
    sink.listen()
    host.start(tree, stock, sockets=(dev_log,))
    host.send(nova_line(WARNING, "m-nova-warning"))
    host.send("<28>Jan  2 03:04:05 libvirtd[1]: m-daemon-warning", "<27>Jan  2 03:04:05 libvirtd: m-last", to=dev_log)
    sink.wait_for("m-last")

    assert [frame.rsplit(" ", 1)[1] for frame in sink.frames] == ["m-daemon-warning", "m-last"]


def test_lines_wait_for_a_collector_that_is_away(tree: Path, sink: FrameSink, host: RsyslogHost) -> None:
    render(tree, sink)
    host.start(tree)
    host.send(*(nova_line(INFO, f"m-{number}.") for number in range(50)))
    host.wait_for_local("m-49.")
    host.stop()  # what waits goes to the spool directory
    assert list((tree / "var/spool/rsyslog").glob("nova_fwd*"))

    sink.listen()
    host.start(tree)
    # Neither in order nor once each: what rsyslogd was sending when it stopped comes before what waited, and the line
    # on which it found the collector gone may come twice.
    wait_until(lambda: set(numbers(sink.frames)) == set(range(1, 51)), what="all 50 lines")
