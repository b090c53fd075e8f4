"""The live tail under load: what one client, a slow one, and a hundred at once are sent, judged against the store.

python -m bench.tail [--seconds 60] [--clients 100]

Each scene has a collector of its own. Probes go out beside the load, on a connection of their own, and every client
wants them too: what is measured is the way from the sender to each client.
"""

import argparse
import asyncio
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from bench import process
from bench.collector_process import TCP, CollectorProcess
from bench.paced_sender import sending, sent_by
from bench.result import Result, as_text
from bench.stored import stored_lines
from bench.tail_client import LAST_PROBE, Heard, TailClient
from bench.tail_scenes import SLOW_LINES_PER_S, Scene, scenes

PROBE_HOST = "probe-01"
PROBE_GAP_S = 0.05
LAST_WAIT_S = 30.0
LIMIT_S = 178.0
"""For all scenes, unless longer ones were asked for; on a busy machine starts and stops alone take a minute."""
SPARE_S = 43.0
CLIENTS_OF_AN_ADDRESS = 50
"""The collector takes 100 connections from one."""
COLUMNS = ("scene", "lines/s", "share of a core", "rows sent", "missing", "doubled", "skipped", "p50", "p99", "worst")


@dataclass(frozen=True, slots=True)
class Sample:
    """What became of a scene."""

    name: str
    clients: int
    rate: float
    """Lines a second that were sent."""
    core_share: float
    peak_rss_bytes: int
    rows: int
    """That clients got, all in all."""
    missing: int
    """Rows that a client wanted, and neither got nor was told of."""
    doubled: int
    unwanted: int
    skipped: int
    """Lines that clients were told to have missed."""
    skipped_in_store: int
    """How many the store has where they were told so."""
    ended: int
    """Clients that were refused, or that the collector has ended."""
    percentiles_s: Sequence[float]
    """The 99 of the delays from the sender to a client; none where nobody tailed."""
    worst_s: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="with one client; of 60, all takes less than three minutes"
    )
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--no-json", action="store_true", help="write nothing to bench/results")
    options = parser.parse_args()
    planned = scenes(options.seconds, options.clients)
    with _limited_to(max(LIMIT_S, sum(scene.seconds for scene in planned) + SPARE_S)):
        samples = [measure(scene) for scene in planned]
    result = Result(
        "tail",
        f"Live tail: {options.seconds:g} s with one client, then a slow one, then {options.clients} at once",
        COLUMNS,
        [_row(sample) for sample in samples],
        {"seconds": options.seconds, "clients": options.clients, "slow_lines_per_s": SLOW_LINES_PER_S},
        [asdict(sample) for sample in samples],
        [
            "Delays are of what clients got; the slow one reads behind what it has been sent already.",
            "Skipped: lines that a client was told to have missed, and how many the store has in what it was told.",
        ],
    )
    print(as_text(result))
    if wrong := [sample.name for sample in samples if not is_right(sample)]:
        raise SystemExit(f"nothing written: not what the store has: {', '.join(wrong)}")
    if not options.no_json:
        result.write()


def is_right(sample: Sample) -> bool:
    """Whether each client got each row that it wanted once, or was told to the line what it missed."""
    wrong = sample.missing + sample.doubled + sample.unwanted + sample.ended
    return wrong == 0 and sample.skipped == sample.skipped_in_store


def measure(scene: Scene) -> Sample:
    with tempfile.TemporaryDirectory(prefix="b-") as directory:
        with CollectorProcess(Path(directory), TCP) as collector:
            rate, core_share, heard = asyncio.run(_play(scene, collector))
            peak_rss_bytes = process.rss_bytes(collector.pid, peak=True)
        with stored_lines(collector.data) as stored:
            judged = [_judge(stored, each, sql) for each, (_, sql) in zip(heard, scene.questions, strict=True)]
    delays_s = [delay_s for each in heard for delay_s in each.delays_s.values()]
    missing, doubled, unwanted, skipped_in_store = (sum(column) for column in zip(*judged, (0, 0, 0, 0), strict=True))
    return Sample(
        scene.name,
        len(heard),
        rate,
        core_share,
        peak_rss_bytes,
        sum(len(each.row_ids) for each in heard),
        missing,
        doubled,
        unwanted,
        sum(told["lines"] or 0 for each in heard for told in each.skipped),
        skipped_in_store,
        sum(each.status != 200 or each.ended is not None for each in heard),
        _percentiles(delays_s),
        max(delays_s, default=None),
    )


async def _play(scene: Scene, collector: CollectorProcess) -> tuple[float, float, list[Heard]]:
    """The rate at which lines were sent, the share of a core, and what each client heard."""
    sent_s: dict[int, float] = {}
    http_port = collector.http.base_url.port or 80
    clients = [
        TailClient(
            http_port,
            query and f"({query}) OR host:{PROBE_HOST}",
            sent_s,
            f"127.0.0.{2 + number // CLIENTS_OF_AN_ADDRESS}",
            scene.lines_per_s,
        )
        for number, (query, _) in enumerate(scene.questions)
    ]
    running = [asyncio.create_task(client.run()) for client in clients]
    for client in clients:
        await asyncio.wait_for(client.is_live.wait(), LAST_WAIT_S)
    _, probes = await asyncio.open_connection("127.0.0.1", collector.port)
    with sending(collector.port, scene.rate, scene.seconds) as sender:
        begun_s, before_s = time.monotonic(), collector.cpu_s
        for number in range(int(scene.seconds / PROBE_GAP_S)):
            sent_s[number] = time.monotonic()
            probes.write(_probe(number))
            await asyncio.sleep(max(0.0, begun_s + (number + 1) * PROBE_GAP_S - time.monotonic()))
        core_share = (collector.cpu_s - before_s) / (time.monotonic() - begun_s)
        sent = await asyncio.to_thread(sent_by, sender, LAST_WAIT_S)
    await asyncio.to_thread(collector.wait_for_rows, sent.lines + len(sent_s), LAST_WAIT_S)
    probes.write(_probe(LAST_PROBE))
    await probes.drain()
    if running:
        # Who is slow has not come so far, and is judged by what it has.
        _, late = await asyncio.wait(running, timeout=1.0 if scene.lines_per_s else LAST_WAIT_S)
        for task in late:
            task.cancel()
    probes.close()
    return sent.lines / sent.seconds, core_share, list(await asyncio.gather(*running))


def _probe(number: int) -> bytes:
    return f'<134>1 - {PROBE_HOST} probe - - - @cee: {{"message":"probe","probe":{number}}}\n'.encode()


def _judge(stored: duckdb.DuckDBPyConnection, heard: Heard, sql: str) -> tuple[int, int, int, int]:
    """Rows missing, doubled and unwanted, and how many wanted ones are stored in what the client says was skipped."""
    condition = f"(({sql}) OR hostname = '{PROBE_HOST}') AND row_id > {heard.begin} AND row_id <= {heard.reached}"
    found = stored.execute(f"SELECT row_id FROM stored WHERE {condition}").fetchall()  # noqa: S608 - our own text
    wanted = {row_id for (row_id,) in found}
    got = set(heard.row_ids)
    told = {
        row_id
        for row_id in wanted
        if any(each["first_row_id"] <= row_id <= each["last_row_id"] for each in heard.skipped)
    }
    missing = len(wanted - got - told)
    return missing, len(heard.row_ids) - len(got), len(got - wanted) + len(got & told), len(told)


def _percentiles(delays_s: Sequence[float]) -> list[float]:
    found = statistics.quantiles(delays_s, n=100, method="inclusive") if len(delays_s) > 1 else []
    return [round(delay_s, 6) for delay_s in found]


@contextmanager
def _limited_to(limit_s: float) -> Iterator[None]:
    """End what takes longer by `SystemExit`, with all that it has started."""

    def end(*_: object) -> None:
        raise SystemExit(f"nothing written: not done after {limit_s:g} s")

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _row(sample: Sample) -> list[str]:
    cuts, worst_s = sample.percentiles_s, sample.worst_s
    shown_s = (cuts[49], cuts[98], worst_s) if cuts and worst_s is not None else ()
    delays = [f"{delay_s * 1000:.0f} ms" for delay_s in shown_s] or ["-"] * 3
    return [
        sample.name,
        f"{sample.rate:.0f}",
        f"{sample.core_share:.1%}",
        str(sample.rows),
        str(sample.missing),
        str(sample.doubled),
        f"{sample.skipped} of {sample.skipped_in_store}",
        *delays,
    ]


if __name__ == "__main__":
    main()
