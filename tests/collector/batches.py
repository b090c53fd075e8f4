"""Messages and rows as the collector's parts hand them to each other."""

import pyarrow as pa

from cloud.logs.collector.batch import Batch, Source
from cloud.logs.collector.columns.parser import BatchParser
from cloud.logs.collector.framing import Message
from cloud.logs.collector.parsing import Received

NOON_US = 1_800_014_400_000_000  # 2027-01-15 12:00:00 UTC
DAY_US = 86_400_000_000
PEER = Source("192.0.2.7")


def received(payload: bytes, observed_us: int = NOON_US, *, is_truncated: bool = False) -> Received:
    return Received(Message(payload, is_truncated=is_truncated), observed_us, PEER)


def batch_of(*payloads: bytes, observed_us: int = NOON_US, source: Source = PEER) -> Batch:
    """What a receiver would have made of these messages."""
    batch = Batch(sum(map(len, payloads)) // 8 * 8 + 64)
    for payload in payloads:
        batch.add_payload(payload, source, observed_us)
    return batch


def table_of(*payloads: bytes, observed_us: int = NOON_US) -> pa.Table:
    """What the writer would append for these messages."""
    return BatchParser().read(batch_of(*payloads, observed_us=observed_us)).table


def numbered(first: int, count: int, *, host: str = "compute-01", observed_us: int = NOON_US) -> pa.Table:
    """Rows whose messages are the numbers from `first` on."""
    return table_of(
        *(b"<134>1 - %s nova-api - - - %d" % (host.encode(), first + n) for n in range(count)), observed_us=observed_us
    )
