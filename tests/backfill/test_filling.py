"""From a host's files to the collector: what is missing, all of it, once."""

import bz2
import gzip
import lzma
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.logs.backfill.client import BackfillClient
from cloud.logs.backfill.files import LocalFiles, ReadError
from cloud.logs.backfill.filling import BackfillError, Options, Outcome, backfill
from cloud.logs.collector.lines import Run
from tests.backfill.collecting import LineCollector, line, lines

UNNUMBERED = b"<143>1 2026-01-31T12:00:00.5Z compute-01 nova-api 81 - - debug, not forwarded"


def text(sent: Sequence[bytes]) -> bytes:
    return b"".join(each + b"\n" for each in sent)


class Filling:
    """Backfill of one directory; `said` is what it warned of."""

    def __init__(self, directory: Path, client: BackfillClient) -> None:
        self.directory = directory
        self.said: list[str] = []
        self._client = client

    def __call__(self, options: Options | None = None, files: LocalFiles | None = None) -> dict[str, Outcome]:
        outcomes = backfill(files or LocalFiles(self.directory), self._client, options or Options(), self.said.append)
        return {outcome.run.start: outcome for outcome in outcomes}

    def write(self, name: str, *sent: bytes) -> None:
        (self.directory / name).write_bytes(text(sent))


@pytest.fixture
def fill(tmp_path: Path, client: BackfillClient) -> Filling:
    return Filling(tmp_path, client)


def test_gaps_a_lost_tail_and_a_run_that_never_arrived_are_filled_from_all_kinds_of_files(
    collector: LineCollector, fill: Filling, host: str
) -> None:
    oldest, lost, silent, current = (Run(host, start) for start in "ABCD")
    collector.receive(*lines(oldest, 1, 10), *lines(oldest, 21, 90), *lines(lost, 2, 3), *lines(current, 1, 3))
    collector.receive(line(current, 6))
    fill.directory.joinpath("nova.log-20260129.gz").write_bytes(gzip.compress(text(lines(oldest, 1, 40))))
    fill.directory.joinpath("nova.log-20260130.xz").write_bytes(lzma.compress(text(lines(oldest, 41, 80))))
    fill.directory.joinpath("nova.log.2.bz2").write_bytes(bz2.compress(text(lines(oldest, 81, 100))))
    fill.write("nova.log.1", *lines(lost, 1, 5), UNNUMBERED, *lines(silent, 1, 7))
    fill.write("nova.log", *lines(current, 1, 9), UNNUMBERED)
    fill.write("nova-api.log", line(Run(host, "E"), 1))
    assert fill() == {
        "A": Outcome(oldest, missing=20, found=20, filled=20, still_missing=0, state="closed"),
        "B": Outcome(lost, missing=3, found=3, filled=3, still_missing=0, state="closed"),
        "C": Outcome(silent, missing=7, found=7, filled=7, still_missing=0, state="closed"),
        "D": Outcome(current, missing=2, found=2, filled=2, still_missing=0, state="current"),
    }
    for run, last in ((oldest, 100), (lost, 5), (silent, 7), (current, 6)):  # what comes after 6 is on its way
        assert collector.numbers(run) == dict.fromkeys(range(1, last + 1), 1)
    assert (fill(), fill.said) == ({}, [])
    states = {report.run.start: report.state for report in collector.accounts.report(host)}
    assert states == {"A": "closed", "B": "closed", "C": "closed", "D": "current"}


def test_lines_arrive_as_they_stand_in_the_file(
    collector: LineCollector, fill: Filling, run_a: Run, run_b: Run
) -> None:
    odd = [
        line(run_a, 1, b"caf\xe9 \x00 \xff\xfe"),
        line(run_a, 2, b"two\nlines, of which this is one\n\nand that another"),
        line(run_a, 3, b"x" * 1_100_000 + b"end"),
        line(run_a, 4, b""),
    ]
    fill.write("nova.log", b"the end of a line whose head was rotated away", *odd, line(run_b, 1))
    assert fill()["A"].filled == 4
    stored = [each for each in collector.lines if run_a.host.encode() in each]
    assert (stored[0], stored[1], stored[3]) == (odd[0], odd[1], odd[3])
    assert (len(stored[2]) < (1 << 20) + 100, stored[2].endswith(b"xend")) == (True, True)


def test_a_line_that_is_being_written_is_left_alone(
    collector: LineCollector, fill: Filling, run_a: Run, run_b: Run
) -> None:
    collector.receive(line(run_b, 3))
    half = line(run_b, 2, b"whole")
    fill.directory.joinpath("nova.log").write_bytes(text([*lines(run_a, 1, 2), line(run_b, 1)]) + half[:-3])
    assert fill()["B"] == Outcome(run_b, missing=2, found=1, filled=1, still_missing=1, state="current")
    fill.write("nova.log", *lines(run_a, 1, 2), line(run_b, 1), half)
    assert fill()["B"] == Outcome(run_b, missing=1, found=1, filled=1, still_missing=0, state="current")
    assert half in collector.lines


def test_what_was_rotated_away_stays_missing_until_that_is_accepted(
    collector: LineCollector, fill: Filling, host: str
) -> None:
    gone, cut, current = (Run(host, start) for start in "ABC")
    collector.receive(*lines(gone, 1, 3), line(gone, 5), *lines(cut, 1, 2), line(current, 1), line(current, 3))
    fill.write("nova.log", *lines(cut, 5, 6), line(current, 1), line(current, 3))
    expected = {
        "A": Outcome(gone, missing=1, found=0, filled=0, still_missing=1, state="unclosed: lines are missing"),
        "B": Outcome(cut, missing=4, found=2, filled=2, still_missing=2, state="unclosed: lines are missing"),
        "C": Outcome(current, missing=1, found=0, filled=0, still_missing=1, state="current"),
    }
    assert fill() == expected
    accepted = fill(Options(is_accepting=True))
    assert [(each.still_missing, each.state, each.is_settled) for each in accepted.values()] == [
        (0, "closed", True),
        (0, "closed", True),
        (0, "current", True),
    ]
    assert fill() == {}
    assert [report.waived for report in collector.accounts.report(host)] == [1, 2, 1]


def test_a_run_that_is_whole_but_in_no_file_is_confirmed_by_accepting_only(
    collector: LineCollector, fill: Filling, run_a: Run, run_b: Run
) -> None:
    collector.receive(*lines(run_a, 1, 3), line(run_b, 1))
    fill.write("nova.log", line(run_b, 1))
    found = fill()["A"]
    assert (found.still_missing, found.state, found.is_settled) == (0, "unclosed: not in the files", False)
    assert fill(Options(is_accepting=True))["A"].state == "closed"
    assert fill() == {}


def test_a_dry_run_sends_and_confirms_nothing(
    collector: LineCollector, fill: Filling, host: str, run_a: Run, run_b: Run
) -> None:
    whole = Run(host, "0")
    collector.receive(*lines(whole, 1, 2), line(run_a, 1), line(run_b, 1))
    fill.write("nova.log", *lines(whole, 1, 2), *lines(run_a, 1, 4), line(run_b, 1))
    assert fill(Options(is_dry_run=True, is_accepting=True)) == {
        "0": Outcome(whole, missing=0, found=0, filled=0, still_missing=0, state="unclosed: can be closed"),
        "A": Outcome(run_a, missing=3, found=3, filled=0, still_missing=3, state="unclosed: lines are missing"),
    }
    assert collector.numbers(run_a) == {1: 1}
    assert [report.state for report in collector.accounts.report(host)] == ["unclosed", "unclosed", "current"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("nova.log.2.zst", b"anything", "cannot read nova.log.2.zst: nothing here unpacks .zst"),
        ("nova.log.2.gz", b"anything", "cannot read all of nova.log.2.gz: Not a gzipped file (b'an')"),
        (
            "nova.log.2.gz",
            gzip.compress(text([UNNUMBERED]), mtime=0)[:-8],
            "cannot read all of nova.log.2.gz: Compressed file ended before the end-of-stream marker was reached",
        ),
    ],
)
def test_while_a_file_cannot_be_read_no_end_is_confirmed(
    collector: LineCollector, fill: Filling, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    run_a, run_b = Run(tmp_path.name, "A"), Run(tmp_path.name, "B")
    collector.receive(*lines(run_a, 1, 3), line(run_b, 1))
    fill.write("nova.log", *lines(run_a, 1, 5), line(run_b, 1))
    fill.directory.joinpath(name).write_bytes(content)
    found = fill()["A"]
    assert (found.filled, found.still_missing, found.state) == (2, 0, "unclosed: a file cannot be read")
    assert fill.said == [said]
    fill.directory.joinpath(name).unlink()
    assert fill()["A"].state == "closed"


class RestartedUnderUs(LocalFiles):
    """rsyslogd is restarted, and goes on, after we looked which run is the current one."""

    def tail(self, name: str, count: int) -> bytes:
        found = super().tail(name, count)
        host = found.split()[2].decode()
        with (self.directory / name).open("ab") as log:
            log.write(text(lines(Run(host, "C"), 1, 5)))
        return found


def test_a_run_that_begins_while_we_read_is_not_taken_for_one_that_is_over(
    collector: LineCollector, fill: Filling, host: str, run_a: Run, run_b: Run
) -> None:
    collector.receive(*lines(run_a, 1, 2), *lines(run_b, 1, 2), *lines(Run(host, "C"), 1, 2))
    fill.write("nova.log", *lines(run_a, 1, 3), *lines(run_b, 1, 2))
    assert list(fill(files=RestartedUnderUs(fill.directory))) == ["A"]
    states = {report.run.start: report.state for report in collector.accounts.report(host)}
    assert states == {"A": "closed", "B": "unclosed", "C": "current"}
    assert collector.numbers(Run(host, "C")) == {1: 1, 2: 1}


def test_accepting_from_files_of_another_place_does_not_end_the_run_that_goes_on(
    collector: LineCollector, fill: Filling, host: str, run_a: Run, run_b: Run
) -> None:
    collector.receive(*lines(run_a, 1, 2), *lines(run_b, 1, 2))
    assert sorted(fill(Options(host=host, is_accepting=True))) == ["A"]
    assert [report.state for report in collector.accounts.report(host)] == ["closed", "current"]


class RotatedUnderUs(LocalFiles):
    """logrotate comes after the first file was read."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._opened = 0

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        with super().open(name) as stream:
            yield stream
        self._opened += name != "nova.log"
        if self._opened == 1:
            self._opened += 1
            for number in (2, 1):
                (self.directory / f"nova.log.{number}").rename(self.directory / f"nova.log.{number + 1}")
            (self.directory / "nova.log").rename(self.directory / "nova.log.1")
            (self.directory / "nova.log").write_bytes(b"")


def test_a_rotation_while_reading_lets_no_file_slip_by(
    collector: LineCollector, fill: Filling, host: str, run_a: Run, run_b: Run
) -> None:
    fill.write("nova.log.2", *lines(run_a, 1, 10))
    fill.write("nova.log.1", *lines(run_a, 11, 20))
    fill.write("nova.log", *lines(run_a, 21, 30), line(run_b, 1))
    found = fill(files=RotatedUnderUs(fill.directory))["A"]
    assert (found.filled, found.still_missing, found.state, fill.said) == (30, 0, "closed", [])
    assert collector.numbers(run_a) == dict.fromkeys(range(1, 31), 1)


def test_lines_of_other_hosts_are_not_sent(collector: LineCollector, fill: Filling, run_a: Run, run_b: Run) -> None:
    other = Run("other-" + run_a.host, "A")
    fill.write("nova.log", *lines(run_a, 1, 2), *lines(other, 1, 2), line(run_b, 1))
    assert sorted(fill()) == ["A"]
    assert collector.numbers(other) == {}


def test_without_a_numbered_line_the_host_must_be_named(
    collector: LineCollector, fill: Filling, run_a: Run, run_b: Run
) -> None:
    fill.write("nova.log", UNNUMBERED)
    with pytest.raises(BackfillError, match="no file has a numbered line; say which with --host"):
        fill()
    collector.receive(line(run_a, 2), line(run_b, 1))
    assert fill(Options(host=run_a.host))["A"].still_missing == 1


def test_a_directory_that_is_not_there_is_one_clear_line(fill: Filling) -> None:
    with pytest.raises(ReadError, match=r"cannot list .*/none: No such file or directory"):
        fill(files=LocalFiles(fill.directory / "none"))


_case = iter(range(1_000_000))


@given(
    st.lists(st.tuples(st.integers(1, 30), st.sets(st.integers(1, 30)), st.integers(0, 3)), min_size=1, max_size=5),
    st.integers(1, 12),
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_lost_is_there_once_afterwards(
    collector: LineCollector, client: BackfillClient, tmp_path: Path, runs: list[tuple[int, set[int], int]], cut: int
) -> None:
    directory = tmp_path / str(next(_case))
    directory.mkdir()
    written = []
    for start, (last, lost, repeats) in enumerate(runs):
        run = Run(str(directory), str(start))
        written += lines(run, 1, last)
        arrived = [line(run, number) for number in range(1, last + 1) if number not in lost]
        for _ in range(1 + repeats):
            if arrived:
                collector.receive(*arrived)
    closing = Run(str(directory), "current")
    collector.receive(line(closing, 1))
    written.append(line(closing, 1))
    for number, at in enumerate(range(0, len(written), cut)):
        name = f"nova.log.{len(written) // cut - number}" if at + cut < len(written) else "nova.log"
        (directory / name).write_bytes(text(written[at : at + cut]))
    outcomes = backfill(LocalFiles(directory), client, Options(), lambda _: None)
    assert all(outcome.is_settled for outcome in outcomes)
    for start, (last, _, _) in enumerate(runs):
        assert collector.numbers(Run(str(directory), str(start))) == dict.fromkeys(range(1, last + 1), 1)
