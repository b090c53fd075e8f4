"""What `cloud up` says into the logs of its hosts: in order, however late somebody listens there."""

import socket
from pathlib import Path

from cloud.up import host_logs
from cloud.up.host_logs import HostLogs


def test_a_line_does_not_overtake_one_of_its_host_that_could_not_be_sent() -> None:
    one, other = Path("/one/log"), Path("/other/log")
    sent: list[tuple[Path, bytes]] = []
    failures = 1

    def send(dev_log: Path, line: bytes) -> None:
        nonlocal failures
        if dev_log == one and failures:
            failures -= 1  # its rsyslogd is there from now on
            raise ConnectionRefusedError
        sent.append((dev_log, line))

    logs = HostLogs(send)
    logs.add(one, "was killed")
    logs.add(one, "started again")
    logs.add(other, "started again")
    logs.send()
    assert sent == [(other, b"started again")]
    logs.send()
    assert sent[1:] == [(one, b"was killed"), (one, b"started again")]
    logs.send()
    assert len(sent) == 3


def test_lines_wait_for_who_listens_and_are_no_longer_than_he_takes(tmp_path: Path) -> None:
    dev_log = tmp_path / "log"
    logs = HostLogs()
    logs.add(dev_log, "x" * (host_logs.MAX_LINE_BYTES + 1))
    logs.add(dev_log, "short")
    logs.send()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(dev_log))
        logs.send()
        assert [listening.recv(1 << 20) for _ in range(2)] == [b"x" * host_logs.MAX_LINE_BYTES, b"short"]
