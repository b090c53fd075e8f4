"""os-migrations: what is shown of each, and what a list is narrowed by."""

from typing import Any

import pytest

from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from tests.api.conftest import ADMIN, HOST, MEMBER, NOBODY, PROJECT, Site


def listed(site: Site, query: str = "", version: str | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = site.get(f"/os-migrations{query}", version, token=ADMIN)["migrations"]
    return found


def ids(site: Site, query: str) -> list[int]:
    return [each["id"] for each in listed(site, query)]


@pytest.fixture
def three(site: Site) -> tuple[Migration, Migration, Migration]:
    """A live one that runs, a resize that waits, and an evacuation that failed: the oldest first."""
    live = site.migrating(
        site.running("vm1"),
        status=MigrationStatus.RUNNING,
        dest_compute="HostC",
        dest_node="HostC.example.org",
        dest_host="10.0.1.3",
    )
    site.clock.advance(1)
    _, resize = site.resized()
    site.clock.advance(1)
    broken = site.migrating(site.running("vm3", host="HostD"), MigrationType.EVACUATION, status=MigrationStatus.FAILED)
    return live, resize, broken


def test_each_is_shown_newest_first(site: Site, three: tuple[Migration, Migration, Migration]) -> None:
    live, resize, broken = three
    found = listed(site)
    assert [each["id"] for each in found] == [broken.id, resize.id, live.id]
    assert found[2] == {
        "id": live.id,
        "instance_uuid": live.instance_uuid,
        "source_compute": HOST,
        "source_node": "HostB.example.org",
        "dest_compute": "HostC",
        "dest_node": "HostC.example.org",
        "dest_host": "10.0.1.3",
        "old_instance_type_id": site.parts.flavors.get("1").id,
        "new_instance_type_id": site.parts.flavors.get("1").id,
        "status": "running",
        "created_at": "2014-10-16T12:00:01.000000",
        "updated_at": "2014-10-16T12:00:01.000000",
    }
    flavors = found[1]["old_instance_type_id"], found[1]["new_instance_type_id"]
    assert flavors == (site.parts.flavors.get("1").id, site.parts.flavors.get("2").id)
    assert (found[0]["dest_compute"], found[0]["dest_node"], found[0]["dest_host"]) == (None, None, None)
    assert listed(site, version="2.1") == listed(site, version="2.22") == found


def test_since_2_23_each_says_its_type_and_one_that_runs_where_it_is(
    site: Site, three: tuple[Migration, Migration, Migration]
) -> None:
    live, _, _ = three
    found = listed(site, version="2.23")
    assert [each["migration_type"] for each in found] == ["evacuation", "resize", "live-migration"]
    assert ["links" in each for each in found] == [False, False, True]
    path = f"servers/{live.instance_uuid}/migrations/{live.id}"
    assert found[2]["links"] == [
        {"href": f"http://api:8774/v2.1/{PROJECT}/{path}", "rel": "self"},
        {"href": f"http://api:8774/{PROJECT}/{path}", "rel": "bookmark"},
    ]


@pytest.mark.parametrize("status", list(MigrationStatus))
def test_a_live_one_has_links_while_it_runs(site: Site, status: MigrationStatus) -> None:
    site.migrating(site.running(), status=status)
    (found,) = listed(site, version="2.23")
    assert ("links" in found) is (status in ("preparing", "running", "post-migrating"))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?host=HostB", ["resize", "live"]),
        ("?host=HostC", ["resize", "live"]),
        ("?host=HostD", ["broken"]),
        ("?host=HostX", []),
        ("?host=", ["broken", "resize", "live"]),
        ("?status=running", ["live"]),
        ("?status=failed&host=HostD", ["broken"]),
        ("?status=running&host=HostD", []),
        ("?status=nonsense", []),
        ("?cell_name=nova", ["broken", "resize", "live"]),
        ("?hidden=0", ["broken", "resize", "live"]),
        ("?hidden=False", ["broken", "resize", "live"]),
        ("?hidden=1", []),
        ("?hidden=True", []),
        ("?source_compute=HostC", ["resize"]),
        ("?migration_type=evacuation", ["broken"]),
        ("?migration_type=nonsense", []),
        ("?instance_uuid=none", []),
        ("?limit=2", ["broken", "resize"]),
        ("?limit=0", ["broken", "resize", "live"]),
        ("?nonsense=1", ["broken", "resize", "live"]),
    ],
)
def test_what_a_list_is_narrowed_by(
    site: Site, three: tuple[Migration, Migration, Migration], query: str, expected: list[str]
) -> None:
    names = {each.id: name for each, name in zip(three, ("live", "resize", "broken"), strict=True)}
    assert [names[found] for found in ids(site, query)] == expected


def test_one_servers_migrations(site: Site, three: tuple[Migration, Migration, Migration]) -> None:
    assert ids(site, f"?instance_uuid={three[1].instance_uuid}") == [three[1].id]


def test_a_list_is_read_by_pages(site: Site, three: tuple[Migration, Migration, Migration]) -> None:
    live, resize, broken = three
    assert ids(site, f"?limit=1&marker={broken.id}") == [resize.id]
    assert ids(site, f"?marker={resize.uuid}") == [live.id]
    assert ids(site, f"?marker={live.id}") == []
    for marker in ("99", "none", "0", "9" * 30):
        answer = site.get(f"/os-migrations?marker={marker}", token=ADMIN, status=400)
        assert answer["badRequest"]["code"] == 400
    site.get("/os-migrations?limit=many", token=ADMIN, status=400)


def test_no_list_is_longer_than_the_cloud_allows(site: Site, three: tuple[Migration, Migration, Migration]) -> None:
    site.conf.set_override("osapi_max_limit", 2)
    assert len(listed(site)) == len(listed(site, "?limit=10")) == 2


def test_one_of_a_server_that_is_deleted_is_still_shown(site: Site) -> None:
    instance = site.running()
    site.migrating(instance, status=MigrationStatus.COMPLETED)
    site.parts.instances.delete(instance.uuid)
    assert [each["instance_uuid"] for each in listed(site)] == [instance.uuid]


@pytest.mark.parametrize("token", [MEMBER, NOBODY])
def test_admins_alone_may(site: Site, token: str) -> None:
    site.get("/os-migrations", token=token, status=403)
