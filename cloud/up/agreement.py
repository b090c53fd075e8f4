"""Whether what was sent is what is stored: the summary at the end of `cloud up --once`."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping

from cloud.logs.query.client import CollectorClient

ARRIVE_TIMEOUT_S = 60.0
POLL_S = 0.1

Counts = Mapping[tuple[str, str], int]


def stored_counts(client: CollectorClient, replay: str, expected: int) -> Counts:
    """Rows of `replay` by service and severity, as soon as `expected` are there, at the latest after 60 s."""
    deadline_s = time.monotonic() + ARRIVE_TIMEOUT_S
    while True:
        rows = client.count({"field": [f"replay={replay}"], "by": ["service", "severity"]})
        counts = Counter({(row["service"], row["severity"]): row["count"] for row in rows})
        if counts.total() >= expected or time.monotonic() > deadline_s:
            return counts
        time.sleep(POLL_S)


def comparison(sent: Counts, stored: Counts) -> Iterator[str]:
    """A table of both: a line for each service and severity, and the sums."""
    yield f"{'service':20} {'severity':10} {'sent':>8} {'stored':>8}"
    for key in sorted({*sent, *stored}):
        differs = "" if sent.get(key, 0) == stored.get(key, 0) else "  differs"
        yield f"{key[0]:20} {key[1]:10} {sent.get(key, 0):8} {stored.get(key, 0):8}{differs}"
    yield f"{'all':20} {'':10} {sum(sent.values()):8} {sum(stored.values()):8}"
