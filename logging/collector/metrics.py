"""Every metric of the collector, declared once. Counters end in `_total`; whatever is refused or lost has a reason."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from cloud.logs.collector.parsing import FAILURES

REFUSALS = ("connections",)
FRAME_FAILURES = ("octet_count", "oversize", "cut_off")
STORE_FAILURES = ("retried", "row_refused", "shutdown")


class Metrics:
    """One collector's metrics, in a registry of their own; labels are there from the start, at 0."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)

        def counter(name: str, text: str, reasons: tuple[str, ...] = ()) -> Counter:
            made = Counter(name, text, ("reason",) if reasons else (), registry=self.registry)
            for reason in reasons:
                made.labels(reason)
            return made

        self.connections = Gauge("cloudlog_listener_connections", "Open syslog connections.", registry=self.registry)
        self.accepted = counter("cloudlog_listener_accepted_total", "Syslog connections taken.")
        self.refused = counter("cloudlog_listener_refused_total", "Syslog connections refused.", REFUSALS)
        self.received_bytes = counter("cloudlog_listener_received_bytes_total", "Bytes read from senders.")
        self.messages = counter("cloudlog_framing_messages_total", "Messages taken out of their frames.")
        self.frame_failures = counter(
            "cloudlog_framing_failures_total",
            "Frames that were broken; their bytes are kept (oversize: head and tail).",
            FRAME_FAILURES,
        )
        self.parse_failures = counter(
            "cloudlog_parse_failures_total",
            "Messages that were not read whole; their text is kept.",
            FAILURES,
        )
        self.records = counter("cloudlog_store_records_total", "Records that are durable and queryable.")
        self.store_failures = counter(
            "cloudlog_store_failures_total", "Records of commits that failed: tried again, or given up.", STORE_FAILURES
        )
        self.commit_seconds = Histogram(
            "cloudlog_store_commit_seconds",
            "Duration of a commit.",
            registry=self.registry,
            buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )
        self.inbox_bytes = Gauge("cloudlog_writer_inbox_bytes", "Received and not yet stored.", registry=self.registry)
