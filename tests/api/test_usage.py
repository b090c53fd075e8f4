"""os-simple-tenant-usage: hours of each resource."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session

from cloud.db.instances import InstanceTable, Run
from cloud.errors import BadRequestError
from cloud.services.api import usage
from cloud.services.api.usage import Period, usage_by_project
from tests.api.conftest import ADMIN, OTHER_PROJECT, PROJECT, Site

NOON = datetime(2014, 10, 16, 12, 0, tzinfo=UTC)
PERIOD = Period(NOON, NOON + timedelta(hours=10), NOON + timedelta(hours=20))


def run(launched: float, terminated: float | None = None, project: str = "p1") -> Run:
    """Of an instance that began and ended so many hours after noon."""
    return Run(
        id=1,
        uuid="70a599e0-31e7-49b7-b260-868f441e862b",
        project_id=project,
        display_name="vm1",
        flavor_name="m1.small",
        memory_mb=2048,
        vcpus=2,
        root_gb=20,
        ephemeral_gb=10,
        vm_state="active" if terminated is None else "deleted",
        launched_at=NOON + timedelta(hours=launched),
        terminated_at=None if terminated is None else NOON + timedelta(hours=terminated),
    )


@pytest.mark.parametrize(
    ("launched", "terminated", "hours"),
    [
        (0, None, 10.0),
        (-5, None, 10.0),
        (-5, 2.5, 2.5),
        (2, 3, 1.0),
        (9, 15, 1.0),
        (-5, 15, 10.0),
        (-5, -1, None),
        (-5, 0, None),
        (10, None, None),
        (11, None, None),
    ],
)
def test_hours_are_those_within_the_period(launched: float, terminated: float | None, hours: float | None) -> None:
    used = usage_by_project([run(launched, terminated)], PERIOD, is_detailed=False)
    assert [one.hours for one in used.values()] == ([] if hours is None else [hours])


def test_usage_is_summed_for_each_project() -> None:
    used = usage_by_project([run(0), run(5), run(0, 1, "p2")], PERIOD, is_detailed=True)
    assert set(used) == {"p1", "p2"}
    first = used["p1"]
    sums = (first.hours, first.vcpu_hours, first.memory_mb_hours, first.local_gb_hours)
    assert sums == (15.0, 30.0, 30720.0, 450.0)
    assert [server["hours"] for server in first.servers] == [10.0, 5.0]
    assert used["p2"].servers == [
        {
            "instance_id": "70a599e0-31e7-49b7-b260-868f441e862b",
            "name": "vm1",
            "tenant_id": "p2",
            "flavor": "m1.small",
            "memory_mb": 2048,
            "vcpus": 2,
            "local_gb": 30,
            "hours": 1.0,
            "started_at": "2014-10-16T12:00:00.000000",
            "ended_at": "2014-10-16T13:00:00.000000",
            "state": "terminated",
            "uptime": 3600,
        }
    ]


def test_server_that_runs_has_no_end_and_is_up_until_now() -> None:
    [server] = usage_by_project([run(5)], PERIOD, is_detailed=True)["p1"].servers
    assert (server["ended_at"], server["state"], server["uptime"]) == (None, "active", 15 * 3600)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2014-10-16T12:00:00", "2014-10-16T13:00:00", (0, 1)),
        ("2014-10-16T12:00:00.123456", "2014-10-16 13:00:00.000000", (0.000034293, 1)),
        ("2014-10-16T14:00:00+02:00", "2014-10-16T13:00:00Z", (0, 1)),
        ("2014-10-16T12:00:00", "2099-01-01T00:00:00", (0, 20)),
        ("2014-10-16T12:00:00", None, (0, 20)),
        ("2014-10-16", "2014-10-17", (-12, 12)),
    ],
)
def test_period_is_read_in_any_form_of_a_time(start: str, end: str | None, expected: tuple[float, float]) -> None:
    period = Period.of(start, end, NOON + timedelta(hours=20))
    hours = [(time - NOON).total_seconds() / 3600 for time in (period.start, period.stop)]
    assert hours == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (None, None),
        ("2014-10-16T12:00:00", "2014-10-16T12:00:00"),
        ("2014-10-16T13:00:00", "2014-10-16T12:00:00"),
        ("2099-01-01T00:00:00", None),
        ("yesterday", None),
        ("2014-13-16T12:00:00", None),
        ("2014-10-16T12:00:00", "\u0661"),
        ("0001-01-01T00:00:00+23:59", None),
    ],
)
def test_period_that_is_none_is_refused(start: str | None, end: str | None) -> None:
    with pytest.raises(BadRequestError):
        Period.of(start, end, NOON + timedelta(hours=20))


def used_by(site: Site, path: str, **asked: Any) -> Any:
    """Since 2014, when the clock of the tests stands."""
    return site.get(f"/os-simple-tenant-usage{path}?start=2014-10-16T00:00:00&end=2014-10-17T00:00:00", **asked)


def test_project_sees_its_servers_and_sums_those_deleted_too(site: Site) -> None:
    site.run(site.boot("vm1"))
    gone = site.run(site.boot("vm2"))
    site.clock.advance(3600)
    site.parts.instances.delete(gone.uuid)
    site.boot("vm3")  # which is not up yet
    shown = used_by(site, f"/{PROJECT}")["tenant_usage"]
    assert shown["tenant_id"] == PROJECT
    assert (shown["start"], shown["stop"]) == ("2014-10-16T00:00:00.000000", "2014-10-17T00:00:00.000000")
    assert [(server["name"], server["state"]) for server in shown["server_usages"]] == [
        ("vm1", "active"),
        ("vm2", "terminated"),
    ]
    assert shown["server_usages"][1]["hours"] == 1.0
    assert shown["total_hours"] == pytest.approx(1 + 11 + 3599 / 3600)
    assert shown["total_memory_mb_usage"] == pytest.approx(512 * shown["total_hours"])


def test_admins_see_every_project_in_brief_or_with_its_servers(site: Site) -> None:
    site.run(site.boot("vm1"))
    site.run(site.boot("vm2", token="other"))
    brief = used_by(site, "", token=ADMIN)["tenant_usages"]
    assert [one["tenant_id"] for one in brief] == [OTHER_PROJECT, PROJECT]
    assert "server_usages" not in brief[0]
    path = "/os-simple-tenant-usage?start=2014-10-16T00:00:00&detailed=1"
    detailed = site.get(path, "2.1", token=ADMIN)["tenant_usages"]
    assert [len(one["server_usages"]) for one in detailed] == [1, 1]


def test_all_pages_of_instances_are_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "_PAGE", 2)
    for number in range(5):
        site.run(site.boot(f"vm{number}"))
    assert len(used_by(site, f"/{PROJECT}")["tenant_usage"]["server_usages"]) == 5


def test_servers_that_are_not_shown_are_not_described(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run(site.boot())

    def described(run: Run, hours: float, now: datetime) -> dict[str, Any]:
        raise AssertionError(run.uuid)

    monkeypatch.setattr(usage, "_server_view", described)
    assert len(used_by(site, "", token=ADMIN)["tenant_usages"]) == 1


def test_only_what_usage_is_made_of_is_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run(site.boot(user_data="I2Nsb3VkLWNvbmZpZwo="))
    monkeypatch.setattr(InstanceTable, "list", None)  # which reads whole instances, with all their data
    statements = list[str]()

    def note(execute: ORMExecuteState) -> None:
        statements.append(str(execute.statement))

    event.listen(Session, "do_orm_execute", note)
    try:
        used_by(site, f"/{PROJECT}")
    finally:
        event.remove(Session, "do_orm_execute", note)
    read = [statement for statement in statements if "FROM instances" in statement]
    assert len(read) == 1
    assert not any(name in read[0] for name in ("user_data", "metadata", "key_data"))


@pytest.mark.parametrize(("bound", "query"), [("MAX_SUMMED", ""), ("MAX_SHOWN", "&detailed=1")])
def test_more_servers_than_an_answer_is_made_of_are_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch, bound: str, query: str
) -> None:
    for number in range(3):
        site.run(site.boot(f"vm{number}"))
    path = f"/os-simple-tenant-usage?start=2014-10-16T00:00:00{query}"
    monkeypatch.setattr(usage, bound, 3)
    site.get(path, token=ADMIN)
    monkeypatch.setattr(usage, bound, 2)
    answer = site.get(path, token=ADMIN, status=400)
    assert answer["badRequest"]["message"] == "cannot sum usage: more than 2 servers ran then; ask for a shorter time"


def test_project_that_used_nothing_has_an_empty_usage(site: Site) -> None:
    assert used_by(site, f"/{PROJECT}") == {"tenant_usage": {}}
    assert used_by(site, "", token=ADMIN) == {"tenant_usages": []}


def test_members_see_their_own_project_alone(site: Site) -> None:
    assert set(used_by(site, f"/{OTHER_PROJECT}", status=403)) == {"forbidden"}
    used_by(site, f"/{OTHER_PROJECT}", token=ADMIN)
    used_by(site, "", status=403)


def test_period_that_is_none_is_400(site: Site) -> None:
    for query in ("", "?start=2099-01-01T00:00:00", "?start=yesterday", "?start=2014-10-16T00:00:00&end=x"):
        site.get(f"/os-simple-tenant-usage{query}", token=ADMIN, status=400)
        site.get(f"/os-simple-tenant-usage/{PROJECT}{query}", status=400)
