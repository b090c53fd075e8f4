"""A service that logs without end: lines to a host's log socket at an even pace, whatever becomes of rsyslogd."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_TICK_S = 0.02
_STOP_TIMEOUT_S = 15.0
_INFO = 134  # on local0, nova-api's
_LONG_BYTES = 6000
MARKER = "chaos line "
"""What the text of every line begins with, and of no other."""


class Sender:
    """One thread. A line that rsyslogd does not take, since it is not there or busy, is handed over later."""

    def __init__(self, log_socket: Path, lines_per_s: int) -> None:
        self._log_socket = log_socket
        self._lines_per_s = lines_per_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self.handed_over = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Return when the last line that is due was handed over, or given up."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_TIMEOUT_S)

    def _run(self) -> None:
        begin_s = time.monotonic()
        lines = _lines()
        line = next(lines)
        behind = 0
        connection: socket.socket | None = None
        while not self._stopping.wait(_TICK_S):
            due = int((time.monotonic() - begin_s) * self._lines_per_s) - behind
            if due - self.handed_over > self._lines_per_s:  # a second late: a service would not make up for it
                behind += due - self.handed_over
                continue
            while self.handed_over < due:
                try:
                    connection = connection or _connected(self._log_socket)
                    connection.send(line)
                except OSError:
                    if connection is not None:
                        connection.close()
                        connection = None
                    break
                self.handed_over += 1
                line = next(lines)
        if connection is not None:
            connection.close()


def _lines() -> Iterator[bytes]:
    """All that the fast path of parsing sees: plain text, JSON, and now and then a long line."""
    number = 0
    while True:
        number += 1
        text = f"{MARKER}{number} größer als zuvor"
        if number % 3 == 0:
            text = "@cee: " + json.dumps({"message": text, "logger": "nova.api", "level": "INFO", "tries": number})
        elif number % 100 == 1:
            text += " x" * (_LONG_BYTES // 2)
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06}Z"
        yield f"<{_INFO}>1 {stamp} - nova-api 81 - - {text}".encode()


def _connected(log_socket: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        connection.settimeout(0.2)
        connection.connect(str(log_socket))
    except BaseException:
        connection.close()
        raise
    return connection
