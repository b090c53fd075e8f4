"""Reports: on time, each on its own, and what fails is said once."""

import threading
from collections.abc import Callable, Iterator

import pytest

from cloud.errors import CloudError, DatabaseUnavailableError
from cloud.rpc.errors import RpcTimeoutError
from cloud.services.reporting import Reports, next_due_s
from tests.services.said import Line
from tests.waiting import wait_until


@pytest.fixture
def run() -> Iterator[Callable[..., Reports]]:
    started: list[Reports] = []

    def run(*reports: Callable[[], None], interval_s: float = 0.01, settle_s: float = 0.0) -> Reports:
        started.append(Reports(interval_s, reports, settle_s=settle_s))
        started[-1].start()
        return started[-1]

    yield run
    for reports in started:
        reports.stop()
        reports.join()


class Service:
    """A report that counts, and fails as long as it is told to."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.made = 0

    def report(self) -> None:
        self.made += 1
        if self.failure is not None:
            raise self.failure


@pytest.mark.parametrize(
    ("due_s", "now_s", "expected_s"),
    [
        (100.0, 100.0, 110.0),
        (100.0, 109.9, 110.0),  # it took almost the interval
        (100.0, 110.0, 120.0),
        (100.0, 134.0, 140.0),  # three are left out, none is made up for
        (100.0, 99.9, 110.0),  # a wait that ended early
    ],
)
def test_next_report_follows_the_plan_and_makes_up_for_none(due_s: float, now_s: float, expected_s: float) -> None:
    assert next_due_s(due_s, 10.0, now_s) == expected_s


def test_first_report_is_made_at_once_and_then_again_and_again(run: Callable[..., Reports]) -> None:
    service = Service()
    run(service.report)
    wait_until(lambda: service.made >= 3)


def test_failure_is_said_once_and_recovery_once(lines: list[Line], run: Callable[..., Reports]) -> None:
    service = Service(DatabaseUnavailableError("cannot use database x: locked"))
    run(service.report)
    wait_until(lambda: service.made >= 5)
    assert lines == [("WARNING", "cannot report", {"error": "cannot use database x: locked"})]
    service.failure = None
    wait_until(lambda: len(lines) == 2)
    made = service.made
    wait_until(lambda: service.made > made + 3)
    ((level, message, fields),) = lines[1:]
    assert (level, message) == ("WARNING", "reports again")
    assert isinstance(fields["failures"], int)
    assert fields["failures"] >= 5


def test_what_works_soon_after_the_start_was_never_worth_a_word(lines: list[Line], run: Callable[..., Reports]) -> None:
    service = Service(CloudError("nobody has ever listened there"))
    run(service.report, settle_s=60.0)
    wait_until(lambda: service.made >= 5)
    service.failure = None
    made = service.made
    wait_until(lambda: service.made > made + 2)
    assert lines == []
    service.failure = CloudError("away")  # it has worked: now it is news at once
    wait_until(lambda: lines)
    assert lines == [("WARNING", "cannot report", {"error": "away"})]


def test_what_has_not_worked_when_all_should_be_up_is_said(lines: list[Line], run: Callable[..., Reports]) -> None:
    service = Service(CloudError("away"))
    run(service.report, settle_s=0.1)
    wait_until(lambda: lines)
    assert service.made > 2
    assert lines == [("WARNING", "cannot report", {"error": "away"})]


def test_second_outage_is_said_again(lines: list[Line], run: Callable[..., Reports]) -> None:
    service = Service(CloudError("first"))
    run(service.report)
    for number, failure in enumerate((None, CloudError("second"), None), start=2):
        wait_until(lambda number=number: len(lines) == number - 1)  # type: ignore[misc]
        service.failure = failure
    wait_until(lambda: len(lines) == 4)
    assert [line[2].get("error") for line in lines] == ["first", None, "second", None]


def test_timeout_carries_the_event_that_the_client_would_have_logged(
    lines: list[Line], run: Callable[..., Reports]
) -> None:
    run(Service(RpcTimeoutError("no reply in 1 s")).report)
    wait_until(lambda: lines)
    assert lines[0][2] == {"error": "no reply in 1 s", "event": "rpc.timeout"}


def test_two_reports_that_fail_for_one_cause_are_said_once_and_back_when_both_are(
    lines: list[Line], run: Callable[..., Reports]
) -> None:
    first, second = Service(CloudError("away")), Service(CloudError("away"))
    run(first.report, second.report)
    wait_until(lambda: first.made >= 3 and second.made >= 3)
    first.failure = None
    made = first.made
    wait_until(lambda: first.made > made + 2)
    assert [line[1] for line in lines] == ["cannot report"]
    second.failure = None
    wait_until(lambda: len(lines) == 2)
    assert lines[1][1] == "reports again"


def test_defect_is_an_error_with_its_traceback_once_and_ends_no_report(
    lines: list[Line], run: Callable[..., Reports]
) -> None:
    service = Service(ZeroDivisionError("a defect"))
    run(service.report)
    wait_until(lambda: service.made >= 5)
    assert [line[:2] for line in lines] == [("ERROR", "report failed")]
    service.failure = None
    wait_until(lambda: len(lines) == 2)
    assert lines[1][1] == "reports again"


def test_report_that_hangs_holds_up_neither_the_other_nor_the_stop(run: Callable[..., Reports]) -> None:
    hangs, service = threading.Event(), Service()
    reports = run(lambda: bool(hangs.wait(20)) and None, service.report)
    wait_until(lambda: service.made >= 3)
    reports.stop()
    reports.join()
    made = service.made
    hangs.set()
    reports.join()
    assert service.made == made


def test_failure_after_the_stop_is_not_said(lines: list[Line], run: Callable[..., Reports]) -> None:
    is_in, may_fail = threading.Event(), threading.Event()

    def report() -> None:
        is_in.set()
        may_fail.wait(20)
        raise CloudError("closed")

    reports = run(report)
    assert is_in.wait(10)
    reports.stop()
    may_fail.set()
    reports.join()
    assert lines == []


def test_what_failed_is_tried_again_long_before_the_interval(run: Callable[..., Reports]) -> None:
    service = Service(CloudError("away"))
    run(service.report, interval_s=3600.0)
    wait_until(lambda: service.made >= 2, 5)
