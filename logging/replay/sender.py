"""Sends the records of a nova log file through a host's rsyslog, as the services that wrote them would have."""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from cloud.logs.emit.cee import CeeFormatter
from cloud.logs.emit.levels import AUDIT, SEVERITIES, severity_of
from cloud.logs.emit.rfc5424 import Header
from cloud.logs.emit.transport import Transport
from cloud.logs.facilities import FACILITIES, facility_number
from cloud.logs.replay.nova_log import NovaRecord

SEND_TIMEOUT_S = 30.0
RETRY_S = 0.1
UNKNOWN_SERVICE_FACILITY = "user"
_LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "AUDIT": AUDIT,
    "WARNING": logging.WARNING,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "TRACE": logging.ERROR,  # nova's TRACE is the traceback of an error, not a level below DEBUG
    "CRITICAL": logging.CRITICAL,
}


class ReplayError(Exception):
    """A replay that could not be finished; the message says after how many records."""


@dataclass(slots=True)
class ReplayCounts:
    """What has been sent: records and the lines of the file in them."""

    records: int = 0
    lines: int = 0
    by_service_and_severity: Counter[tuple[str, str]] = field(default_factory=Counter)


def shift_to(records: list[NovaRecord], now_s: float) -> timedelta:
    """What must be added to the records' times for the last one to happen at `now_s` (seconds since 1970)."""
    last_s = max((record.timestamp.timestamp() for record in records), default=now_s)
    return timedelta(seconds=now_s - last_s)


class ReplaySender:
    """Sends records in order, waiting where the peer is slow; each carries `replay`, the name of this replay."""

    def __init__(
        self, transport: Transport, hostname: str, name: str, facilities: Mapping[str, str] = FACILITIES
    ) -> None:
        self._transport = transport
        self._hostname = hostname
        self._name = name
        self._facilities = facilities
        self._formatter = CeeFormatter()

    def send(self, records: Iterable[NovaRecord], shift: timedelta = timedelta()) -> ReplayCounts:
        """Send all; `ReplayError` when the peer takes nothing for 30 s. The records before that are sent."""
        counts = ReplayCounts()
        for record in records:
            level = _LEVELS.get(record.level, logging.INFO)
            self._send(self._message(record, level, (record.timestamp + shift).timestamp()), counts.records)
            counts.records += 1
            counts.lines += record.lines
            counts.by_service_and_severity[record.service, SEVERITIES[severity_of(level)]] += 1
        return counts

    def _message(self, record: NovaRecord, level: int, created_s: float) -> bytes:
        ids = {
            "request_id": record.request_id,
            "user": record.user,
            "project": record.project,
            "instance": record.instance,
        }
        fields = {key: value for key, value in ids.items() if value is not None} | {"replay": self._name}
        log_record = logging.makeLogRecord(
            {
                "name": record.logger,
                "levelno": level,
                "levelname": record.level,
                "msg": record.message,
                "fields": fields,
            }
        )
        facility = self._facilities.get(record.service, UNKNOWN_SERVICE_FACILITY)
        header = Header(facility_number(facility), self._hostname, record.service)
        return header.message(severity_of(level), created_s, record.process, None, self._formatter.format(log_record))

    def _send(self, message: bytes, already_sent: int) -> None:
        deadline_s = time.monotonic() + SEND_TIMEOUT_S
        while True:
            try:
                if self._is_taken(message, deadline_s - time.monotonic()):
                    return
                cause: OSError = TimeoutError("the peer takes nothing")
            except OSError as exc:
                cause = exc
                time.sleep(RETRY_S)
            if time.monotonic() >= deadline_s:
                raise ReplayError(f"cannot send record {already_sent + 1}: {cause}") from cause

    def _is_taken(self, message: bytes, timeout_s: float) -> bool:
        """Whether the peer took it; if not, this has waited for it."""
        try:
            self._transport.send(message)
        except BlockingIOError:
            self._transport.wait(timeout_s)
            return False
        return True
