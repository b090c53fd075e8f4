"""nova-conductor on a real database: services, its word on who went up or down, and when it looks after builds."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest

from cloud.db.engine import Database, open_database
from cloud.db.schema import sync
from cloud.db.services import ServiceTable
from cloud.domain.service import Service, ServiceReport
from cloud.errors import DatabaseUnavailableError, ServiceNotFoundError
from cloud.rpc.errors import BadMessageError, BusUnavailableError
from cloud.services.conductor.manager import ConductorManager, make_manager
from cloud.services.conductor.moves.mover import Mover
from cloud.services.conductor.options import CONDUCTOR_OPTIONS
from cloud.services.conductor.own_queue import OwnWork
from cloud.services.conductor.tables import Tables
from cloud.services.configuration import read_configuration
from cloud.services.manager import Parts
from tests.services.said import Line

REPORT = {"host": "compute-01", "binary": "nova-compute", "topic": "compute", "availability_zone": "nova"}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(f"sqlite:///{tmp_path}/nova.sqlite") as database:
        sync(database)
        yield database


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Server:
    """Of builds."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def start(self) -> None:
        self.did.append("start")

    def stop(self, timeout_s: float) -> bool:
        self.did.append(f"stop {timeout_s:g}")
        return True


class Overdue:
    """Builds that nobody goes on with, and who was asked to end which."""

    def __init__(self, uuids: Sequence[str] = ()) -> None:
        self.uuids = uuids
        self.ended: list[str] = []

    def find(self) -> Sequence[str]:
        return self.uuids


def manager_of(
    tables: Tables, *, overdue: Overdue | None = None, server: Server | None = None, **options: Any
) -> ConductorManager:
    overdue = overdue or Overdue()
    builds = OwnWork(server or Server(), overdue.find, overdue.ended.append, stop_timeout_s=7.0)
    return ConductorManager(tables, builds, **options)


@pytest.fixture
def tables(database: Database, clock: Clock) -> Tables:
    return Tables.of(database, clock, down_after_s=60)


@pytest.fixture
def manager(tables: Tables, lines: list[Line]) -> ConductorManager:
    return manager_of(tables)


def events(lines: list[Line]) -> list[tuple[str, str, str]]:
    return [(level, fields["event"], f"{fields['service']}@{fields['service_host']}") for level, _, fields in lines]


def test_service_that_reports_is_listed_up_and_enabled(manager: ConductorManager) -> None:
    manager.report_service(REPORT)
    assert manager.list_services() == [
        {
            **REPORT,
            "id": 1,
            "is_enabled": True,
            "disabled_reason": None,
            "created_at": "2026-01-02T03:04:05+00:00",
            "updated_at": "2026-01-02T03:04:05+00:00",
            "report_count": 1,
            "is_up": True,
            "is_forced_down": False,
        }
    ]


def test_list_is_ordered_and_may_be_of_one_host_or_binary(manager: ConductorManager) -> None:
    for host, binary in (("b", "nova-network"), ("b", "nova-compute"), ("a", "nova-network")):
        manager.report_service({**REPORT, "host": host, "binary": binary})

    def names(**only: str) -> list[str]:
        return [f"{item['binary']}@{item['host']}" for item in manager.list_services(**only)]

    assert names() == ["nova-compute@b", "nova-network@a", "nova-network@b"]
    assert names(host="b") == ["nova-compute@b", "nova-network@b"]
    assert names(binary="nova-network") == ["nova-network@a", "nova-network@b"]
    assert names(host="c") == []


def test_transition_is_announced_once_however_often_it_is_asked(
    manager: ConductorManager, clock: Clock, lines: list[Line]
) -> None:
    manager.report_service(REPORT)
    for seconds in (0, 1, 60, 1, 1, 600):
        clock.pass_by(seconds)
        manager.report()
    manager.report_service(REPORT)
    manager.report()
    manager.report()
    assert events(lines) == [
        ("INFO", "service.up", "nova-compute@compute-01"),
        ("ERROR", "service.down", "nova-compute@compute-01"),
        ("INFO", "service.up", "nova-compute@compute-01"),
    ]
    assert lines[1][2]["last_report"] == "2026-01-02T03:04:05+00:00"


def test_of_two_conductors_one_announces(manager: ConductorManager, tables: Tables, lines: list[Line]) -> None:
    other = manager_of(tables)
    manager.report_service(REPORT)
    for conductor in (other, manager, other):
        conductor.report()
    assert events(lines) == [("INFO", "service.up", "nova-compute@compute-01")]


def test_nobody_is_called_down_before_reports_could_come_in_for_long_enough(
    tables: Tables, clock: Clock, lines: list[Line]
) -> None:
    tables.services.report(ServiceReport.from_dict(REPORT))
    tables.services.announce()
    clock.pass_by(3600)  # the conductor was away
    monotonic_s = [1000.0]
    manager = manager_of(tables, settle_s=60, clock_s=lambda: monotonic_s[0])
    manager.start()
    manager.report()
    monotonic_s[0] += 59
    manager.report()
    assert lines == []
    monotonic_s[0] += 1
    manager.report()
    assert [(level, message) for level, message, _ in lines] == [("ERROR", "service is down")]


def test_a_database_that_was_away_starts_that_time_anew(database: Database, clock: Clock, lines: list[Line]) -> None:
    class Away(ServiceTable):
        is_away = True

        def announce(self, *, says_down: bool = True) -> tuple[Service, ...]:
            if self.is_away:
                raise DatabaseUnavailableError("cannot use database: away")
            return super().announce(says_down=says_down)

    services = Away(database, clock, down_after_s=60)
    services.report(ServiceReport.from_dict(REPORT))
    monotonic_s = [1000.0]
    tables = replace(Tables.of(database, clock, down_after_s=60), services=services)
    manager = manager_of(tables, settle_s=60, clock_s=lambda: monotonic_s[0])
    monotonic_s[0] += 3600
    clock.pass_by(3600)
    with pytest.raises(DatabaseUnavailableError):
        manager.report()
    services.is_away = False
    manager.report()
    services.report(ServiceReport.from_dict(REPORT))
    manager.report()
    assert [message for _, message, _ in lines] == ["service is up"]


def test_two_programs_that_report_as_one_service_are_one_line(manager: ConductorManager) -> None:
    manager.report_service(REPORT)
    manager.report_service({**REPORT, "availability_zone": "other"})
    (listed,) = manager.list_services()
    assert (listed["availability_zone"], listed["report_count"]) == ("other", 2)


def test_disabling_keeps_the_reason_until_it_is_enabled_and_both_are_on_record(
    manager: ConductorManager, lines: list[Line]
) -> None:
    manager.report_service(REPORT)
    disabled = manager.disable_service("compute-01", "nova-compute", "disk swap")
    assert (disabled["is_enabled"], disabled["disabled_reason"]) == (False, "disk swap")
    enabled = manager.enable_service("compute-01", "nova-compute")
    assert (enabled["is_enabled"], enabled["disabled_reason"]) == (True, None)
    named = {"service": "nova-compute", "service_host": "compute-01"}
    assert lines == [
        ("INFO", "service disabled", {"event": "service.disable", "reason": "disk swap", **named}),
        ("INFO", "service enabled", {"event": "service.enable", **named}),
    ]


def test_a_long_list_comes_in_pages(manager: ConductorManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.services.conductor.manager.PAGE", 2)
    for host in ("a", "b", "c"):
        manager.report_service({**REPORT, "host": host})
    first = manager.list_services()
    rest = manager.list_services(after=[first[-1]["binary"], first[-1]["host"]])
    assert [item["host"] for item in (*first, *rest)] == ["a", "b", "c"]
    assert manager.list_services(after=["nova-compute", "c"]) == []
    with pytest.raises(BadMessageError, match="after is not a pair"):
        manager.list_services(after=["nova-compute"])


def test_only_a_service_of_the_cloud_may_report(manager: ConductorManager) -> None:
    with pytest.raises(BadMessageError, match="unknown service 'cron'"):
        manager.report_service({**REPORT, "binary": "cron"})
    assert manager.list_services() == []


def test_reason_may_be_left_out(manager: ConductorManager) -> None:
    manager.report_service(REPORT)
    assert manager.disable_service("compute-01", "nova-compute")["disabled_reason"] is None


def test_unknown_service_is_told_and_nothing_is_on_record(manager: ConductorManager, lines: list[Line]) -> None:
    manager.report_service(REPORT)
    for change in (manager.enable_service, manager.disable_service):
        with pytest.raises(ServiceNotFoundError, match=r"^cannot find service nova-compute on nowhere$"):
            change("nowhere", "nova-compute")
    assert lines == []


@pytest.mark.parametrize(
    "report",
    [
        None,
        5,
        "nova-compute",
        [],
        {},
        {**REPORT, "more": "x"},
        {key: value for key, value in REPORT.items() if key != "topic"},
        {**REPORT, "host": None},
        {**REPORT, "host": ["a"]},
        {**REPORT, "host": ""},
        {**REPORT, "host": "x" * 256},
        {**REPORT, "host": "a\x00b"},
        {**REPORT, "host": "\ud800"},
        {**REPORT, "availability_zone": "\x1b[31m"},
    ],
)
def test_report_that_cannot_be_is_the_askers_mistake_and_is_not_kept(manager: ConductorManager, report: Any) -> None:
    with pytest.raises(BadMessageError):
        manager.report_service(report)
    assert manager.list_services() == []


@pytest.mark.parametrize("text", [5, True, ["a"], {}, "x" * 256, "a\x00b", "a\nb", "\ud800"])
def test_name_or_reason_that_cannot_be_is_the_askers_mistake(manager: ConductorManager, text: Any) -> None:
    manager.report_service(REPORT)
    for call in (
        lambda: manager.list_services(host=text),
        lambda: manager.list_services(binary=text),
        lambda: manager.enable_service(text, "nova-compute"),
        lambda: manager.disable_service("compute-01", text),
        lambda: manager.disable_service("compute-01", "nova-compute", text),
    ):
        with pytest.raises(BadMessageError, match=r" is at most 255 printable characters$"):
            call()
    assert manager.list_services()[0]["is_enabled"]


def test_conductor_without_a_database_is_a_defect_that_says_so() -> None:
    with pytest.raises(ValueError, match=r"^nova-conductor needs a database$"):
        make_manager(Parts(cast("Any", None), cast("Any", None), database=None))


def test_builds_come_in_from_its_start_until_its_stop(tables: Tables) -> None:
    server = Server()
    manager = manager_of(tables, server=server)
    manager.start()
    manager.stop()
    assert server.did == ["start", "stop 7"]


def test_overdue_builds_are_looked_for_once_a_minute_and_others_end_them(tables: Tables) -> None:
    monotonic_s = [1000.0]
    overdue = Overdue(["a", "b"])
    manager = manager_of(tables, overdue=overdue, clock_s=lambda: monotonic_s[0])
    manager.start()
    for _ in range(3):
        manager.report()
        assert overdue.ended == ["a", "b"]
        monotonic_s[0] += 59
        manager.report()
        assert overdue.ended == ["a", "b"]
        monotonic_s[0] += 1
        overdue.ended.clear()


def test_each_kind_of_own_work_is_served_taken_up_and_put_down(tables: Tables) -> None:
    builds, moves, overdue = Server(), Server(), Overdue(["a"])
    taken_up: list[int] = []
    manager = ConductorManager(
        tables,
        OwnWork(builds, overdue.find, overdue.ended.append, stop_timeout_s=7.0),
        OwnWork(moves, lambda: [4, 5], taken_up.append, stop_timeout_s=3.0),
    )
    manager.start()
    manager.report()
    manager.stop()
    assert (overdue.ended, taken_up) == (["a"], [4, 5])
    assert (builds.did, moves.did) == (["start", "stop 7"], ["start", "stop 3"])


def test_after_a_database_was_away_nothing_is_left_before_all_could_say_that_they_live(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monotonic_s = [1000.0]
    did: list[str] = []
    work = OwnWork(Server(), lambda: ["a"], did.append, stop_timeout_s=7.0, say_alive=lambda: did.append("I live"))
    manager = ConductorManager(tables, work, settle_s=60, clock_s=lambda: monotonic_s[0])
    monotonic_s[0] += 60
    manager.report()
    assert did == ["I live", "a"]
    did.clear()
    monotonic_s[0] += 300
    with monkeypatch.context() as patch:
        patch.setattr(tables.services, "announce", unavailable)
        with pytest.raises(DatabaseUnavailableError):
            manager.report()
    for _ in range(6):
        manager.report()
        monotonic_s[0] += 10
    assert did == ["I live"] * 6
    manager.report()
    assert did == [*["I live"] * 7, "a"]


def unavailable(*_args: object, **_kwargs: object) -> NoReturn:
    raise DatabaseUnavailableError("cannot use database: away")


@pytest.mark.parametrize("report_interval", [10, 100])
def test_a_move_is_taken_for_left_when_three_signs_of_life_have_not_come(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report_interval: int
) -> None:
    seen: list[timedelta] = []

    class Seen(Mover):
        def __init__(self, *args: Any, left_after: timedelta, **others: Any) -> None:
            seen.append(left_after)
            super().__init__(*args, left_after=left_after, **others)

    monkeypatch.setattr("cloud.services.conductor.manager.Mover", Seen)
    file = tmp_path / "nova.conf"
    file.write_text(f"[DEFAULT]\nreport_interval = {report_interval}\nservice_down_time = 600\n")
    conf = read_configuration([file], groups={"DEFAULT": CONDUCTOR_OPTIONS})
    make_manager(Parts(conf, cast("Any", None), database))
    assert seen == [timedelta(seconds=3 * (60 + report_interval))]


def test_what_could_not_be_handed_on_is_looked_for_at_the_next_report(tables: Tables) -> None:
    failing = [BusUnavailableError("cannot reach the bus")]
    taken_up: list[int] = []

    def take_up(number: int) -> None:
        if failing:
            raise failing.pop()
        taken_up.append(number)

    manager = ConductorManager(tables, OwnWork(Server(), lambda: [4, 5], take_up, stop_timeout_s=3.0))
    with pytest.raises(BusUnavailableError):
        manager.report()
    assert taken_up == []
    manager.report()
    assert taken_up == [4, 5]
