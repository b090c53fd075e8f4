"""rsyslogd as what the collector is compared with, and as the sender of RELP. Each has a directory of its own."""

import re
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import process

PROGRAM = "/usr/sbin/rsyslogd"
STOP_TIMEOUT_S = 30.0

# The main queue, the workers and the file's buffers are rsyslogd's defaults.
_RECEIVER = """\
global(workDirectory="{directory}" maxMessageSize="128k")
module(load="imtcp")
template(name="as_received" type="string" string="%rawmsg%\\n")
ruleset(name="flat") {{ action(type="omfile" file="{directory}/flat.log" {template}) }}
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="flat")
"""

_SENDER = """\
global(workDirectory="{directory}" maxMessageSize="128k")
module(load="imfile" mode="inotify")
module(load="omrelp")
template(name="as_read" type="string" string="%rawmsg%")
ruleset(name="forward") {{
  action(type="omrelp" target="127.0.0.1" port="{port}" template="as_read" windowSize="{window}" timeout="90"
    action.resumeRetryCount="-1" action.resumeInterval="1")
}}
input(type="imfile" file="{file}" tag="bench" addMetadata="off" freshStartTail="off" ruleset="forward")
"""


class RsyslogProcess:
    """One rsyslogd in the foreground on a configuration of its own."""

    def __init__(self, directory: Path, configuration: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._configuration = directory / "rsyslog.conf"
        self._configuration.write_text(configuration)
        self._errors = directory / "rsyslogd.err"
        self._process: subprocess.Popen[bytes] | None = None
        self._start_cpu_s = 0.0

    def __enter__(self) -> Self:
        with self._errors.open("wb") as errors:
            command = [PROGRAM, "-n", "-iNONE", "-f", str(self._configuration)]
            self._process = process.start(command, stdout=errors, stderr=errors)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def cpu_s(self) -> float:
        return process.cpu_s(self.pid)

    def is_running(self) -> bool:
        """`RuntimeError` with its own words when it has ended."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"cannot run rsyslogd: {self._errors.read_text(errors='replace')}")
        return True

    def stop(self) -> float:
        """End it as systemd would; the CPU seconds since it was ready, the stop included."""
        if self._process is None:
            return 0.0
        stopped, self._process = self._process, None
        return process.stop(stopped, STOP_TIMEOUT_S) - self._start_cpu_s


class FlatFileReceiver(RsyslogProcess):
    """rsyslogd imtcp -> omfile: a line for each message, in omfile's own format or as it came."""

    def __init__(self, directory: Path, *, is_raw: bool) -> None:
        self.port = _free_port()
        self.file = directory / "flat.log"
        template = 'template="as_received"' if is_raw else ""
        super().__init__(directory, _RECEIVER.format(directory=directory, port=self.port, template=template))

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            process.wait_until(self._takes_connections, 10, "rsyslogd to listen")
        except BaseException:
            self.stop()
            raise
        self._start_cpu_s = self.cpu_s
        return self

    def wait_for_lines(self, lines: int, timeout_s: float) -> None:
        """Return when the file has `lines` lines; `TimeoutError` says how many it has."""
        counted, position = 0, 0

        def has_all() -> bool:
            nonlocal counted, position
            self.is_running()
            if self.file.exists():
                with self.file.open("rb") as file:
                    file.seek(position)
                    while piece := file.read(1 << 20):
                        counted += piece.count(b"\n")
                        position += len(piece)
            return counted >= lines

        try:
            process.wait_until(has_all, timeout_s, f"{lines} lines", poll_s=0.1)
        except TimeoutError as exc:
            raise TimeoutError(f"{exc}; there are {counted}") from exc

    def _takes_connections(self) -> bool:
        self.is_running()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class RelpSender(RsyslogProcess):
    """rsyslogd imfile -> omrelp: sends a file's lines as they are, acknowledged, `window` at a time."""

    def __init__(self, directory: Path, file: Path, port: int, window: int) -> None:
        super().__init__(directory, _SENDER.format(directory=directory, file=file, port=port, window=window))


def version() -> str:
    """`8.2302.0`; `OSError` where there is no rsyslogd."""
    said = subprocess.run([PROGRAM, "-v"], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    match = re.search(r"rsyslogd\s+(\S+)", said)
    return match[1] if match else "unknown"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
