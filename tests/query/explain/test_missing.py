"""What the collector knows of lines that never came is said where it may hide the cause, and not where it cannot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.lines import LineAccounts, Mark, MarkKind, Run, RunReport
from cloud.logs.query.explain.explain import explain
from cloud.logs.query.explain.missing import Accounts
from cloud.logs.query.search import Search
from tests.query.explain.test_blind import ALIVE, FAILED, WHOLE
from tests.query.explain.wire import NOON_US, NOW, line, table

HOST = "compute-02"
OLD, NEW = Run(HOST, "run-1"), Run(HOST, "run-2")


@dataclass
class Known:
    """Real accounts of lines, and what a budget has dropped."""

    lines: LineAccounts
    over_budget: Mapping[str, int] = field(default_factory=dict)

    def runs(self, host: str) -> Sequence[RunReport]:
        return self.lines.report(host, in_flight=True)

    def dropped(self, host: str) -> int:
        return self.over_budget.get(host, 0)


def not_seen(store: DuckDbStore, accounts: Accounts, *messages: bytes) -> tuple[str, ...]:
    store.append(table([*WHOLE, *FAILED, *messages, *ALIVE], observed_us=NOON_US + 45_000_000))
    return explain("7", Search(store), now=NOW + timedelta(seconds=50), accounts=accounts).not_seen


def numbered(at_s: float, number: int, run: Run = OLD) -> bytes:
    return line("a line", at_s=at_s, host=HOST, number=number, run=run.start)


def accounts_of(*marks: Mark) -> LineAccounts:
    return LineAccounts(marks)


def test_a_run_that_another_has_followed_may_lack_its_last_lines_until_it_is_closed(store: DuckDbStore) -> None:
    accounts = accounts_of(Mark(OLD, 1, 2), Mark(NEW, 1, 2))
    lines = [numbered(20, 1), numbered(21, 2), numbered(30, 1, NEW), numbered(31, 2, NEW)]
    (found,) = not_seen(store, Known(accounts), *lines)
    assert found.startswith("rsyslogd of host compute-02 was started again, and nobody has confirmed that line 2")
    assert "from then to 2027-01-15 12:00:30+00:00 may be missing until `cloud log backfill` has compared" in found
    accounts.committed(accounts.closing(OLD, 2))
    again = explain("7", Search(store), now=NOW + timedelta(seconds=50), accounts=Known(accounts))
    assert again.not_seen == ()


def test_a_run_that_ended_long_before_or_afterwards_hides_nothing(store: DuckDbStore) -> None:
    accounts = accounts_of(Mark(OLD, 1, 1), Mark(NEW, 1, 2))
    assert not_seen(store, Known(accounts), numbered(-600, 1), numbered(-500, 1, NEW), numbered(30, 2, NEW)) == ()


def test_a_host_that_has_not_come_back_with_all_is_told_though_its_run_ended_before(store: DuckDbStore) -> None:
    accounts = accounts_of(Mark(OLD, 1, 1), Mark(NEW, 1, 1))
    (found,) = not_seen(store, Known(accounts), numbered(-100, 1), numbered(44, 1, NEW))
    assert "line 1 at 2027-01-15 11:58:20+00:00 was the last of run run-1" in found


def test_a_gap_that_only_the_accounts_can_see_is_told_where_it_reaches_into_the_time(store: DuckDbStore) -> None:
    accounts = accounts_of(Mark(OLD, 1, 5), Mark(OLD, 9, 9))
    lines = [numbered(-100, 5), numbered(200, 9)]
    (found,) = not_seen(store, Known(accounts), *lines)
    assert found == "of host compute-02 lines 6-8 are missing (run run-1): `cloud log backfill` may find them"


def test_a_gap_of_another_time_is_not_told(store: DuckDbStore) -> None:
    accounts = accounts_of(Mark(OLD, 1, 2), Mark(OLD, 5, 9))
    assert not_seen(store, Known(accounts), numbered(-200, 2), numbered(-190, 5), numbered(30, 9)) == ()


def test_lines_that_nobody_has_any_more_are_told_as_missing_for_good(store: DuckDbStore) -> None:
    accounts = accounts_of(Mark(OLD, 1, 2), Mark(OLD, 3, 4, MarkKind.WAIVED), Mark(OLD, 5, 5))
    lines = [numbered(20, 1), numbered(21, 2), numbered(23, 5)]
    (found,) = not_seen(store, Known(accounts), *lines)
    assert found.startswith("of host compute-02 lines 3-4 are missing for good (run run-1)")


def test_a_line_of_another_time_is_not_missing(store: DuckDbStore) -> None:
    accounts = accounts_of(Mark(OLD, 1, 3))
    assert not_seen(store, Known(accounts), numbered(20, 1), numbered(-300, 2), numbered(23, 3)) == ()


def test_a_host_over_its_budget_is_named_with_what_was_dropped(store: DuckDbStore) -> None:
    (found,) = not_seen(store, Known(accounts_of(), {HOST: 812, "compute-03": 7}))
    assert found.startswith("host compute-02 is over its daily budget: 812 of its lines were dropped since")


def test_a_host_that_was_silent_then_and_is_heard_again_is_named(store: DuckDbStore) -> None:
    others = [each for each in ALIVE if b" compute-02 " not in each]
    later = line("a line", at_s=900, host=HOST)
    store.append(table([*WHOLE, *FAILED, *others], observed_us=NOON_US + 45_000_000))
    store.append(table([later, *(line("a line", at_s=900, host=host) for host in ("compute-01", "controller"))],
                       observed_us=NOON_US + 900_000_000))  # fmt: skip
    (found,) = explain("7", Search(store), now=NOW + timedelta(seconds=905)).not_seen
    assert found.startswith("host compute-02 has no line from 2027-01-15 11:5")
