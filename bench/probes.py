"""Lines that are sent to be seen again: how long a line takes from its sender to the tail of the HTTP API."""

import json
import socket
import threading
import time
import uuid
from typing import Self

import httpx
import httpx_sse

HOST = "probe-01"
TIMEOUT_S = 60.0
_LAST = -1


class Probes:
    """Numbered lines of a host of their own, and a tail in which each is seen again."""

    def __init__(self, syslog_port: int, http_url: str) -> None:
        self.delays_s: dict[int, float] = {}
        """By the number of the probe, as they arrive."""
        self._syslog_port, self._http_url = syslog_port, http_url
        self._start = uuid.uuid4()
        self._sent_s: dict[int, float] = {}
        self._is_live = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._connection = socket.create_connection(("127.0.0.1", self._syslog_port))
        self._reader.start()
        if not self._is_live.wait(TIMEOUT_S):
            raise TimeoutError("waited for the collector's tail")
        return self

    def __exit__(self, *_: object) -> None:
        with self._connection:
            self.send(_LAST)
        self._reader.join(TIMEOUT_S)

    def send(self, number: int) -> None:
        """Send the probe `number`, which is not negative."""
        identity = f'[line@32473 host="{HOST}" start="{self._start}" n="{len(self._sent_s) + 1}"]'
        line = f'<134>1 - {HOST} probe - - {identity} @cee: {{"message":"probe","probe":{number}}}\n'
        self._sent_s[number] = time.monotonic()
        self._connection.sendall(line.encode())

    def _read(self) -> None:
        parameters: dict[str, str | int] = {"host": HOST, "n": 0}
        with (
            httpx.Client(base_url=self._http_url, timeout=TIMEOUT_S, trust_env=False) as http,
            httpx_sse.connect_sse(http, "GET", "/api/v1/tail", params=parameters) as source,
        ):
            for event in source.iter_sse():
                if event.event == "live":
                    self._is_live.set()
                elif event.event == "row":
                    probe = int(json.loads(event.data)["fields"]["probe"])
                    if probe == _LAST:
                        return
                    self.delays_s[probe] = time.monotonic() - self._sent_s[probe]
