"""What is said about a host, into that host's own log: kept in order while nobody there listens."""

import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path

MAX_LINES = 1000
"""That wait, of all hosts; the oldest are let go."""
MAX_LINE_BYTES = 8 << 10  # longer ones rsyslogd cuts as well


def _send(dev_log: Path, line: bytes) -> None:
    """`OSError` where nobody listens, or nobody reads."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.connect(str(dev_log))
        sender.send(line)


class HostLogs:
    """Lines on their way to the /dev/log of hosts."""

    def __init__(self, send: Callable[[Path, bytes], None] = _send) -> None:
        self._send = send
        self._waiting: deque[tuple[Path, bytes]] = deque(maxlen=MAX_LINES)

    def add(self, dev_log: Path, line: str) -> None:
        self._waiting.append((dev_log, line.encode()[:MAX_LINE_BYTES]))

    def send(self) -> None:
        """Send what waits. Where a line cannot be sent, those behind it for the same host wait too."""
        silent: set[Path] = set()
        for _ in range(len(self._waiting)):
            dev_log, line = self._waiting.popleft()
            if dev_log not in silent:
                try:
                    self._send(dev_log, line)
                    continue
                except OSError:
                    silent.add(dev_log)  # it may be there again a moment later: nothing may overtake
            self._waiting.append((dev_log, line))
