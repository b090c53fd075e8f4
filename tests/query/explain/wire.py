"""What services log, as it comes over the wire and lies in a store: explained as an operator would have it."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import loguru
import pyarrow as pa

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.emit.cee import CeeFormatter
from cloud.logs.emit.levels import AUDIT, severity_of
from cloud.logs.emit.rfc5424 import Header
from cloud.logs.query.explain.explain import explain
from cloud.logs.query.explain.explanation import Explanation
from cloud.logs.query.search import Search
from tests.collector.batches import table_of

if TYPE_CHECKING:
    from loguru import Message

NOW = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
NOON_US = 1_800_014_400_000_000
CONTROLLER = "controller"


class Wire:
    """Takes what the code of services says, each line with the host and service that would have said it."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self._formatter = CeeFormatter()

    def take(self, message: "Message") -> None:
        """As emit does it: with the request's context, and exceptions with their tracebacks."""
        record = message.record
        level = record["level"]
        exception = record["exception"]
        exc_info = (exception.type, exception.value, exception.traceback) if exception and exception.type else None
        name = str(record["name"]).replace("cloud.services.", "nova.")
        passed = logging.makeLogRecord(
            {
                "name": name,
                "levelno": level.no,
                "levelname": level.name,
                "msg": record["message"],
                "exc_info": exc_info,
                "fields": record["extra"],
                "filename": record["file"].name,
                "lineno": record["line"],
            }
        )
        is_conductor = ".conductor" in name
        header = Header(
            18 if is_conductor else 17,
            CONTROLLER if is_conductor else "a-host",
            "nova-conductor" if is_conductor else "nova-compute",
        )
        created_s = NOON_US / 1_000_000 + len(self.messages) / 1000
        body = self._formatter.format(passed)
        self.messages.append(header.message(severity_of(level.no), created_s, 100, None, body))


@contextmanager
def wired() -> Iterator[Wire]:
    """All that is logged meanwhile."""
    wire = Wire()
    with suppress(ValueError):  # set by another test in this process
        loguru.logger.level("AUDIT", no=AUDIT)
    loguru.logger.remove()
    sink = loguru.logger.add(wire.take, level=0, catch=False)
    try:
        yield wire
    finally:
        loguru.logger.remove(sink)


def line(
    text: str,
    *,
    at_s: float,
    host: str = "compute-01",
    service: str = "nova-compute",
    severity: int = 6,
    process: str = "-",
    number: int | None = None,
    run: str = "run-1",
) -> bytes:
    """One message in wire format, so many seconds after noon; numbered as rsyslogd does it where a number is given."""
    moment = datetime.fromtimestamp(NOON_US / 1_000_000 + at_s, UTC).isoformat(timespec="microseconds")
    identity = "-" if number is None else f'[line@32473 host="{host}" start="{run}" n="{number}"]'
    head = f"<{17 * 8 + severity}>1 {moment.removesuffix('+00:00')}Z {host} {service} {process} - {identity} "
    return head.encode() + text.encode()


def table(messages: Sequence[bytes], *, observed_us: int = NOON_US) -> pa.Table:
    return table_of(*messages, observed_us=observed_us)


def explained(store: DuckDbStore, subject: str) -> Explanation:
    return explain(subject, Search(store), now=NOW)
