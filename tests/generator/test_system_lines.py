"""Lines of the kernel, of dnsmasq and of libvirtd, as they come by the inputs of the base configuration."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.generator.forwarding import FrameSink, files_with, nova_line, numbers, render, stock_beside
from tests.rsyslog import RsyslogHost

pytestmark = pytest.mark.server

DAEMON_LINES = (
    "<30>Jan  2 03:04:05 dnsmasq-dhcp[7]: m-lease",
    "<29>Jan  2 03:04:05 dnsmasq[7]: m-started",
    "<28>Jan  2 03:04:05 dnsmasq[7]: m-no-address",
    "<30>Jan  2 03:04:05 libvirtd[123]: m-libvirt-info",
    "<27>Jan  2 03:04:05 libvirtd[123]: m-libvirt-err",
)


class KernelLog:
    """A pipe in the place of /proc/kmsg; it stays open, so that rsyslogd never reads its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDWR)

    def write(self, *lines: str) -> None:
        os.write(self._descriptor, "".join(f"{line}\n" for line in lines).encode())

    def close(self) -> None:
        os.close(self._descriptor)


@pytest.fixture
def kernel_log(tree: Path) -> Iterator[KernelLog]:
    log = KernelLog(tree / "kmsg")
    yield log
    log.close()


def headers(frames: list[str]) -> list[tuple[str, str, str, str, str]]:
    """PRI, HOSTNAME, APP-NAME, PROCID and the last word of each frame."""
    parts = [(frame.split(" "), frame.rsplit(" ", 1)[1]) for frame in frames]
    return [(words[0], words[2], words[3], words[4], last) for words, last in parts]


def test_stock_inputs_bring_kernel_dnsmasq_and_libvirtd_from_the_threshold_up(
    tree: Path, sink: FrameSink, host: RsyslogHost, kernel_log: KernelLog
) -> None:
    render(tree, sink)
    stock, dev_log = stock_beside(tree, kernel_log.path)
    sink.listen()
    host.start(tree, stock, sockets=(dev_log,))
    kernel_log.write(
        "<6>[   12.345678] m-kern-info", "<4>[   12.345679] m-kern-warning", "<3>[   12.345680] m-kern-err"
    )
    sink.wait_for("m-kern-err")
    host.send(*DAEMON_LINES, to=dev_log)
    sink.wait_for("m-libvirt-err")
    host.stop()

    assert headers(sink.frames) == [
        ("<4>1", "compute-01", "kernel", "-", "m-kern-warning"),
        ("<3>1", "compute-01", "kernel", "-", "m-kern-err"),
        ("<28>1", "compute-01", "dnsmasq", "7", "m-no-address"),
        ("<27>1", "compute-01", "libvirtd", "123", "m-libvirt-err"),
    ]
    assert numbers(sink.frames) == [1, 2, 3, 4]
    assert files_with(tree, "m-kern-info") == ["kern.log", "syslog"]
    assert files_with(tree, "m-kern-warning") == ["kern.log", "nova/nova.log", "syslog"]
    assert files_with(tree, "m-lease") == []
    assert files_with(tree, "m-started") == []
    assert files_with(tree, "m-no-address") == ["nova/nova.log", "syslog"]
    assert files_with(tree, "m-libvirt-info") == ["syslog"]
    assert files_with(tree, "m-libvirt-err") == ["nova/nova.log", "syslog"]


def test_guide_profile_forwards_the_systems_errors_only(
    tree: Path, sink: FrameSink, host: RsyslogHost, kernel_log: KernelLog
) -> None:
    render(tree, sink, profile="guide")
    stock, dev_log = stock_beside(tree, kernel_log.path)
    sink.listen()
    host.start(tree, stock, sockets=(dev_log,))
    kernel_log.write("<4>[   12.345679] m-kern-warning", "<3>[   12.345680] m-kern-err")
    sink.wait_for("m-kern-err")
    host.send(*DAEMON_LINES, to=dev_log)
    sink.wait_for("m-libvirt-err")
    host.stop()

    assert headers(sink.frames) == [
        ("<3>1", "compute-01", "kernel", "-", "m-kern-err"),
        ("<27>1", "compute-01", "libvirtd", "123", "m-libvirt-err"),
    ]
    assert files_with(tree, "m-lease") == []


def test_dev_log_of_a_host_on_a_shared_machine_brings_its_daemons_lines_to_the_same_rules(
    tree: Path, sink: FrameSink, host: RsyslogHost
) -> None:
    render(tree, sink)
    dev_log = tree / "run/nova/dev-log"
    sink.listen()
    host.start(tree, sockets=(dev_log,))
    host.send(*DAEMON_LINES, to=dev_log)
    host.send("<142>Jan  2 03:04:05 nova-compute[9]: m-service", "<14>Jan  2 03:04:05 cli: m-user", to=dev_log)
    sink.wait_for("m-service")
    host.send(nova_line(142, "m-socket"))
    sink.wait_for("m-socket")
    host.stop()

    assert headers(sink.frames) == [
        ("<28>1", "compute-01", "dnsmasq", "7", "m-no-address"),
        ("<27>1", "compute-01", "libvirtd", "123", "m-libvirt-err"),
        ("<142>1", "compute-01", "nova-compute", "9", "m-service"),
        ("<142>1", "compute-01", "nova-compute", "12", "m-socket"),
    ]
    assert files_with(tree, "m-lease") == []
    assert files_with(tree, "m-no-address") == ["nova/nova.log", "syslog"]
    assert files_with(tree, "m-libvirt-info") == ["syslog"]
    assert files_with(tree, "m-service") == ["nova/nova.log"]
    assert files_with(tree, "m-user") == ["syslog"]
    assert host.said() == ""
