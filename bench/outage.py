"""The collector is stopped while a service logs: what is stored afterwards, missing and doubled.

python bench/outage.py [--seconds 20] [--rate 100]
"""

import argparse
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path

from cloud.logs.query.client import CollectorClient
from cloud.up.layout import Layout
from cloud.up.machine import Machine, Settings

BEFORE_S = AFTER_S = 5
SETTLE_S = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20, help="how long the collector is away")
    parser.add_argument("--rate", type=float, default=100.0, help="lines a second")
    options = parser.parse_args()
    lines = int((BEFORE_S + options.seconds + AFTER_S) * options.rate)
    request_id = f"req-{uuid.uuid4()}"
    with (
        tempfile.TemporaryDirectory(prefix="b-") as directory,
        Machine(Path(directory), Settings(Layout(1))) as machine,
    ):
        machine.start()
        logging_conf = machine.tree("compute-01") / "etc/nova/nova-compute-logging.conf"
        speaker = [sys.executable, str(Path(__file__).parent / "speaker.py"), str(logging_conf), request_id]
        with subprocess.Popen([*speaker, str(lines), str(options.rate)]):
            time.sleep(BEFORE_S)
            machine.stop_collector()
            time.sleep(options.seconds)
            machine.start_collector()
        numbers = settled(machine.http_url, request_id, lines)
        in_file = (machine.tree("compute-01") / "var/log/nova/nova.log").read_text().count(request_id)
    doubled = sum(count - 1 for count in numbers.values())
    print(
        f"{lines} lines at {options.rate:g}/s, collector away for {options.seconds} s:"
        f" stored {len(numbers)}, missing {lines - len(numbers)}, doubled {doubled}; in the host's own file {in_file}"
    )


def settled(url: str, request_id: str, expected: int) -> Counter[int]:
    """How often each number is stored, as soon as all are there, at the latest after 15 s without a new one."""
    seen: Counter[int] = Counter()
    deadline_s = time.monotonic() + SETTLE_S
    with CollectorClient(url) as client:
        while len(seen) < expected and time.monotonic() < deadline_s:
            now = Counter(row["fields"]["number"] for row in client.rows({"request_id": request_id, "n": 10_000}))
            if now.total() > seen.total():
                seen, deadline_s = now, time.monotonic() + SETTLE_S
            time.sleep(0.5)
    return seen


main()
