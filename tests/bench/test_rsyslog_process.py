"""What the collector is compared with does what the benchmark takes for granted."""

import tempfile
from pathlib import Path

import pytest

from bench.corpus_files import write_corpus
from bench.ingest import RSYSLOG, RSYSLOG_RAW, run_rsyslog

pytestmark = pytest.mark.server


@pytest.mark.parametrize("is_raw", [False, True])
def test_rsyslogd_writes_the_whole_corpus_and_is_measured(tmp_path: Path, *, is_raw: bool) -> None:
    files = write_corpus(tmp_path, 20_000, seed=4)
    with tempfile.TemporaryDirectory(prefix="b-") as directory:
        sample = run_rsyslog(RSYSLOG_RAW if is_raw else RSYSLOG, is_raw, Path(directory), files, 0)
    size = sum(path.stat().st_size for path in files.lf)
    assert sample.disk_bytes == size if is_raw else sample.disk_bytes < size
    assert 0 < sample.cpu_with_stop_s < 5
    assert sample.peak_rss_bytes > 1 << 20
