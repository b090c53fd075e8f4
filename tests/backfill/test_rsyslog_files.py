"""What a real rsyslogd writes to nova.log and sends is what backfill compares."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.logs.backfill.client import BackfillClient
from cloud.logs.backfill.files import LocalFiles
from cloud.logs.backfill.filling import Options, backfill
from cloud.logs.collector.lines import identity_of
from tests.backfill.collecting import LineCollector
from tests.generator.forwarding import DEBUG, INFO, TIME, FrameSink, render
from tests.rsyslog import RsyslogHost

pytestmark = pytest.mark.server


@pytest.fixture
def tree() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="t-"))  # short: a socket's path has 107 bytes at most
    yield directory
    shutil.rmtree(directory)


def test_what_dies_with_rsyslogd_and_what_never_arrived_is_filled_from_its_own_file(
    collector: LineCollector, client: BackfillClient, tree: Path
) -> None:
    sink = FrameSink()
    render(tree, sink)
    sink.listen()
    try:
        with RsyslogHost() as host:
            for life in range(3):
                host.start(tree)
                for number in range(50):
                    severity = DEBUG if number % 10 == 9 else INFO
                    odd = 'two\nlines \\ "quoted" ] é' if number == 7 else "line"
                    host.send(f"<{severity}>1 {TIME} - nova-compute 81 - - {odd} {life}-{number:02}")
                sink.wait_for(f"{life}-48")
                host.wait_for_local(f"{life}-49")
                host.kill()
                host.nova_log.rename(host.nova_log.with_suffix(f".log.{2 - life}" if life < 2 else ".log"))
    finally:
        sink.close()
    frames = [frame.encode() for frame in sink.frames]
    runs = list(dict.fromkeys(identity[0] for identity in map(identity_of, frames) if identity))
    of_run = [[frame for frame in frames if (identity_of(frame) or [None])[0] == run] for run in runs]
    collector.receive(*of_run[0][:20], *of_run[0][25:])
    collector.receive(*of_run[2])  # nothing of the second life
    said: list[str] = []
    outcomes = backfill(LocalFiles(host.nova_log.parent), client, Options(), said.append)
    filled = [(outcome.run, outcome.filled, outcome.state) for outcome in outcomes]
    assert filled == [(runs[0], 5, "closed"), (runs[1], len(of_run[1]), "closed")]
    assert said == []
    assert sorted(collector.lines) == sorted(frames)
    assert any(b"#012lines" in line for line in collector.lines)
