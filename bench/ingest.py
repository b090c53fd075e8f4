"""How fast and at what cost messages become durable and queryable, against rsyslogd writing a flat file.

python -m bench.ingest [--messages 1000000] [--repeat 5] [--only NAME]...

The systems take turns, on the same bytes within a round; each round has a corpus of its own. CPU is that of the
receiving process from the first byte sent until the last message is queryable (rsyslogd: written), and once more until
it has ended.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench import process
from bench.certificates import Certificates, make_certificates
from bench.collector_process import RELP, TCP, CollectorError, CollectorProcess, Listener, tls
from bench.corpus_files import CorpusFiles, write_corpus
from bench.result import Result, as_text
from bench.rsyslog_process import FlatFileReceiver, RelpSender, version

SEED = 4
RSYSLOG = "rsyslogd imtcp -> omfile"
RSYSLOG_RAW = "the same, template %rawmsg%"
WINDOWS = (128, 2000, 20_000)
SLOWEST_PER_S = 2000  # slower than this is given up
LEAST_TIMEOUT_S = 60.0
COLUMNS = (
    "system",
    "msg/s",
    "CPU us/msg",
    "with its stop",
    "peak RSS MB",
    "bytes/msg on disk",
    "rsyslogd's CPU / its CPU",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One system in one round."""

    system: str
    round: int
    messages: int
    wall_s: float
    cpu_s: float
    cpu_with_stop_s: float
    peak_rss_bytes: int
    disk_bytes: int
    """After the stop."""


System = Callable[[Path, CorpusFiles, int], Sample]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000, help="a run")
    parser.add_argument("--repeat", type=int, default=5, help="rounds")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="systems with NAME in theirs; writes no JSON"
    )
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--no-json", action="store_true", help="write nothing to bench/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="b-") as directory:
        systems = {
            name: run
            for name, run in _systems(make_certificates(Path(directory))).items()
            if not options.only or any(part in name for part in options.only)
        }
        if not systems:
            sys.exit(f"cannot run {', '.join(options.only)}: no system has such a name")
        samples, missing, mean_bytes = _rounds(Path(directory), systems, options)
    result = Result(
        "ingest",
        f"Ingest of {options.messages:,} messages of {mean_bytes:.0f} bytes on average over 8 connections,"
        f" medians of {options.repeat} interleaved rounds",
        COLUMNS,
        [_row(name, samples) for name in systems],
        {"messages": options.messages, "rounds": options.repeat, "seed": options.seed, "rsyslog": version()},
        [asdict(sample) for sample in samples],
        (
            "rsyslogd has its defaults: queues, workers and omfile's template, which leaves out priority and MSGID.",
            "The last column is the median of the paired rounds, with least and most.",
            "Senders share the cores with the receiver: eight rsyslogds bound what RELP reaches here.",
            *(f"{name}: {why}" for name, why in missing.items()),
        ),
    )
    print(as_text(result))
    if samples and not (options.only or options.no_json):
        result.write()
    sys.exit(bool(missing))


def _systems(certificates: Certificates) -> dict[str, System]:
    """All systems by name, in the order in which they run."""
    secured = ("--tls", *map(str, (certificates.authority, certificates.client, certificates.client_key)))
    return {
        RSYSLOG: partial(run_rsyslog, RSYSLOG, False),
        RSYSLOG_RAW: partial(run_rsyslog, RSYSLOG_RAW, True),
        "collector, LF": run_lf,
        "collector, octet-counted": partial(run_collector, "collector, octet-counted", TCP, _sending_octets),
        "collector, TLS": partial(
            run_collector, "collector, TLS", tls(certificates), partial(_sending_octets, options=secured)
        ),
        **{
            name: partial(run_collector, name, RELP, partial(_sending_relp, window))
            for window in WINDOWS
            for name in [f"collector, RELP, window {window}"]
        },
    }


def _rounds(
    directory: Path, systems: Mapping[str, System], options: argparse.Namespace
) -> tuple[list[Sample], dict[str, str], float]:
    """The samples, why a system has none, and the mean size of a message."""
    samples: list[Sample] = []
    missing: dict[str, str] = {}
    mean_bytes = 0.0
    for number in range(options.repeat):
        with tempfile.TemporaryDirectory(dir=directory) as kept:
            files = write_corpus(Path(kept), options.messages, options.seed + number, datetime.now(UTC))
            mean_bytes = files.message_bytes / files.messages
            for name, run in systems.items():
                if name in missing:
                    continue
                with tempfile.TemporaryDirectory(dir=directory) as scratch:
                    try:
                        sample = run(Path(scratch), files, number)
                    except (CollectorError, TimeoutError, RuntimeError) as exc:
                        missing[name] = str(exc).replace(f"{scratch}/", "")
                        print(f"round {number + 1}: {name}: {missing[name]}", file=sys.stderr, flush=True)
                        continue
                samples.append(sample)
                print(f"round {number + 1}: {'  '.join(_cells([sample]))}  {name}", file=sys.stderr, flush=True)
    return samples, missing, mean_bytes


def run_rsyslog(name: str, is_raw: bool, directory: Path, files: CorpusFiles, number: int) -> Sample:
    """rsyslogd takes the LF files over TCP."""
    with FlatFileReceiver(directory, is_raw=is_raw) as receiver, ExitStack() as sending:
        before_s, started_s = receiver.cpu_s, time.monotonic()
        _sending_lf(sending, directory, files, receiver.port)
        receiver.wait_for_lines(files.messages, _timeout_s(files))
        wall_s, spent_s = time.monotonic() - started_s, receiver.cpu_s - before_s
        peak = process.rss_bytes(receiver.pid, peak=True)
        whole_s = receiver.stop()
        size = receiver.file.stat().st_size
    if is_raw and size != files.lf_bytes:
        raise RuntimeError(f"cannot compare: rsyslogd wrote {size} bytes of {files.lf_bytes}")
    return Sample(name, number, files.messages, wall_s, spent_s, whole_s, peak, size)


def run_lf(directory: Path, files: CorpusFiles, number: int) -> Sample:
    """The collector takes the LF files over TCP."""
    return run_collector("collector, LF", TCP, _sending_lf, directory, files, number)


def run_collector(
    name: str,
    listener: Listener,
    send: Callable[[ExitStack, Path, CorpusFiles, int], None],
    directory: Path,
    files: CorpusFiles,
    number: int,
) -> Sample:
    """The collector takes what `send` sends; `RuntimeError` unless it has stored each message once."""
    with CollectorProcess(directory, listener) as collector, ExitStack() as sending:
        before_s, started_s = collector.cpu_s, time.monotonic()
        send(sending, directory, files, collector.port)
        collector.wait_for_rows(files.messages, _timeout_s(files))
        wall_s, spent_s = time.monotonic() - started_s, collector.cpu_s - before_s
        stored = collector.metric("cloudlog_store_records_total")
        peak = process.rss_bytes(collector.pid, peak=True)
        sending.close()
        whole_s = collector.stop()
        size = process.directory_bytes(collector.data)
    if stored != files.messages:
        raise RuntimeError(f"cannot compare: {stored:.0f} messages are stored of {files.messages}")
    return Sample(name, number, files.messages, wall_s, spent_s, whole_s, peak, size)


def _sending_files(stack: ExitStack, port: int, paths: Sequence[Path], options: Sequence[str] = ()) -> None:
    command = [sys.executable, "-m", "bench.sender", str(port), *options, *map(str, paths)]
    sender = process.start(command, stderr=None)
    stack.callback(process.stop, sender, LEAST_TIMEOUT_S)


def _sending_lf(stack: ExitStack, _directory: Path, files: CorpusFiles, port: int) -> None:
    _sending_files(stack, port, files.lf)


def _sending_octets(
    stack: ExitStack, _directory: Path, files: CorpusFiles, port: int, options: Sequence[str] = ()
) -> None:
    _sending_files(stack, port, files.octet_counted, options)


def _sending_relp(window: int, stack: ExitStack, directory: Path, files: CorpusFiles, port: int) -> None:
    for file in files.lf:
        stack.enter_context(RelpSender(directory / f"{file.stem}-sender", file, port, window))


def _timeout_s(files: CorpusFiles) -> float:
    return LEAST_TIMEOUT_S + files.messages / SLOWEST_PER_S


def _row(name: str, samples: Sequence[Sample]) -> list[str]:
    own = [sample for sample in samples if sample.system == name]
    if not own:
        return [name, *("-" for _ in COLUMNS[1:])]
    flat = {sample.round: sample for sample in samples if sample.system == RSYSLOG}
    ratios = [flat[sample.round].cpu_s / sample.cpu_s for sample in own if sample.round in flat and sample.cpu_s]
    ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})" if ratios else "-"
    return [name, *_cells(own), "1" if name == RSYSLOG else ratio]


def _cells(own: Sequence[Sample]) -> list[str]:
    def median(value: Callable[[Sample], float]) -> float:
        return statistics.median(map(value, own))

    return [
        f"{median(lambda sample: sample.messages / sample.wall_s) / 1000:.0f}k",
        f"{median(lambda sample: sample.cpu_s / sample.messages) * 1e6:.2f}",
        f"{median(lambda sample: sample.cpu_with_stop_s / sample.messages) * 1e6:.2f}",
        f"{median(lambda sample: sample.peak_rss_bytes) / 1e6:.0f}",
        f"{median(lambda sample: sample.disk_bytes / sample.messages):.1f}",
    ]


if __name__ == "__main__":
    main()
