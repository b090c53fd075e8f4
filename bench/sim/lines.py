"""Lines as their services counted them against lines as they are stored, service by service."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import duckdb

from bench.sim.cloud import HostProcess
from bench.sim.hosts import ITSELF, speakers_of
from cloud.logs.emit.counts import LineCounts
from cloud.logs.events import SERVICE

Service = tuple[str, str]
"""Its host and its name."""


@dataclass(slots=True)
class Emitted:
    """By the services' own counts."""

    sent: Counter[Service] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    """By reason."""

    def add(self, service: Service, counts: LineCounts) -> None:
        self.sent[service] += counts.sent
        self.dropped.update(counts.dropped)


def emitted_lines(processes: Iterable[HostProcess], connection: duckdb.DuckDBPyConnection) -> Emitted:
    """Hosts count in files, which outlive a kill. A service of a controller counts in its memory, and its last word is
    how many lines came before that.
    """
    emitted = Emitted()
    for process in processes:
        for speaker in speakers_of(process.hosts):
            emitted.add((speaker.host, speaker.service), process.counts.counts(speaker))
        emitted.add((process.hosts[0], ITSELF), process.counts.counts(None))
    of_hosts = set(emitted.sent)
    last_words = connection.execute(
        "SELECT hostname, app_name, fields FROM stored WHERE event = ?", [SERVICE.event("stop")]
    ).fetchall()
    for host, name, fields in last_words:
        if (host, name) not in of_hosts:
            said = json.loads(fields)
            emitted.sent[host, name] += said["lines"] + 1
            emitted.dropped.update(said["lines_dropped"])
    return emitted


def stored_lines_by_service(connection: duckdb.DuckDBPyConnection) -> Counter[Service]:
    found = connection.execute("SELECT hostname, app_name, count(*) FROM stored GROUP BY ALL").fetchall()
    return Counter({(host, name): lines for host, name, lines in found})


def differences(sent: Mapping[Service, int], stored: Mapping[Service, int]) -> Iterator[str]:
    """A text for each service of which not all lines are there, or more."""
    for host, name in sorted({*sent, *stored}, key=str):
        logged, found = sent.get((host, name), 0), stored.get((host, name), 0)
        if logged != found:
            yield f"{name} on {host} logged {logged} lines, {found} are stored"
