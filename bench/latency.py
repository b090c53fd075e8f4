"""From a log call to its line in `cloud log tail`, through a real rsyslogd: percentiles in milliseconds.

python bench/latency.py [--lines 1000] [--rate 50]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import datetime
from pathlib import Path

from cloud.up.layout import Layout
from cloud.up.machine import Machine, Settings

TAIL_START_S = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=50.0, help="lines a second")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="b-") as directory,
        Machine(Path(directory), Settings(Layout(1))) as machine,
    ):
        machine.start()
        delays_ms = sorted(measure(machine, options.lines, options.rate))
    cuts = statistics.quantiles(delays_ms, n=100)
    print(
        f"{len(delays_ms)} lines at {options.rate:g}/s, log call to tail:"
        f" p50 {cuts[49]:.0f} ms, p90 {cuts[89]:.0f} ms, p99 {cuts[98]:.0f} ms, max {delays_ms[-1]:.0f} ms"
    )


def measure(machine: Machine, lines: int, rate: float) -> list[float]:
    """The delay of each line, in milliseconds, as the reader of the tail's pipe sees it."""
    request_id = f"req-{uuid.uuid4()}"
    tail = [sys.executable, "-m", "cloud", "log", "tail", "--url", machine.http_url, "--output", "json", "-n", "0"]
    speaker = [sys.executable, str(Path(__file__).parent / "speaker.py")]
    logging_conf = machine.tree("compute-01") / "etc/nova/nova-compute-logging.conf"
    delays_ms = []
    with subprocess.Popen([*tail, "--request", request_id], stdout=subprocess.PIPE, text=True) as reading:
        time.sleep(TAIL_START_S)  # a line that is already history when the tail starts would not be shown
        with subprocess.Popen([*speaker, str(logging_conf), request_id, str(lines), str(rate)]):
            assert reading.stdout is not None
            for text in reading.stdout:
                now_s = time.time()
                delays_ms.append((now_s - datetime.fromisoformat(json.loads(text)["timestamp"]).timestamp()) * 1000)
                if len(delays_ms) == lines:
                    break
        reading.terminate()
    return delays_ms


main()
