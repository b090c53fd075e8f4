"""A real rsyslogd on a rendered tree."""

import socket
import subprocess
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.waiting import wait_until

_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 15.0


class RsyslogHost:
    """rsyslogd in the foreground, on the files of a tree whose `paths.root` is that tree's own directory.

    The tree's path must be short (`tempfile.mkdtemp(prefix="t-")`): a socket's path has at most 107 bytes.
    Whatever happens to the test run, the process ends with it.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._tree: Path | None = None

    @property
    def tree(self) -> Path:
        if self._tree is None:
            raise RuntimeError("cannot tell the tree: rsyslogd was not started")
        return self._tree

    @property
    def socket(self) -> Path:
        """Where the services send to."""
        return self.tree / "run/nova/log.sock"

    @property
    def nova_log(self) -> Path:
        return self.tree / "var/log/nova/nova.log"

    def start(self, tree: Path, rsyslog_conf: Path | None = None, sockets: tuple[Path, ...] = ()) -> None:
        """Start on the tree's own rsyslog.conf or the given one; return when nova's socket and `sockets` take lines."""
        self._tree = tree
        for directory in ("run/nova", "var/log/nova", "var/spool/rsyslog"):
            (tree / directory).mkdir(parents=True, exist_ok=True)
        command = ["setpriv", "--pdeathsig", "TERM", "/usr/sbin/rsyslogd", "-n", "-iNONE"]
        with (tree / "rsyslogd.err").open("ab") as said:
            self._process = subprocess.Popen(
                [*command, "-f", str(rsyslog_conf or tree / "etc/rsyslog.conf")],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        try:
            for path in (self.socket, *sockets):
                wait_until(partial(self._takes_lines, path), _START_TIMEOUT_S, f"rsyslogd's socket {path}")
        except BaseException:
            self.stop()
            raise

    def send(self, *lines: str, to: Path | None = None) -> None:
        """Hand lines to nova's socket or to another, in order; a full socket makes this wait."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(str(to or self.socket))
            for line in lines:
                sender.send(line.encode())

    def wait_for_local(self, text: str | bytes) -> None:
        """Until `text` stands in nova.log, which rsyslogd makes with its first line."""
        wanted = text.encode() if isinstance(text, str) else text
        wait_until(
            lambda: self.nova_log.exists() and wanted in self.nova_log.read_bytes(), what=f"{text!r} in nova.log"
        )

    def said(self) -> str:
        """What rsyslogd wrote to stderr so far."""
        return (self.tree / "rsyslogd.err").read_text(errors="replace")

    def stop(self) -> None:
        """End it as systemd would, so that its files and queues are written; kill it when that takes too long."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _takes_lines(self, path: Path) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"cannot start rsyslogd: {self.said()}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(str(path))
            except OSError:  # not there yet, or left over from a process that was killed
                return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()
