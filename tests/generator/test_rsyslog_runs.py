"""The rendered files in a real rsyslogd: what it writes, what it forwards, and how it numbers that."""

import contextlib
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.logs.generator.check_rsyslog import STOCK_RSYSLOG_CONF
from cloud.logs.generator.inventory import Inventory
from cloud.logs.generator.render import render_host, write_tree
from tests.rsyslog import RsyslogHost
from tests.waiting import wait_until

pytestmark = pytest.mark.server

TIME = "2026-01-02T03:04:05.123456Z"
ERR, WARNING, INFO, DEBUG = 139, 140, 142, 143  # on local1, nova-compute's
LINE_ID = re.compile(r'\[line@32473 host="compute-01" start="([0-9A-F]{32})" n="(\d+)"\]')


class FrameSink:
    """A collector that keeps octet-counted frames; `listen` may come later than the port is known."""

    def __init__(self) -> None:
        self.frames: list[str] = []
        self._server = socket.socket()
        self._server.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._connection: socket.socket | None = None

    @property
    def port(self) -> int:
        port: int = self._server.getsockname()[1]
        return port

    def listen(self) -> None:
        self._server.listen()
        self._thread.start()

    def _receive(self) -> None:
        try:
            while True:  # one connection after another: rsyslogd has one
                self._connection, _ = self._server.accept()
                with self._connection, self._connection.makefile("rb") as stream:
                    while digits := b"".join(iter(lambda: stream.read(1).strip(), b"")):
                        self.frames.append(stream.read(int(digits)).decode())
        except (OSError, ValueError):  # closed under us: the test is over
            return

    def wait_for(self, text: str) -> None:
        wait_until(lambda: any(text in frame for frame in self.frames), what=f"a frame with {text!r}")

    def close(self) -> None:
        for end in filter(None, (self._connection, self._server)):
            with contextlib.suppress(OSError):  # the other side was faster
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        if self._thread.ident is not None:
            self._thread.join(5)


@pytest.fixture
def sink() -> Iterator[FrameSink]:
    sink = FrameSink()
    yield sink
    sink.close()


@pytest.fixture
def tree() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="t-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def host() -> Iterator[RsyslogHost]:
    with RsyslogHost() as host:
        yield host


def render(tree: Path, sink: FrameSink, **keys: object) -> None:
    entry = {"services": ["nova-compute", "nova-network"], "base_rsyslog": True, "paths": {"root": str(tree)}}
    collector = {"address": "127.0.0.1", "port": sink.port}
    inventory = Inventory.model_validate({"collector": collector, "hosts": {"compute-01": entry}, **keys})
    write_tree(render_host(inventory, "compute-01"), tree)


def stock_beside(tree: Path) -> tuple[Path, Path]:
    """Debian's rsyslog.conf with its paths led into `tree`, and the /dev/log it listens on."""
    dev_log = tree / "run/dev-log"
    text = STOCK_RSYSLOG_CONF.read_text()
    text = text.replace('module(load="imuxsock")', f'module(load="imuxsock" SysSock.Name="{dev_log}")')
    text = text.replace("/var/", f"{tree}/var/").replace("/etc/", f"{tree}/etc/")
    not_ours = ("imklog", "$FileOwner", "$FileGroup", ":omusrmsg:")  # the machine's kernel log, users and terminals
    path = tree / "stock.conf"
    path.write_text("\n".join(line for line in text.splitlines() if not any(word in line for word in not_ours)))
    return path, dev_log


def nova_line(pri: int, message: str, structured_data: str = "-") -> str:
    return f"<{pri}>1 {TIME} - nova-compute 12 - {structured_data} {message}"


def files_with(tree: Path, text: str) -> list[str]:
    """The local files with `text`, each as often as it has it."""
    logs = [path for path in sorted((tree / "var/log").rglob("*")) if path.is_file()]
    return [str(path.relative_to(tree / "var/log")) for path in logs for _ in range(path.read_text().count(text))]


def numbers(frames: list[str]) -> list[int]:
    return [int(match[2]) for frame in frames if (match := LINE_ID.search(frame))]


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
    wait_until(lambda: host.nova_log.exists() and "m-49." in host.nova_log.read_text(), what="the local file")
    host.stop()  # what waits goes to the spool directory
    assert list((tree / "var/spool/rsyslog").glob("nova_fwd*"))

    sink.listen()
    host.start(tree)
    # Neither in order nor once each: what rsyslogd was sending when it stopped comes before what waited, and the line
    # on which it found the collector gone may come twice.
    wait_until(lambda: set(numbers(sink.frames)) == set(range(1, 51)), what="all 50 lines")
