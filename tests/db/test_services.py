"""The table of services, alike on SQLite and PostgreSQL."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import chain
from threading import Barrier

import pytest
from sqlalchemy import insert, text

from cloud.db.engine import Database, open_database
from cloud.db.models import ServiceRow
from cloud.db.schema import sync
from cloud.db.services import ServiceTable
from cloud.domain.service import Service, ServiceReport
from cloud.errors import ServiceNotFoundError
from tests.db.conftest import LIMITS, Clock
from tests.postgresql import PostgreSql
from tests.waiting import wait_until

REPORT_20_TIMES = """
import sys
from datetime import UTC, datetime
from cloud.db.engine import open_database
from cloud.db.services import ServiceTable
from cloud.domain.service import ServiceReport
with open_database(sys.argv[1]) as database:
    table = ServiceTable(database, lambda: datetime.now(UTC), 60)
    sys.stdin.readline()
    for _ in range(20):
        table.report(ServiceReport("compute-01", "nova-compute", "compute", "nova"))
"""


def compute(host: str = "compute-01", topic: str = "compute", zone: str = "nova") -> ServiceReport:
    return ServiceReport(host, "nova-compute", topic, zone)


def states(services: tuple[Service, ...]) -> list[tuple[str, bool]]:
    return [(service.host, service.is_up) for service in services]


def test_first_report_enters_the_service_enabled(services: ServiceTable, clock: Clock) -> None:
    services.report(compute())
    assert services.all() == (
        Service(
            id=1,
            host="compute-01",
            binary="nova-compute",
            topic="compute",
            availability_zone="nova",
            is_enabled=True,
            disabled_reason=None,
            created_at=datetime(2014, 10, 16, 12, 0, tzinfo=UTC),
            updated_at=datetime(2014, 10, 16, 12, 0, tzinfo=UTC),
            report_count=1,
            is_up=True,
        ),
    )


def test_later_reports_count_and_take_over_a_changed_topic_and_zone(services: ServiceTable, clock: Clock) -> None:
    services.report(compute())
    clock.advance(10.000001)
    services.report(compute(topic="compute2", zone="west"))
    (service,) = services.all()
    assert (service.topic, service.availability_zone, service.report_count) == ("compute2", "west", 2)
    assert service.created_at == datetime(2014, 10, 16, 12, 0, tzinfo=UTC)
    assert service.updated_at == datetime(2014, 10, 16, 12, 0, 10, 1, tzinfo=UTC)


def test_reports_use_up_no_ids(services: ServiceTable) -> None:
    for _ in range(5):
        services.report(compute())
    services.report(compute("compute-02"))
    assert [(service.host, service.id) for service in services.all()] == [("compute-01", 1), ("compute-02", 2)]


def test_a_report_leaves_a_disabled_service_disabled(services: ServiceTable) -> None:
    services.report(compute())
    services.disable("compute-01", "nova-compute", "broken fan")
    services.report(compute())
    (service,) = services.all()
    assert (service.is_enabled, service.disabled_reason) == (False, "broken fan")


def test_services_come_by_binary_then_host_whatever_the_locale(services: ServiceTable) -> None:
    for host in ("b", "B", "a", "ä", "_", "A"):
        services.report(compute(host))
    services.report(ServiceReport("z", "nova-cert", "cert", "internal"))
    found = [(service.binary, service.host) for service in services.all()]
    assert found == [("nova-cert", "z"), *(("nova-compute", host) for host in ("A", "B", "_", "a", "b", "ä"))]


def test_services_of_one_host_and_of_one_binary(services: ServiceTable) -> None:
    for report in (compute("a"), compute("b"), ServiceReport("a", "nova-cert", "cert", "internal")):
        services.report(report)
    assert [service.binary for service in services.all(host="a")] == ["nova-cert", "nova-compute"]
    assert [service.host for service in services.all(binary="nova-compute")] == ["a", "b"]
    assert [service.id for service in services.all(host="b", binary="nova-compute")] == [2]
    assert services.all(host="A") == ()


def test_service_is_down_once_its_last_report_is_older_than_the_bound(services: ServiceTable, clock: Clock) -> None:
    services.report(compute())
    clock.advance(60)
    assert states(services.all()) == [("compute-01", True)]
    clock.advance(0.000001)
    assert states(services.all()) == [("compute-01", False)]


def test_report_from_the_future_counts_as_up_until_a_later_one_corrects_it(
    services: ServiceTable, clock: Clock
) -> None:
    clock.advance(86_400)
    services.report(compute())
    clock.advance(-86_400)
    assert states(services.all()) == [("compute-01", True)]
    services.report(compute())
    clock.advance(61)
    assert states(services.all()) == [("compute-01", False)]


def test_operator_disables_and_enables(services: ServiceTable) -> None:
    services.report(compute())
    for reason in ("broken fan", "é" * 255, None):
        disabled = services.disable("compute-01", "nova-compute", reason)
        assert (disabled.is_enabled, disabled.disabled_reason) == (False, reason)
        assert services.all() == (disabled,)
    services.disable("compute-01", "nova-compute", "broken fan")
    enabled = services.enable("compute-01", "nova-compute")
    assert (enabled.is_enabled, enabled.disabled_reason, enabled.report_count) == (True, None, 1)
    assert services.all() == (enabled,)


def test_unknown_service_is_named(services: ServiceTable) -> None:
    services.report(compute())
    with pytest.raises(ServiceNotFoundError, match=r"^cannot find service nova-compute on compute-09$"):
        services.disable("compute-09", "nova-compute", None)
    with pytest.raises(ServiceNotFoundError, match=r"^cannot find service nova-cert on compute-01$"):
        services.enable("compute-01", "nova-cert")


@pytest.mark.parametrize("reason", ["x" * 256, "two\nlines", "\0"])
def test_reason_that_no_database_could_store_is_refused(services: ServiceTable, reason: str) -> None:
    services.report(compute())
    with pytest.raises(ValueError, match=r"^a reason is at most 255 printable characters$"):
        services.disable("compute-01", "nova-compute", reason)
    assert services.all()[0].is_enabled


def test_each_change_is_announced_once(services: ServiceTable, clock: Clock) -> None:
    services.report(compute("a"))
    services.report(compute("b"))
    assert states(services.announce()) == [("a", True), ("b", True)]
    assert services.announce() == ()
    clock.advance(40)
    services.report(compute("a"))
    clock.advance(40)
    assert states(services.announce()) == [("b", False)]
    assert services.announce() == ()
    services.report(compute("b"))
    clock.advance(61)
    assert states(services.announce()) == [("a", False)]  # b came and went unseen
    services.report(compute("b"))
    assert states(services.announce()) == [("b", True)]


def test_of_several_who_announce_exactly_one_gets_each_change(
    database_url: str, database: Database, clock: Clock
) -> None:
    hosts = [f"compute-{number:02}" for number in range(12)]
    table = ServiceTable(database, clock, 60)
    for host in hosts:
        table.report(compute(host))
    start = Barrier(4)

    def announce() -> list[tuple[str, bool]]:
        with open_database(database_url, LIMITS) as own:
            start.wait(20)
            return states(ServiceTable(own, clock, 60).announce())

    for is_up in (True, False):
        with ThreadPoolExecutor(4) as conductors:
            announced = [each.result() for each in [conductors.submit(announce) for _ in range(4)]]
        assert sorted(chain.from_iterable(announced)) == [(host, is_up) for host in hosts]
        clock.advance(61)


def test_announcements_keep_up_with_reports_that_come_at_the_same_time(services: ServiceTable) -> None:
    hosts = [f"compute-{number:02}" for number in range(10)]
    with ThreadPoolExecutor(4) as threads:
        reports = [threads.submit(services.report, compute(host)) for host in hosts]
        rounds = [threads.submit(services.announce) for _ in range(5)]
        for report in reports:
            report.result()
        announced = [state for each in rounds for state in states(each.result())]
    announced += states(services.announce())
    assert sorted(announced) == [(host, True) for host in hosts]


def test_no_report_of_many_threads_is_lost(database: Database, clock: Clock) -> None:
    table = ServiceTable(database, clock, 60)  # shared, with a pool smaller than the number of threads
    start = Barrier(20)

    def report(host: str) -> None:
        start.wait(20)
        for _ in range(5):
            table.report(compute(host))

    with ThreadPoolExecutor(20) as threads:
        for each in [threads.submit(report, host) for host in ("a", "b") * 10]:
            each.result()
    assert [(service.host, service.report_count) for service in table.all()] == [("a", 50), ("b", 50)]


def test_no_report_of_two_processes_is_lost(database_url: str, services: ServiceTable) -> None:
    command = [sys.executable, "-c", REPORT_20_TIMES, database_url]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            assert process.communicate(timeout=60)[1] == ""
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert [(service.host, service.report_count) for service in services.all()] == [("compute-01", 40)]


def test_service_that_is_forced_down_is_down_and_announced_so_whatever_it_reports(services: ServiceTable) -> None:
    services.report(compute())
    assert states(services.announce()) == [("compute-01", True)]
    forced = services.force_down("compute-01", "nova-compute", is_forced=True)
    assert (forced.is_up, forced.is_forced_down) == (False, True)
    services.report(compute())
    assert states(services.all()) == [("compute-01", False)]
    assert states(services.announce()) == [("compute-01", False)]
    assert services.announce() == ()
    assert services.force_down("compute-01", "nova-compute", is_forced=False).is_up
    assert states(services.announce()) == [("compute-01", True)]
    with pytest.raises(ServiceNotFoundError):
        services.force_down("compute-02", "nova-compute", is_forced=True)


def test_service_that_is_deleted_comes_back_with_its_next_report(services: ServiceTable) -> None:
    services.report(compute())
    services.disable("compute-01", "nova-compute", "broken fan")
    services.delete(1)
    assert services.all() == ()
    for service_id in (1, 0, -1, 2**31, 2**70):
        with pytest.raises(ServiceNotFoundError, match=f"cannot find service {service_id}"):
            services.delete(service_id)
    services.report(compute())
    assert [(service.report_count, service.is_enabled) for service in services.all()] == [(1, True)]


@pytest.mark.server
def test_first_report_that_meets_another_first_report_counts_as_the_second(
    postgresql: PostgreSql, clock: Clock
) -> None:
    with (
        open_database(postgresql.create_database("first_reports"), LIMITS) as database,
        ThreadPoolExecutor(1) as thread,
    ):
        sync(database)
        table = ServiceTable(database, clock, 60)

        def is_waiting() -> bool:
            with database.reading() as session:
                return bool(session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))

        with database.transaction() as session:
            values = compute().as_dict() | {"report_count": 1, "disabled": False, "is_up": False}
            session.execute(insert(ServiceRow).values(**values, created_at=clock(), updated_at=clock()))
            report = thread.submit(table.report, compute())
            wait_until(is_waiting, what="the second report to wait for the first")
        report.result()
        assert [service.report_count for service in table.all()] == [2]


def test_service_that_is_forced_down_is_down_whatever_it_reports(services: ServiceTable, clock: Clock) -> None:
    services.report(compute())
    assert services.announce() == services.all()
    forced = services.force_down("compute-01", "nova-compute", is_forced=True)
    assert (forced.is_up, forced.is_forced_down, forced.is_enabled) == (False, True, True)
    assert states(services.announce()) == [("compute-01", False)]
    clock.advance(10)
    services.report(compute())
    assert states(services.all()) == [("compute-01", False)]
    assert services.announce() == ()
    released = services.force_down("compute-01", "nova-compute", is_forced=False)
    assert (released.is_up, released.is_forced_down) == (True, False)
    assert states(services.announce()) == [("compute-01", True)]
    with pytest.raises(ServiceNotFoundError):
        services.force_down("compute-02", "nova-compute", is_forced=True)


def test_service_that_is_deleted_is_entered_anew_by_its_next_report(services: ServiceTable) -> None:
    services.report(compute())
    services.disable("compute-01", "nova-compute", "broken fan")
    [service] = services.all()
    services.delete(service.id)
    assert services.all() == ()
    services.report(compute())
    assert [(service.is_enabled, service.report_count) for service in services.all()] == [(True, 1)]


@pytest.mark.parametrize("service_id", [0, -1, 2, 2**31, 2**70])
def test_deleting_a_service_that_is_not_there_changes_nothing(services: ServiceTable, service_id: int) -> None:
    services.report(compute())
    with pytest.raises(ServiceNotFoundError, match=rf"^cannot find service {service_id}$"):
        services.delete(service_id)
    assert len(services.all()) == 1
