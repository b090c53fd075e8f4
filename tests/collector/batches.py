"""Messages and rows as the collector's parts hand them to each other."""

import pyarrow as pa

from cloud.logs.collector.framing import Message
from cloud.logs.collector.parsing import Received, parse_batch

NOON_US = 1_800_014_400_000_000  # 2027-01-15 12:00:00 UTC
DAY_US = 86_400_000_000


def received(payload: bytes, observed_us: int = NOON_US, *, is_truncated: bool = False) -> Received:
    return Received(Message(payload, is_truncated=is_truncated), observed_us, "192.0.2.7")


def table_of(*payloads: bytes, observed_us: int = NOON_US) -> pa.Table:
    """What the writer would append for these messages."""
    return parse_batch([received(payload, observed_us) for payload in payloads]).table


def numbered(first: int, count: int, *, host: str = "compute-01", observed_us: int = NOON_US) -> pa.Table:
    """Rows whose messages are the numbers from `first` on."""
    return table_of(
        *(b"<134>1 - %s nova-api - - - %d" % (host.encode(), first + n) for n in range(count)), observed_us=observed_us
    )
