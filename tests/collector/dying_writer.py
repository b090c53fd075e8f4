"""`python -m tests.collector.dying_writer DATA COMMITS`: a writer that is killed behind so many commits.

It is given six numbered lines in one batch, three before and three after midnight, and thus with two commits. It says
`told` when it would answer the sender.
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from cloud.logs.collector.batch import Source
from cloud.logs.collector.budget import Budget
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.lines import LineAccounts, Mark
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.store import Keep
from cloud.logs.collector.writer import Writer

LINES = 6
MIDNIGHT_US = 1_800_057_600_000_000  # 2027-01-16 00:00:00 UTC


class DyingStore(DuckDbStore):
    """Commits `left` times; who asks for one more is killed."""

    left = 0

    def append(self, rows: pa.Table, marks: Sequence[Mark] = (), keep: Keep | None = None) -> int:
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1
        return super().append(rows, marks, keep)


def main() -> None:
    data, commits = Path(sys.argv[1]), int(sys.argv[2])
    store = DyingStore(data, now_s=lambda: MIDNIGHT_US / 1e6)
    store.left = commits
    metrics = Metrics()
    inbox = Inbox(4, 1 << 20)
    told = threading.Event()
    with inbox.lock:
        batch = inbox.current(LINES * 100)
        assert batch is not None
        for number in range(1, LINES + 1):
            line = f'<13>1 - h a - - [line@32473 host="compute-01" start="A" n="{number}"] {number}'
            batch.add_payload(line.encode(), Source("192.0.2.7"), MIDNIGHT_US + (number - LINES // 2) * 1000 - 1)
        batch.on_commit.append(told.set)
        inbox.filled()
    writer = Writer(inbox, store, LineAccounts(store.marks()), Budget(0, metrics), metrics, on_broken=os.abort)
    writer.start()
    assert told.wait(30)
    sys.stdout.write("told\n")
    sys.stdout.flush()
    writer.stop()
    store.close()


if __name__ == "__main__":
    main()
