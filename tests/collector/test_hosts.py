import pytest
from prometheus_client import CollectorRegistry

from cloud.logs.collector.batch import Batch, Source
from cloud.logs.collector.columns.parser import BatchParser
from cloud.logs.collector.hosts import Hosts

NOON_US = 1_800_014_400_000_000  # 2027-01-15 12:00:00 UTC
NUMBERED = b'<13>1 2027-01-15T11:59:58Z vm a - - [line@32473 host="%s" start="A" n="%d"] x'


class Seen:
    """Hosts that see one batch for each call."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.hosts = Hosts(self.registry)
        self.parser = BatchParser()

    def see(self, *lines: tuple[bytes, str], at: int = NOON_US, names: frozenset[str] | None = None) -> None:
        batch = Batch(1 << 20)
        for line, peer in lines:
            batch.add_payload(line, Source(peer, names), at)
        self.hosts.saw(batch, self.parser.read(batch))

    def of(self, name: str, host: str) -> float | None:
        return self.registry.get_sample_value(f"cloudlog_host_{name}", {"host": host})


def test_a_line_counts_for_the_host_that_numbered_it_or_else_for_its_peer() -> None:
    seen, first, second = Seen(), NUMBERED % (b"compute-01", 1), NUMBERED % (b"compute-02", 1)
    seen.see((first, "192.0.2.1"), (b"<13>x", "192.0.2.9"), (second, "192.0.2.1"), (first, "192.0.2.9"))
    assert seen.of("bytes_total", "compute-01") == 2 * len(first)
    assert seen.of("bytes_total", "compute-02") == len(second)
    assert seen.of("bytes_total", "192.0.2.9") == 5
    assert seen.of("bytes_total", "192.0.2.1") is None


def test_a_line_in_the_name_of_another_host_than_the_certificates_counts_for_its_peer() -> None:
    seen, line = Seen(), NUMBERED.replace(b"vm", b"compute-01") % (b"compute-01", 1)
    seen.see((line, "192.0.2.66"), names=frozenset({"compute-66"}))
    assert seen.of("bytes_total", "compute-01") is None
    assert seen.of("bytes_total", "192.0.2.66") == len(line)
    seen.see((line, "192.0.2.1"), names=frozenset({"compute-01"}))
    assert seen.of("bytes_total", "compute-01") == len(line)


def test_last_seen_and_skew_are_of_the_newest_line() -> None:
    seen = Seen()
    seen.see((NUMBERED % (b"compute-01", 1), "p"))
    seen.see((b"<13>1 - - - - - - no time", "192.0.2.9"), (NUMBERED % (b"compute-01", 2), "p"), at=NOON_US + 500_000)
    assert seen.of("last_seen_seconds", "compute-01") == 1_800_014_400.5
    assert seen.of("skew_seconds", "compute-01") == -2.5
    assert seen.of("last_seen_seconds", "192.0.2.9") == 1_800_014_400.5
    assert seen.of("skew_seconds", "192.0.2.9") is None


def test_what_is_backfilled_says_nothing_about_its_host() -> None:
    seen = Seen()
    seen.see((NUMBERED % (b"compute-01", 1), "backfill"))
    assert seen.of("last_seen_seconds", "compute-01") is None


def test_hosts_beyond_the_bound_are_one_until_another_is_silent_for_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.collector.hosts.MAX_HOSTS", 2)
    seen = Seen()
    for peer in ("a", "b", "c", "d"):
        seen.see((b"<13>x", peer))
    assert [seen.of("bytes_total", peer) for peer in ("a", "b", "c", "other")] == [5, 5, None, 10]
    seen.see((b"<13>x", "b"), at=NOON_US + 86_400_000_000)
    seen.see((b"<13>x", "c"), at=NOON_US + 86_400_000_000)
    assert seen.of("bytes_total", "b") == 10
    assert [seen.of("bytes_total", peer) for peer in ("a", "c", "other")] == [None, 5, 10]
