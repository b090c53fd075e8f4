"""A rendered host, what stands for its collector, and what of a line is where."""

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path

from cloud.logs.generator.check_rsyslog import STOCK_RSYSLOG_CONF
from cloud.logs.generator.inventory import Inventory
from cloud.logs.generator.render import render_host, write_tree
from tests.generator.relp import RelpSink
from tests.waiting import wait_until

TIME = "2026-01-02T03:04:05.123456Z"
ERR, WARNING, INFO, DEBUG = 139, 140, 142, 143  # on local1, nova-compute's
LINE_ID = re.compile(r'\[line@32473 host="compute-01" start="([0-9A-F]{32})" n="(\d+)"\]')


class FrameSink:
    """A collector that keeps octet-counted frames; `listen` may come later than the port is known."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.frames: list[str] = []
        self.ended = 0
        """How many connections there were."""
        self._tls = tls
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
                connection, _ = self._server.accept()
                with contextlib.suppress(ConnectionError, ssl.SSLError):  # by one that does not like our certificate
                    self._connection = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
                    self._keep(self._connection)
                self.ended += 1
        except (OSError, ValueError):  # closed under us: the test is over
            return

    def _keep(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while digits := b"".join(iter(lambda: stream.read(1).strip(), b"")):
                self.frames.append(stream.read(int(digits)).decode())

    def wait_for(self, text: str) -> None:
        wait_until(lambda: any(text in frame for frame in self.frames), what=f"a frame with {text!r}")

    def close(self) -> None:
        for end in filter(None, (self._connection, self._server)):
            with contextlib.suppress(OSError):  # the other side was faster
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        if self._thread.ident is not None:
            self._thread.join(5)


def render(
    tree: Path, sink: FrameSink | RelpSink, collector: Mapping[str, object] | None = None, **keys: object
) -> None:
    """The host's files, of which `collector` and `keys` are as in an inventory; it speaks what the sink does."""
    protocol = "tcp" if isinstance(sink, FrameSink) else "relp"
    entry = {"services": ["nova-compute", "nova-network"], "base_rsyslog": True, "paths": {"root": str(tree)}}
    where = {"address": "127.0.0.1", "port": sink.port, "protocol": protocol, **(collector or {})}
    inventory = Inventory.model_validate({"collector": where, "hosts": {"compute-01": entry}, **keys})
    write_tree(render_host(inventory, "compute-01"), tree)


def stock_beside(tree: Path, kmsg: Path | None = None) -> tuple[Path, Path]:
    """Debian's rsyslog.conf with its paths led into `tree`, and the /dev/log it listens on.

    It has a kernel log only if `kmsg` stands for one.
    """
    dev_log = tree / "run/dev-log"
    text = STOCK_RSYSLOG_CONF.read_text()
    text = text.replace('module(load="imuxsock")', f'module(load="imuxsock" SysSock.Name="{dev_log}")')
    text = text.replace("/var/", f"{tree}/var/").replace("/etc/", f"{tree}/etc/")
    text = text.replace('module(load="imklog")', f'module(load="imklog" LogPath="{kmsg}")' if kmsg else "")
    not_ours = ("$FileOwner", "$FileGroup", ":omusrmsg:")  # the machine's users and terminals
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
