"""Canaries into a host's log: the handler, the format and the socket of its services, one handler a facility."""

import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from cloud.logs.canary.host import CanaryError, HostOutlets
from cloud.logs.canary.ledger import MAX_TRACKED
from cloud.logs.emit.cee import CeeFormatter
from cloud.logs.emit.syslog import SyslogHandler
from cloud.logs.emit.transport import socket_path, transport_for
from cloud.logs.events import CANARY

APP_NAME = "canary"
"""Not the services' own: `cloud log tail --service nova-api` is without canaries, and `--service canary` is them."""
REACH_TIMEOUT_S = 5.0


class Emitter:
    """Emits as a service does: while the peer is away its last lines wait, and leave when it is back."""

    def __init__(self, host: HostOutlets, run: str, level: int) -> None:
        """`run` is what tells this run's lines from those of others; `level` is one of Python's logging."""
        self._addresses = sorted({outlet.address for outlet in host.outlets})
        self._run = run
        self._level = level
        self._handlers = {
            outlet.facility: SyslogHandler(
                outlet.address,
                facility=outlet.facility,
                app_name=APP_NAME,
                hostname=host.name,
                queue_messages=MAX_TRACKED,
            )
            for outlet in host.outlets
        }
        for handler in self._handlers.values():
            handler.setFormatter(CeeFormatter())

    def check(self) -> None:
        """Whether somebody takes lines at each address, within 5 s; `CanaryError` says who does not, and why."""
        for address in self._addresses:
            try:
                _reach(address)
            except OSError as exc:
                raise CanaryError(f"cannot reach the host's syslog at {address}: {exc.strerror or exc}") from exc

    def emit(self, facility: str, number: int) -> None:
        """Log the line `number`; it never blocks, and leaves now or when somebody takes it."""
        self._handlers[facility].handle(
            logging.makeLogRecord(
                {
                    "name": "nova.canary",
                    "levelno": self._level,
                    "levelname": logging.getLevelName(self._level),
                    "msg": "canary",
                    "fields": {"event": CANARY, "run": self._run, "number": number},
                }
            )
        )

    def has_left(self, facility: str) -> bool:
        """Whether the last line of the facility has been taken at its address."""
        return not self._handlers[facility].stats().queued

    def close(self) -> None:
        """Within 3 s; what still waits is given up, and said on stderr."""
        with ThreadPoolExecutor(len(self._handlers)) as pool:  # each may take its time
            list(pool.map(SyslogHandler.close, self._handlers.values()))


def _reach(address: str) -> None:
    """Connect, and send nothing."""
    if address.startswith("unix:"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            probe.connect(socket_path(address))
    else:
        with closing(transport_for(address)) as transport:
            transport.wait(REACH_TIMEOUT_S)
