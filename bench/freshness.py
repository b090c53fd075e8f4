"""From sent to queryable at a steady rate while somebody asks: percentiles, and the share of a core that it takes.

python -m bench.freshness [--rate 10000] [--seconds 40]

Probe lines go out beside the load, on a connection of their own, and come back through the tail of the HTTP API, which
shows rows once they are committed: what is measured includes that way. Once a second rows or counts are asked for.
"""

import argparse
import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from bench import process
from bench.collector_process import TCP, CollectorProcess
from bench.paced_sender import sending, sent_by
from bench.probes import Probes
from bench.result import Result, as_text

PROBE_GAP_S = 0.05
WARM_UP_S = 5.0
LAST_WAIT_S = 10.0
QUERY_TIMEOUT_S = 30.0
QUESTIONS: tuple[tuple[str, dict[str, str | int]], ...] = (
    ("/api/v1/rows", {"host": "compute-01", "severity": "warning", "n": 100}),
    ("/api/v1/count", {"by": "host"}),
)
Asking = Callable[[str, list[float], threading.Event], None]
"""Asks at a URL until the event is set, and adds to the list how long each answer took."""
COLUMNS = ("load", "to queryable p50", "p99", "worst", "share of a core", "query p50", "query worst", "peak RSS MB")


@dataclass(frozen=True, slots=True)
class Sample:
    """One run, after its warm-up."""

    rate: float
    """Messages a second that were sent."""
    behind_s: float
    delays_s: list[float]
    queries_s: list[float]
    core_share: float
    peak_rss_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=10_000, help="messages a second over 8 connections")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--no-json", action="store_true", help="write nothing to bench/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="b-") as directory, CollectorProcess(Path(directory), TCP) as collector:
        sample = measure(collector, options.rate, options.seconds)
    result = Result(
        "freshness",
        f"Sent to queryable over {options.seconds:.0f} s, with a query every second",
        COLUMNS,
        [_row(sample)],
        {"rate": options.rate, "seconds": options.seconds, "probe_gap_s": PROBE_GAP_S, "warm_up_s": WARM_UP_S},
        [asdict(sample)],
    )
    print(as_text(result))
    if not options.no_json:
        result.write()


def ask_by_turns(url: str, answers: list[float], stop: threading.Event) -> None:
    """A question every second."""
    with httpx.Client(base_url=url, timeout=QUERY_TIMEOUT_S, trust_env=False) as http:
        for path, parameters in itertools.cycle(QUESTIONS):
            if stop.wait(1.0):
                return
            asked_s = time.monotonic()
            http.get(path, params=parameters).raise_for_status()
            answers.append(time.monotonic() - asked_s)


def measure(collector: CollectorProcess, rate: float, seconds: float, ask: Asking = ask_by_turns) -> Sample:
    """Load, probes and questions; what counts is what happens after the warm-up."""
    stop = threading.Event()
    answers: list[float] = []
    with (
        sending(collector.port, rate, WARM_UP_S + seconds) as sender,
        Probes(collector.port, str(collector.http.base_url)) as probes,
    ):
        asking = threading.Thread(target=ask, args=(str(collector.http.base_url), answers, stop))
        asking.start()
        before_s = started_s = 0.0
        begin_s = time.monotonic()
        first = 0
        for number in itertools.count():
            now_s = time.monotonic()
            if now_s - begin_s >= WARM_UP_S + seconds:
                break
            if not started_s and now_s - begin_s >= WARM_UP_S:
                started_s, before_s, first = now_s, collector.cpu_s, number
                answers.clear()
            probes.send(number)
            time.sleep(max(0.0, begin_s + (number + 1) * PROBE_GAP_S - time.monotonic()))
        share = (collector.cpu_s - before_s) / (time.monotonic() - started_s)
        stop.set()
        asking.join()
        process.wait_until(lambda: len(probes.delays_s) == number, LAST_WAIT_S, "the last probes")
        sent = sent_by(sender, LAST_WAIT_S)
    return Sample(
        rate=sent.lines / sent.seconds,
        behind_s=sent.behind_s,
        delays_s=[probes.delays_s[probe] for probe in range(first, number)],
        queries_s=answers,
        core_share=share,
        peak_rss_bytes=process.rss_bytes(collector.pid, peak=True),
    )


def _row(sample: Sample) -> list[str]:
    cuts = statistics.quantiles(sample.delays_s, n=100)
    return [
        f"{sample.rate:.0f} msg/s",
        f"{cuts[49] * 1000:.0f} ms",
        f"{cuts[98] * 1000:.0f} ms",
        f"{max(sample.delays_s) * 1000:.0f} ms",
        f"{sample.core_share:.1%}",
        f"{statistics.median(sample.queries_s) * 1000:.0f} ms",
        f"{max(sample.queries_s) * 1000:.0f} ms",
        f"{sample.peak_rss_bytes / 1e6:.0f}",
    ]


if __name__ == "__main__":
    main()
