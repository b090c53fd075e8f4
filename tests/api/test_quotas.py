"""os-quota-sets and os-quota-class-sets: what a project may have."""

from typing import Any

import pytest

from tests.api.conftest import ADMIN, OTHER, OTHER_PROJECT, PROJECT, Site

DEFAULTS = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,
    "key_pairs": 100,
    "metadata_items": 128,
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
    "floating_ips": 10,
    "fixed_ips": -1,
    "security_groups": 10,
    "security_group_rules": 20,
}
PATH = f"/os-quota-sets/{PROJECT}"


def update(site: Site, version: str | None = "2.1", *, status: int = 200, **limits: Any) -> Any:
    return site.put(PATH, {"quota_set": limits}, version, token=ADMIN, status=status)


@pytest.mark.parametrize("version", [None, "2.1", "2.30"])
def test_project_without_limits_of_its_own_has_the_defaults(site: Site, version: str | None) -> None:
    expected = {"quota_set": {"id": PROJECT, **DEFAULTS}}
    assert site.get(PATH, version) == expected
    assert site.get(f"{PATH}/defaults", version) == expected


def test_limits_are_set_one_by_one_and_given_back(site: Site) -> None:
    assert update(site, instances=20) == {"quota_set": {**DEFAULTS, "instances": 20}}
    changed = {**DEFAULTS, "instances": 20, "cores": -1}
    assert update(site, cores="-1", ram=None) == {"quota_set": changed}
    assert site.get(PATH) == {"quota_set": {"id": PROJECT, **changed}}
    assert site.get(f"{PATH}/defaults") == {"quota_set": {"id": PROJECT, **DEFAULTS}}
    assert site.get(f"/os-quota-sets/{OTHER_PROJECT}", token=OTHER)["quota_set"]["instances"] == 10
    site.delete(PATH, "2.1", token=ADMIN, status=202)
    assert site.get(PATH) == {"quota_set": {"id": PROJECT, **DEFAULTS}}


def test_limit_is_enforced(site: Site) -> None:
    update(site, instances=1)
    site.boot()
    server = {"server": {"name": "vm2", "imageRef": "70a599e0-31e7-49b7-b260-868f441e862b", "flavorRef": "1"}}
    site.post("/servers", server, status=413)
    site.post("/servers", server, "2.1", status=403)


def test_limit_below_what_is_used_takes_force(site: Site) -> None:
    site.boot(flavorRef="3")
    for resource, limit in (("instances", 0), ("cores", 1), ("ram", 4095)):
        answer = site.put(PATH, {"quota_set": {resource: limit}}, "2.1", token=ADMIN, status=400)
        assert answer["badRequest"]["message"].endswith("are used already, and force is not set")
    assert site.get(PATH)["quota_set"]["cores"] == 20
    update(site, cores=2, ram=4096, instances=1)
    update(site, cores=-1)
    assert update(site, cores=1, force=True)["quota_set"]["cores"] == 1
    update(site, cores=0, force="True")


def test_detail_shows_what_is_used_beside_the_limit(site: Site) -> None:
    site.boot(flavorRef="3")
    shown = site.get(f"{PATH}/detail", "2.1")["quota_set"]
    assert shown["id"] == PROJECT
    assert shown["cores"] == {"limit": 20, "in_use": 2, "reserved": 0}
    assert shown["ram"] == {"limit": 51200, "in_use": 4096, "reserved": 0}
    assert shown["floating_ips"] == {"limit": 10, "in_use": 0, "reserved": 0}
    assert set(shown) == {"id", *DEFAULTS}


@pytest.mark.parametrize(
    "limit", [-2, 2**31, "x", "", 1.5, True, [], {}, "9" * 5000, "--1", " 1"], ids=lambda x: repr(x)[:20]
)
def test_limit_that_is_none_is_400(site: Site, limit: object) -> None:
    for version in (None, "2.1"):
        update(site, version, status=400, cores=limit)
    assert site.get(PATH) == {"quota_set": {"id": PROJECT, **DEFAULTS}}


def test_resource_that_has_no_quota_is_400_in_every_version(site: Site) -> None:
    for version in (None, "2.1"):
        update(site, version, status=400, cores=5, colours=3)
        update(site, version, status=400, gigabytes=3)
    assert site.get(PATH)["quota_set"]["cores"] == 20


def test_clients_of_2014_repeat_the_project_in_the_body(site: Site) -> None:
    assert update(site, None, instances=20, tenant_id=PROJECT)["quota_set"]["instances"] == 20
    update(site, "2.1", status=400, instances=20, tenant_id=PROJECT)


@pytest.mark.parametrize("body", [{}, [], "x", {"quota_set": None}, {"quota_set": []}, {"quota_set": {"force": "x"}}])
def test_body_that_is_no_quota_set_is_400(site: Site, body: object) -> None:
    for version in (None, "2.1"):
        site.put(PATH, body, version, token=ADMIN, status=400)


def test_quota_of_one_user_is_refused_and_not_taken_for_the_projects(site: Site) -> None:
    site.put(f"{PATH}?user_id=u1", {"quota_set": {"cores": 1}}, token=ADMIN, status=400)
    site.delete(f"{PATH}?user_id=u1", token=ADMIN, status=400)
    site.get(f"{PATH}?user_id=u1", status=400)
    site.get(f"{PATH}/detail?user_id=u1", status=400)
    assert site.get(PATH) == {"quota_set": {"id": PROJECT, **DEFAULTS}}


def test_members_see_their_own_projects_and_change_none(site: Site) -> None:
    other = f"/os-quota-sets/{OTHER_PROJECT}"
    assert set(site.get(other, status=403)) == {"forbidden"}
    site.get(f"{other}/detail", "2.1", status=403)
    site.get(other, token=ADMIN)
    site.put(PATH, {"quota_set": {"cores": 1}}, status=403)
    site.delete(PATH, status=403)
    assert site.get(PATH) == {"quota_set": {"id": PROJECT, **DEFAULTS}}


def test_project_id_that_no_project_can_have_is_400(site: Site) -> None:
    site.put(f"/os-quota-sets/{'x' * 256}", {"quota_set": {"cores": 1}}, token=ADMIN, status=400)


def test_quota_classes_all_have_the_defaults(site: Site) -> None:
    for version in (None, "2.1"):
        answer = site.get("/os-quota-class-sets/default", version, token=ADMIN)
        assert answer == {"quota_class_set": {"id": "default", **DEFAULTS}}
    site.get("/os-quota-class-sets/default", status=403)
