"""Half of the maximum for long: memory stays flat, disk grows as it should, and each line is there once.

python -m bench.soak [--seconds 600] [--rate N] [--max-growth-mb 100] [--max-bytes-per-message 100]

Without --rate the maximum is measured first, over LF. Exit code 1 on a line that is missing, doubled or unexpected, on
memory that grows by more than the bound after the warm-up, or on a larger store.
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import process
from bench.collector_process import TCP, CollectorProcess
from bench.corpus_files import write_corpus
from bench.ingest import SEED, run_lf
from bench.paced_sender import Sent, sending, sent_by
from bench.result import Result, as_text
from bench.stored import Stored, read_stored

SAMPLE_S = 1.0
WARM_UP_SHARE = 0.25
LATE_S = 120.0  # for what was sent and is not stored yet
COLUMNS = (
    "load",
    "lines",
    "missing",
    "doubled",
    "RSS after warm-up MB",
    "at the end",
    "MB an hour",
    "peak",
    "bytes/msg",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """Memory and disk at one moment."""

    at_s: float
    rss_bytes: int
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was sent, what it took, and what is stored after the stop."""

    sent: Sent
    samples: list[Sample]
    peak_rss_bytes: int
    stored: Stored
    disk_bytes: int

    def rss_bytes(self) -> tuple[float, float]:
        """Medians of the first and the last fifth of the time after the warm-up."""
        warm = self._warm()
        share = max(1, len(warm) // 5)
        first, last = ([sample.rss_bytes for sample in part] for part in (warm[:share], warm[-share:]))
        return statistics.median(first), statistics.median(last)

    def growth_bytes_per_s(self) -> float:
        """The slope of memory after the warm-up."""
        warm = self._warm()
        times, sizes = [sample.at_s for sample in warm], [float(sample.rss_bytes) for sample in warm]
        return statistics.linear_regression(times, sizes).slope

    def _warm(self) -> list[Sample]:
        return self.samples[int(len(self.samples) * WARM_UP_SHARE) :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, help="messages a second; default: half of the maximum")
    parser.add_argument("--probe-messages", type=int, default=500_000, help="by which the maximum is measured")
    parser.add_argument("--max-growth-mb", type=float, default=100.0, help="of memory, from the warm-up to the end")
    parser.add_argument("--max-bytes-per-message", type=float, default=100.0, help="of the data directory at the end")
    parser.add_argument("--directory", type=Path, help="where the store grows; default: the system's temporary one")
    parser.add_argument("--no-json", action="store_true", help="write nothing to bench/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="b-", dir=options.directory) as directory:
        rate = options.rate or maximum_rate(Path(directory), options.probe_messages) / 2
        outcome = soak(Path(directory), rate, options.seconds)
    sent = outcome.sent
    missing, doubled = compare(sent, outcome.stored)
    before, after = outcome.rss_bytes()
    per_message = outcome.disk_bytes / sent.lines
    wrong = [
        *([f"{missing} lines are missing"] if missing else []),
        *([f"{doubled} lines are there twice or were never sent"] if doubled else []),
        *([f"memory grew by {(after - before) / 1e6:.0f} MB"] if after - before > options.max_growth_mb * 1e6 else []),
        *([f"{per_message:.0f} bytes a message"] if per_message > options.max_bytes_per_message else []),
    ]
    result = Result(
        "soak",
        f"{sent.seconds:.0f} s at a steady rate over 8 connections",
        COLUMNS,
        [
            [
                f"{sent.lines / sent.seconds:.0f} msg/s",
                f"{sent.lines:,}",
                str(missing),
                str(doubled),
                f"{before / 1e6:.0f}",
                f"{after / 1e6:.0f}",
                f"{outcome.growth_bytes_per_s() * 3600 / 1e6:+.0f}",
                f"{outcome.peak_rss_bytes / 1e6:.0f}",
                f"{per_message:.1f}",
            ]
        ],
        {"rate": rate, "seconds": options.seconds, "behind_s": sent.behind_s, "sent": asdict(sent)},
        [asdict(sample) for sample in outcome.samples],
        [f"Failed: {what}." for what in wrong],
    )
    print(as_text(result))
    if not options.no_json:
        result.write()
    sys.exit(bool(wrong))


def maximum_rate(directory: Path, messages: int) -> float:
    """Messages a second that become queryable when they are sent as fast as they are taken."""
    kept, scratch = directory / "corpus", directory / "maximum"
    kept.mkdir()
    scratch.mkdir()
    sample = run_lf(scratch, write_corpus(kept, messages, SEED), 0)
    for path in kept.iterdir():
        path.unlink()
    return sample.messages / sample.wall_s


def soak(directory: Path, rate: float, seconds: float) -> Outcome:
    """Send, watch, stop the collector, and count what it stored."""
    samples = []
    with CollectorProcess(directory, TCP) as collector:
        with sending(collector.port, rate, seconds) as sender:
            begin_s = time.monotonic()
            while (at_s := time.monotonic() - begin_s) < seconds:
                size = process.directory_bytes(collector.data)
                samples.append(Sample(at_s, process.rss_bytes(collector.pid), size))
                time.sleep(SAMPLE_S)
            sent = sent_by(sender, LATE_S)
        with suppress(TimeoutError):  # what is missing is counted below
            collector.wait_for_rows(sent.lines, LATE_S)
        peak = process.rss_bytes(collector.pid, peak=True)
        collector.stop()
        return Outcome(sent, samples, peak, read_stored(collector.data), process.directory_bytes(collector.data))


def compare(sent: Sent, stored: Stored) -> tuple[int, int]:
    """How many of the lines that were sent are missing, and how many are stored that should not be."""
    runs = {run.host: run for run in stored.runs}
    there = {host: runs[host].distinct if host in runs else 0 for host in sent.numbers}
    unnumbered = sent.lines - sum(sent.numbers.values())
    missing = sum(max(0, last - there[host]) for host, last in sent.numbers.items())
    missing += max(0, unnumbered - stored.unnumbered)
    lines = sum(run.lines for run in stored.runs) + stored.unnumbered
    return missing, lines + missing - sent.lines


if __name__ == "__main__":
    main()
