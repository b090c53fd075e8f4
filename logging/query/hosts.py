"""From the store and the collector's accounts to how each host's lines come in: when last, how late, with what gaps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cloud.logs.collector.hosts import BACKFILL_PEER, Seen
from cloud.logs.collector.lines import RunReport, RunState
from cloud.logs.collector.row import HEADER, column_of_header
from cloud.logs.collector.store import Store, Table
from cloud.logs.emit.levels import SEVERITIES
from cloud.logs.query.counting import MAX_GROUPS, Asked
from cloud.logs.query.walk import Walk, Window

MAX_SERVICES = 20
_IS_IN_TIME = f"{column_of_header('peer')} IS DISTINCT FROM '{BACKFILL_PEER}'"
_BY_HEADER = f"""
SELECT hostname, {HEADER.name}, count(*) AS lines, count(*) FILTER (severity <= {SEVERITIES.index("err")}) AS errors,
    max(observed_timestamp) AS last_seen,
    arg_max(epoch_us(timestamp) - epoch_us(observed_timestamp), row_id) AS skew_us,
    max(row_id) FILTER (timestamp IS NOT NULL) AS skew_row_id
"""
"""By `header` as it is: to take it apart for each line would cost more than all the rest."""
_BY_SERVICE = f"""
SELECT hostname, {column_of_header("app_name")} AS name, sum(lines) AS lines, sum(errors) AS errors,
    max(last_seen) AS last_seen,
    arg_max(skew_us, skew_row_id) FILTER ({_IS_IN_TIME}) AS skew_us,
    max(skew_row_id) FILTER ({_IS_IN_TIME}) AS skew_row_id
"""
_BY_HOST = f"""
SELECT hostname, sum(lines)::BIGINT AS lines, sum(errors)::BIGINT AS errors, max(last_seen) AS last_seen,
    arg_max(skew_us, skew_row_id) AS skew_us,
    max_by({{'name': name, 'last_seen': last_seen}}, last_seen, {MAX_SERVICES}) FILTER (name IS NOT NULL) AS services
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Host:
    """One host; None where nothing is known."""

    name: str | None
    lines: int = 0
    """Within the time range."""
    errors: int = 0
    """Those of them that are err or worse."""
    last_seen: datetime | None = None
    skew_s: float | None = None
    """The emitter's time of its newest line less that of arrival: how late it came, or how far its clock is off."""
    dropped: int = 0
    """Lines over its budget, since the collector started."""
    missing: int = 0
    """Numbered lines that are not stored."""
    unclosed: int = 0
    """Earlier runs of its rsyslogd whose last number nobody has confirmed."""
    gaps: list[tuple[str, int, int]] = field(default_factory=list)
    """Which lines: start id, first and last number."""
    services: dict[str, datetime] = field(default_factory=dict)
    """When the newest line of each arrived, within the time range; of MAX_SERVICES, those that were heard last."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """Those that were silent for the longest time first; those without any time come before all."""

    hosts: list[Host]
    is_partial: bool
    """Whether only lines that arrived since `reached` are counted, as the time was up or a file damaged."""
    reached: datetime | None


@dataclass(frozen=True, slots=True)
class Accounts:
    """What the collector knows beside the stored lines."""

    seen: Mapping[str, Seen]
    runs: list[RunReport]


def hosts(store: Store, asked: Asked, accounts: Accounts, max_gaps: int) -> Hosts:
    """All hosts with lines in the range, or that the collector has heard of."""
    found: dict[str | None, Host] = {}
    walk = Walk(store, asked.time, asked.limit, store.committed_row_id, reads_all=True)

    def read(window: Window) -> bool:
        bounded = window.where.and_(asked.where)
        answers = []
        for table in window.tables:
            answers += store.query(_question(table, bounded.sql), bounded.parameters, asked.limit.guard).to_pylist()
        for row in answers:
            if row["hostname"] in found or len(found) < MAX_GROUPS:
                host = found.setdefault(row["hostname"], Host(row["hostname"]))
                host.lines += row["lines"]
                host.errors += row["errors"]
                host.last_seen = max(host.last_seen or row["last_seen"], row["last_seen"])
                if host.skew_s is None and row["skew_us"] is not None:  # windows come from the newest on
                    host.skew_s = row["skew_us"] / 1e6
                for service in row["services"] or ():
                    if service["name"] in host.services or len(host.services) < MAX_SERVICES:
                        seen = host.services.get(service["name"], service["last_seen"])
                        host.services[service["name"]] = max(seen, service["last_seen"])
        return True

    is_whole = walk.each(read)
    numbering = {report.run.host for report in accounts.runs}
    for name, seen in accounts.seen.items():
        if name not in found and name not in numbering and not seen.dropped:
            continue  # an address whose lines all name their hosts
        host = found.setdefault(name, Host(name))
        moment = _EPOCH + timedelta(microseconds=seen.seen_us)
        host.last_seen = max(host.last_seen or moment, moment)
        host.skew_s = host.skew_s if seen.skew_us is None else seen.skew_us / 1e6
        host.dropped = seen.dropped
    for report in accounts.runs:
        host = found.setdefault(report.run.host, Host(report.run.host))
        host.missing += report.missing
        host.unclosed += report.state is RunState.UNCLOSED
        host.gaps += [(report.run.start, *gap) for gap in report.gaps[: max(0, max_gaps - len(host.gaps))]]
    ordered = sorted(found.values(), key=lambda host: (host.last_seen or _EPOCH, host.name or ""))
    return Hosts(ordered, is_partial=not is_whole or walk.has_lost, reached=walk.reached)


def _question(table: Table, condition: str) -> str:
    source = table.source(_BY_HEADER, condition)
    by_header = f"{_BY_HEADER} FROM {source} WHERE {condition} GROUP BY hostname, {HEADER.name}"
    by_service = f"{_BY_SERVICE} FROM ({by_header}) GROUP BY hostname, name"
    return f"{_BY_HOST} FROM ({by_service}) GROUP BY hostname ORDER BY lines DESC LIMIT {MAX_GROUPS}"
