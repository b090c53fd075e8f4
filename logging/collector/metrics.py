"""Every metric of the collector, declared once. Counters end in `_total`; whatever is refused or lost has a reason."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from cloud.logs.collector.hosts import Hosts
from cloud.logs.collector.parsing import FAILURES

REFUSALS = ("peer", "certificate", "no_certificate", "handshake", "handshake_timeout", "unfinished")
ACCEPT_PAUSES = ("connections", "handshakes", "descriptors")
DROPS = ("no_room", "kernel", "peer", "shutdown")
RELP_FAILURES = (
    "frame", "command", "command_size", "version", "no_syslog", "not_open", "open_twice", "after_close",
)  # fmt: skip
FRAME_FAILURES = ("octet_count", "oversize", "cut_off")
BUDGET_DROPS = ("info", "all")
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
        self.accept_pauses = counter(
            "cloudlog_listener_accept_pauses_total",
            "Times that connections were left waiting to be taken: as many are open as may be.",
            ACCEPT_PAUSES,
        )
        self.dropped = counter(
            "cloudlog_listener_dropped_total",
            "Messages received and not kept (kernel: datagrams that it had no room for).",
            DROPS,
        )
        self.relp_failures = counter(
            "cloudlog_relp_failures_total", "RELP connections closed for what came over them.", RELP_FAILURES
        )
        self.relp_answers = counter("cloudlog_relp_answers_total", "RELP messages confirmed as durable.")
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
        self.parsed_by_reference = counter(
            "cloudlog_parse_by_reference_total", "Messages of a form that is read line by line, which costs more."
        )
        self.redacted = counter("cloudlog_redaction_redacted_total", "Records of which a secret was masked.")
        self.withheld = counter(
            "cloudlog_redaction_withheld_total", "Records that could not be redacted, stored without their texts."
        )
        self.duplicates = counter(
            "cloudlog_lines_duplicate_total", "Numbered lines that came again and were stored already."
        )
        self.untracked = counter(
            "cloudlog_lines_untracked_total", "Numbered lines stored without account: if they come again, they double."
        )
        self.budget_dropped = counter(
            "cloudlog_budget_dropped_total",
            "Lines not stored, for their host was over its daily budget (info: info and debug; all: over twice that).",
            BUDGET_DROPS,
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
        self.commit_rows = Histogram(
            "cloudlog_store_commit_rows",
            "Records of a commit.",
            registry=self.registry,
            buckets=(1, 10, 100, 1000, 10_000, 50_000, 122_880),
        )
        self.inbox_bytes = Gauge("cloudlog_writer_inbox_bytes", "Received and not yet stored.", registry=self.registry)
        self.oldest_seconds = Gauge(
            "cloudlog_writer_oldest_seconds", "Age of the oldest line received and not yet stored.",
            registry=self.registry,
        )  # fmt: skip
        self.damaged_files = Gauge(
            "cloudlog_store_damaged_files", "Damaged files set aside in the data directory.", registry=self.registry
        )
        self.index_files = Gauge("cloudlog_index_files", "Sealed files that have an index.", registry=self.registry)
        self.index_pending_files = Gauge(
            "cloudlog_index_pending_files", "Sealed files that are to have an index and have none.",
            registry=self.registry,
        )  # fmt: skip
        self.index_seconds = counter("cloudlog_index_build_seconds_total", "Time that indexes took to be made.")
        self.lines_missing = Gauge("cloudlog_lines_missing", "Numbered lines not stored.", registry=self.registry)
        self.runs_unclosed = Gauge(
            "cloudlog_lines_runs_unclosed", "Runs whose last number nobody has confirmed.", registry=self.registry
        )
        self.sql_walls = Gauge(
            "cloudlog_sql_walls",
            "Walls around the processes of SQL statements: 1 where one stands, 0 where this system has it not.",
            ("wall",),
            registry=self.registry,
        )
        self.hosts = Hosts(self.registry)
