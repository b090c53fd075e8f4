"""What a host may have stored a day: which lines are let through, what is said of it, and what a restart remembers."""

import random
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from cloud.logs.collector.batch import Batch, Source
from cloud.logs.collector.budget import Budget, waived
from cloud.logs.collector.columns.parser import BatchParser
from cloud.logs.collector.columns.rows import Rows, concatenated
from cloud.logs.collector.lines import Mark, MarkKind, Run
from cloud.logs.collector.metrics import Metrics

NOON_US = 1_800_014_400_000_000  # 2027-01-15 12:00:00 UTC
HOUR_US = 3_600_000_000
MIDNIGHT_US = NOON_US + 12 * HOUR_US
DAY_US = 24 * HOUR_US
PEER = "192.0.2.7"
BACKFILL = "backfill"
WARNING, NOTICE, INFO, DEBUG = 4, 5, 6, 7
LINE_BYTES = 100


def line(number: int, severity: int = INFO, *, host: str = "compute-01", body: str = "", start: str = "A") -> bytes:
    """100 bytes."""
    head = f'<{8 + severity}>1 - h a - - [line@32473 host="{host}" start="{start}" n="{number}"] {body}'
    return head.encode().ljust(LINE_BYTES, b".") if not body else head.encode() + b" " * (LINE_BYTES - len(head))


def plain(severity: int = INFO) -> bytes:
    """100 bytes, of which nobody says who sends them but the peer's address."""
    return f"<{8 + severity}>1 - h a - - - ".encode().ljust(LINE_BYTES, b".")


class Site:
    """A budget, and what comes by it."""

    def __init__(self, daily_bytes: int, data: Path | None = None) -> None:
        self.metrics = Metrics()
        self.now_s = 0.0
        self.budget = Budget(daily_bytes, self.metrics, data, lambda: self.now_s)
        self.parser = BatchParser()

    def send(self, *lines: bytes, at: int = NOON_US, peer: str = PEER) -> list[bool]:
        """For each of the lines of one batch whether it is to be stored."""
        return self.send_from(*((each, peer, at) for each in lines))

    def send_from(self, *lines: tuple[bytes, str, int]) -> list[bool]:
        return kept(self.limited(*lines))

    def limited(self, *lines: tuple[bytes, str, int]) -> Rows:
        batch = Batch(1 << 20)
        for payload, peer, at in lines:
            batch.add_payload(payload, Source(peer), at)
        return self.budget.limited(batch, self.parser.read(batch))

    def dropped(self) -> tuple[float | None, float | None]:
        """Lines of severity info and debug, and all others."""
        info, everything = (
            self.metrics.registry.get_sample_value("cloudlog_budget_dropped_total", {"reason": reason})
            for reason in ("info", "all")
        )
        return info, everything

    def dropped_of(self, host: str) -> float | None:
        return self.metrics.registry.get_sample_value("cloudlog_host_dropped_total", {"host": host})


def kept(rows: Rows) -> list[bool]:
    return [True] * len(rows) if rows.keep is None else rows.keep.tolist()


@pytest.fixture
def warnings() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What is said, and its fields."""
    said: list[tuple[str, dict[str, Any]]] = []
    sink = logger.add(lambda message: said.append((message.record["message"], message.record["extra"])), level=0)
    yield said
    logger.remove(sink)


def test_without_a_budget_nothing_is_dropped_and_nothing_kept_account_of(tmp_path: Path) -> None:
    site = Site(0, tmp_path)
    assert site.send(*(line(n) for n in range(1, 100))) == [True] * 99
    site.budget.save()
    assert list(tmp_path.iterdir()) == []
    assert site.dropped() == (0, 0)


def test_a_host_within_its_budget_is_let_be() -> None:
    site = Site(300)
    assert site.limited(*((line(n), PEER, NOON_US) for n in (1, 2, 3))).keep is None


def test_beyond_the_budget_info_and_debug_are_dropped_and_beyond_twice_that_all() -> None:
    site = Site(300)
    severities = (INFO, DEBUG, INFO, INFO, DEBUG, NOTICE, WARNING, INFO, 0, WARNING, 0, INFO)
    stored = [True, True, True, False, False, True, True, False, True, False, False, False]
    assert site.send(*(line(n, severity) for n, severity in enumerate(severities, 1))) == stored
    assert site.dropped() == (3, 3)


def test_what_is_dropped_does_not_use_up_the_budget() -> None:
    """Else a host that loops at info would soon have its errors dropped too."""
    site = Site(300)
    site.send(*(line(n) for n in range(1, 1000)))
    assert site.send(line(1000, WARNING), line(1001), line(1002, WARNING)) == [True, False, True]
    assert site.dropped() == (997, 0)


def test_it_makes_no_difference_how_lines_fall_into_batches() -> None:
    together, apart = Site(350), Site(350)
    hosts = ("compute-01", "compute-02", "compute-01")
    lines = [line(n, WARNING if n % 4 == 0 else INFO, host=hosts[n % 3]) for n in range(1, 60)]
    assert together.send(*lines) == [flag for each in lines for flag in apart.send(each)]
    assert together.dropped() == apart.dropped()
    assert sum(together.send(*lines)) == 0


@pytest.mark.parametrize("seed", range(5))
def test_whole_batches_are_judged_as_lines_are_one_by_one(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - lines, not secrets
    site, daily_bytes = Site(4000), 4000
    used: dict[str, int] = {}
    dropped = {"info": 0, "all": 0}
    for hour in range(0, 60, 2):
        if hour % 24 == 12:  # the first batch of a day: it is noon at hour 0
            used.clear()
        lines, expected = [], []
        for number in range(rng.randrange(1, 60)):
            host, severity = rng.choice(["compute-01", "compute-02", "compute-03"]), rng.randrange(8)
            body = rng.choice(["", "", "", '@cee: {"migration":"x"}'])
            peer = rng.choice([PEER, PEER, "192.0.2.8", BACKFILL])
            payload = line(number + 1, severity, host=host, body=body) + b"." * (0 if body else rng.randrange(100))
            lines.append((payload, peer, NOON_US + hour * HOUR_US))
            before = used.get(host, 0)
            is_dropped = before >= 2 * daily_bytes or (before >= daily_bytes and severity >= 6 and not body)
            expected.append(peer == BACKFILL or not is_dropped)
            if peer != BACKFILL and is_dropped:
                dropped["all" if before >= 2 * daily_bytes else "info"] += 1
            elif peer != BACKFILL:
                used[host] = before + len(payload)
        assert site.send_from(*lines) == expected
    assert site.dropped() == (dropped["info"], dropped["all"])
    assert min(dropped.values()) > 20


def test_a_line_that_is_larger_than_what_is_left_is_the_last_one() -> None:
    site = Site(250)
    assert site.send(line(1), line(2), line(3), line(4)) == [True, True, True, False]


@pytest.mark.parametrize("key", ["migration", "event"])
def test_lines_of_a_migration_and_its_events_are_kept_up_to_twice_the_budget(key: str) -> None:
    site = Site(100)
    body = f'@cee: {{"{key}":"x"}}'
    assert site.send(line(1), line(2), line(3, body=body), line(4, body=body)) == [True, False, True, False]


def test_each_host_has_its_own_budget_and_an_unnumbered_line_is_its_peers() -> None:
    site = Site(200)
    looping, other = (line(n) for n in range(1, 7)), [line(n, host="compute-02") for n in (1, 2)]
    mixed = [(next(looping), PEER), (next(looping), PEER), (other[0], PEER), (next(looping), PEER), (plain(), "a")]
    assert site.send_from(*((*each, NOON_US) for each in mixed)) == [True, True, True, False, True]
    later = [(next(looping), PEER), (other[1], PEER), (plain(), "a"), (plain(), "a"), (plain(), "b"), (plain(), "b")]
    assert site.send_from(*((*each, NOON_US) for each in later)) == [False, True, True, False, True, True]
    hosts = ("compute-01", "compute-02", "a", "b")
    assert [site.dropped_of(host) for host in hosts] == [2, None, 1, None]


def test_what_is_backfilled_is_let_through_and_not_counted_line_by_line() -> None:
    site = Site(200)
    own, filled = ((line(n), PEER, NOON_US) for n in range(1, 9)), ((line(n), BACKFILL, NOON_US) for n in range(20, 29))
    both = [next(own), next(filled), next(filled), next(filled), next(own), next(own), next(filled)]
    assert site.send_from(*both) == [True, True, True, True, True, False, True]
    assert site.send_from(*filled) == [True] * 5
    assert site.dropped() == (1, 0)


def test_a_new_day_begins_at_midnight_utc_within_a_batch_too() -> None:
    site = Site(100)
    times = [MIDNIGHT_US - 2, MIDNIGHT_US - 1, MIDNIGHT_US, MIDNIGHT_US + 1]
    assert site.send_from(*((line(n), PEER, at) for n, at in enumerate(times, 1))) == [True, False, True, False]
    assert site.send(line(5), at=MIDNIGHT_US + DAY_US - 1) == [False]
    assert site.send(line(6), at=MIDNIGHT_US + DAY_US) == [True]


def test_lines_of_two_receivers_that_cross_at_midnight_begin_one_day() -> None:
    site = Site(100)
    times = [MIDNIGHT_US, MIDNIGHT_US - 1, MIDNIGHT_US, MIDNIGHT_US - 1]
    assert site.send_from(*((line(n), PEER, at) for n, at in enumerate(times, 1))) == [True, False, False, False]


def test_a_clock_that_was_years_ahead_holds_nobody_to_that_day() -> None:
    site = Site(100)
    assert site.send(line(1), line(2), at=NOON_US + 1000 * DAY_US) == [True, False]
    assert site.send(line(3), line(4)) == [True, False]


def test_hosts_beyond_the_bound_and_overlong_names_share_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.collector.budget.MAX_HOSTS", 2)
    monkeypatch.setattr("cloud.logs.collector.budget.MAX_NAME", 20)
    site = Site(200)
    peers = ["a", "b", "c", "d", "e", "f" * 21, "a", "b"]
    assert site.send_from(*((plain(), peer, NOON_US) for peer in peers)) == [True] * 4 + [False] * 2 + [True] * 2
    assert site.send_from(*((plain(), peer, NOON_US + DAY_US) for peer in peers[2:4])) == [True] * 2


def test_who_shares_a_budget_with_made_up_names_is_not_silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.logs.collector.budget.MAX_HOSTS", 1)
    site = Site(200)
    warning = line(1, WARNING, host="late-01")
    peers = [(plain(), "a", NOON_US), *((plain(), f"made-up-{n}", NOON_US) for n in range(20)), (warning, "p", NOON_US)]
    assert site.send_from(*peers)[-3:] == [False, False, True]


def test_it_is_said_once_and_then_at_most_once_an_hour_and_when_the_day_is_over(
    warnings: list[tuple[str, dict[str, Any]]],
) -> None:
    site = Site(100)
    for minute in range(130):
        site.send(line(2 * minute + 1), line(2 * minute + 2), at=NOON_US + minute * HOUR_US // 60)
    over = "host is over its daily budget, lines of it are dropped"
    fields = {"host": "compute-01", "host_daily_bytes": 100}
    assert warnings == [(over, {**fields, "dropped": n}) for n in (1, 121, 241)]
    warnings.clear()
    site.send(line(1000), at=MIDNIGHT_US)
    assert warnings == [("a new day begins for a host that was over its daily budget", {**fields, "dropped": 259})]
    site.send(line(1001), at=MIDNIGHT_US)
    assert warnings[1:] == [(over, {**fields, "dropped": 1})]


def test_a_clock_that_was_set_back_silences_nobody(warnings: list[tuple[str, dict[str, Any]]]) -> None:
    site = Site(100)
    site.send(line(1), line(2))
    site.send(line(3), at=NOON_US - HOUR_US)
    assert len(warnings) == 2


RUN, OTHER_RUN = Run("compute-01", "A"), Run("compute-02", "A")


@pytest.mark.parametrize(
    ("numbers", "dropped", "expected"),
    [
        ([1, 2, 3], [], []),
        ([1, 2, 3], [2], [(1, 3)]),
        ([1, 2, 3, 7, 8, 10], [1, 7], [(1, 3), (7, 8)]),
        ([10, 3, 1, 2], [3, 10], [(1, 3), (10, 10)]),
        ([5, 5, 5], [5], [(5, 5)]),
        ([1, 2, 4, 5], [1, 2, 4, 5], [(1, 2), (4, 5)]),
    ],
)
def test_ranges_span_what_came_and_nothing_that_did_not(
    numbers: list[int], dropped: list[int], expected: list[tuple[int, int]]
) -> None:
    site = Site(1000)
    site.send(*(line(999) for _ in range(10)))
    lines = [line(number, INFO if number in dropped else WARNING) for number in numbers]
    rows = site.limited(*((each, PEER, NOON_US) for each in lines))
    assert waived(rows) == [Mark(RUN, first, last, MarkKind.WAIVED) for first, last in expected]


def test_ranges_are_of_each_run_and_unnumbered_lines_have_none() -> None:
    site = Site(100)
    site.send(line(1), line(1, host="compute-02"), plain())
    lines = [line(2), line(2, host="compute-02"), plain(), line(3), line(1, start="B"), line(9, host="compute-03")]
    rows = site.limited(*((each, PEER, NOON_US) for each in lines))
    assert kept(rows) == [False] * 5 + [True]
    assert sorted(waived(rows), key=lambda mark: mark.run) == [
        Mark(RUN, 2, 3, MarkKind.WAIVED),
        Mark(Run("compute-01", "B"), 1, 1, MarkKind.WAIVED),
        Mark(OTHER_RUN, 2, 2, MarkKind.WAIVED),
    ]


def test_rows_keep_what_is_to_be_stored_when_they_are_cut_and_joined() -> None:
    site = Site(100)
    first, second = site.limited((line(1), PEER, NOON_US)), site.limited((line(2), PEER, NOON_US))
    both = concatenated([first, second, first])
    assert kept(both) == [True, False, True]
    assert kept(both.slice(1, 3)) == [False, True]
    assert concatenated([first, first]).keep is None


def test_a_restart_goes_on_with_the_counts_of_the_day(tmp_path: Path) -> None:
    first = Site(200, tmp_path)
    first.send(line(1), plain())
    first.budget.save()
    assert (tmp_path / "budget.json").read_text() == '{"day":"2027-01-15","hosts":{"compute-01":100,"192.0.2.7":100}}'
    assert stat.S_IMODE((tmp_path / "budget.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["budget.json"]
    second = Site(200, tmp_path)
    assert second.send(line(2), line(3), plain(), plain()) == [True, False, True, False]
    second.budget.save()
    assert Site(200, tmp_path).send(line(4), at=MIDNIGHT_US) == [True]


def test_counts_are_written_at_most_every_ten_seconds_and_only_when_they_have_changed(tmp_path: Path) -> None:
    site, file = Site(1000, tmp_path), tmp_path / "budget.json"
    site.budget.save_if_due()
    assert not file.exists()
    site.send(line(1))
    site.budget.save_if_due()
    assert '"compute-01":100' in file.read_text()
    site.send(line(2))
    site.now_s = 9.9
    site.budget.save_if_due()
    assert '"compute-01":100' in file.read_text()
    site.now_s = 10
    site.budget.save_if_due()
    assert '"compute-01":200' in file.read_text()
    file.unlink()
    site.now_s = 30
    site.budget.save_if_due()
    assert not file.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"day":"2027-01-15"}',
        b'{"day":"yesterday","hosts":{}}',
        b'{"day":"2027-01-15","hosts":{"a":-1}}',
        b'{"day":"2027-01-15","hosts":{"a":1.5}}',
        b'{"day":"2027-01-15","hosts":{"a":99999999999999999999}}',
        b'{"day":"2027-01-15","hosts":{%s}}' % b",".join(b'"%d":1' % n for n in range(1002)),
    ],
)
def test_damaged_counts_are_ignored_and_said_to_be(
    tmp_path: Path, content: bytes, warnings: list[tuple[str, dict[str, Any]]]
) -> None:
    (tmp_path / "budget.json").write_bytes(content)
    site = Site(100, tmp_path)
    [(said, fields)] = warnings
    assert said == "daily bytes of hosts ignored: they are damaged"
    assert fields["file"] == str(tmp_path / "budget.json")
    assert site.send(line(1), line(2)) == [True, False]
    site.budget.save()
    assert (tmp_path / "budget.json").read_bytes() == b'{"day":"2027-01-15","hosts":{"compute-01":100}}'


def test_counts_that_cannot_be_written_are_said_once_and_end_nothing(
    tmp_path: Path, warnings: list[tuple[str, dict[str, Any]]]
) -> None:
    data = tmp_path / "data"
    site = Site(1000, data)
    for number in (1, 2):
        site.send(line(number))
        site.budget.save()
    assert [said for said, _ in warnings] == ["daily bytes of hosts not saved"]
    data.mkdir()
    site.budget.save()
    assert '"compute-01":200' in (data / "budget.json").read_text()
