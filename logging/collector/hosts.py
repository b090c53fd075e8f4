"""Who sends: bytes, last line and clock of each host, of a batch at a time, for the metrics."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cloud.logs.collector.batch import Batch
from cloud.logs.collector.columns.rows import Rows
from cloud.logs.collector.row import Flag

MAX_HOSTS = 1000
OTHER = "other"  # stands for all hosts beyond these
FORGET_US = 86_400_000_000  # a host that is silent for so long makes room for a new one
BACKFILL_PEER = "backfill"  # such lines did not come when they were sent


@dataclass(frozen=True, slots=True)
class ByHost:
    """The messages of a batch by who sent them: the host that numbered them, or else the peer's address.

    That is also who has sent a line in the name of a host that its certificate is not for.
    """

    names: Sequence[str]
    of_row: npt.NDArray[np.intp]
    """Which of `names`."""
    sizes: npt.NDArray[np.int32]
    """Bytes of each message as it was received."""


def by_host(batch: Batch, rows: Rows) -> ByHost:
    """`rows` are all of `batch`."""
    places: dict[str, int] = {}
    run_places = [places.setdefault(run.host, len(places)) for run in rows.runs]
    is_verified = (rows.table.column("flags").to_numpy() & int(Flag.HOST_UNVERIFIED)) == 0
    of_row = np.array([*run_places, -1])[np.where(is_verified, rows.run, -1)]  # -1 is also the last one
    if (of_row < 0).any():
        peers = [places.setdefault(segment.source.peer, len(places)) for segment in batch.segments]
        counts = np.diff([segment.first for segment in batch.segments] + [batch.count])
        of_row = np.where(of_row < 0, np.repeat(peers, counts), of_row)
    return ByHost(list(places), of_row, batch.ends[: batch.count] - batch.starts[: batch.count])


@dataclass(frozen=True, slots=True)
class Seen:
    """A host as it was last heard of."""

    seen_us: int
    skew_us: int | None
    """The timestamp of its newest line less its arrival."""
    dropped: int
    """Lines over its budget."""


@dataclass(slots=True)
class _Host:
    bytes: int = 0
    dropped: int = 0
    seen_us: int = 0
    skew_us: int | None = None


class Hosts(Collector):
    """What is known of each host, bounded: beyond MAX_HOSTS all are one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}  # the longest silent first
        registry.register(self)

    def saw(self, batch: Batch, rows: Rows) -> None:
        """Take account of `batch`, whose rows these are."""
        if not len(rows) or any(segment.source.peer == BACKFILL_PEER for segment in batch.segments):
            return
        groups = by_host(batch, rows)
        count = len(groups.names)
        sizes = np.bincount(groups.of_row, groups.sizes, count)
        newest = np.full(count, -1, np.int64)
        newest[groups.of_row] = np.arange(len(rows))  # of equal places the last one stays
        timestamps = rows.table.column("timestamp").cast(pa.int64()).take(pa.array(np.maximum(newest, 0))).to_pylist()
        with self._lock:
            for name, size, row, timestamp in zip(groups.names, sizes, newest.tolist(), timestamps, strict=True):
                if row < 0:
                    continue
                host = self._host(name, seen_us := int(rows.observed_us[row]))
                host.bytes += int(size)
                host.seen_us = seen_us
                if timestamp is not None:
                    host.skew_us = timestamp - seen_us

    def dropped(self, name: str, number: int, now_us: int) -> None:
        """Count lines of the host `name` that were over its budget."""
        with self._lock:
            host = self._host(name, now_us)
            host.dropped += number
            host.seen_us = now_us

    def seen(self) -> Mapping[str, Seen]:
        """By name, since the collector started."""
        with self._lock:
            hosts = [(name, host) for name, host in self._hosts.items() if name != OTHER]
            return {name: Seen(host.seen_us, host.skew_us, host.dropped) for name, host in hosts}

    def dropped_lines(self) -> int:
        """Of all hosts, since the collector started; of one that made room for another, since then."""
        with self._lock:
            return sum(host.dropped for host in self._hosts.values())

    def collect(self) -> Iterator[Metric]:
        sent = CounterMetricFamily("cloudlog_host_bytes", "Bytes of messages of a host.", labels=["host"])
        dropped = CounterMetricFamily(
            "cloudlog_host_dropped", "Lines of a host that were over its daily budget.", labels=["host"]
        )
        seen = GaugeMetricFamily("cloudlog_host_last_seen_seconds", "Unix time of its last line.", labels=["host"])
        skew = GaugeMetricFamily(
            "cloudlog_host_skew_seconds", "Timestamp of its newest line less its arrival.", labels=["host"]
        )
        with self._lock:
            for name, host in self._hosts.items():
                sent.add_metric([name], host.bytes)
                dropped.add_metric([name], host.dropped)
                if name != OTHER:
                    seen.add_metric([name], host.seen_us / 1e6)
                    if host.skew_us is not None:
                        skew.add_metric([name], host.skew_us / 1e6)
        yield from (sent, dropped, seen, skew)

    def _host(self, name: str, now_us: int) -> _Host:
        host = self._hosts.pop(name, None)
        if host is None:
            oldest = next((each for each in self._hosts if each != OTHER), None)
            room = MAX_HOSTS + (OTHER in self._hosts)
            if len(self._hosts) >= room and oldest and now_us - self._hosts[oldest].seen_us >= FORGET_US:
                del self._hosts[oldest]
            if len(self._hosts) >= room:
                name = OTHER
                host = self._hosts.pop(OTHER, None)
        self._hosts[name] = host = host or _Host()
        return host
