"""limits: how much a project may have, and has."""

import pytest

from tests.api.conftest import ADMIN, OTHER, OTHER_PROJECT, PROJECT, Site

ABSOLUTE = {
    "maxServerMeta": 128,
    "maxImageMeta": 128,
    "maxPersonality": 5,
    "maxPersonalitySize": 10240,
    "maxTotalRAMSize": 51200,
    "maxTotalCores": 20,
    "maxTotalInstances": 10,
    "maxTotalKeypairs": 100,
    "maxTotalFloatingIps": 10,
    "maxSecurityGroups": 10,
    "maxSecurityGroupRules": 20,
    "totalRAMUsed": 0,
    "totalCoresUsed": 0,
    "totalInstancesUsed": 0,
    "totalFloatingIpsUsed": 0,
    "totalSecurityGroupsUsed": 0,
}


@pytest.mark.parametrize("version", [None, "2.1", "2.30"])
def test_limits_of_a_project_without_servers(site: Site, version: str | None) -> None:
    assert site.get("/limits", version) == {"limits": {"rate": [], "absolute": ABSOLUTE}}


def test_what_is_used_is_that_of_the_project(site: Site) -> None:
    site.boot("vm1", flavorRef="2")
    site.boot("vm2", flavorRef="3")
    used = {"totalRAMUsed": 6144, "totalCoresUsed": 3, "totalInstancesUsed": 2}
    assert site.get("/limits")["limits"]["absolute"] == {**ABSOLUTE, **used}
    assert site.get("/limits?reserved=1", "2.1")["limits"]["absolute"] == {**ABSOLUTE, **used}
    assert site.get("/limits", token=OTHER)["limits"]["absolute"] == ABSOLUTE


def test_limits_follow_the_quotas(site: Site) -> None:
    site.parts.quotas.set(PROJECT, {"cores": -1, "ram": 1024, "metadata_items": 3})
    shown = site.get("/limits")["limits"]["absolute"]
    changed = {"maxTotalCores": -1, "maxTotalRAMSize": 1024, "maxServerMeta": 3, "maxImageMeta": 3}
    assert shown == {**ABSOLUTE, **changed}


def test_admins_see_those_of_any_project_and_members_their_own(site: Site) -> None:
    site.boot("vm1", token=OTHER)
    path = f"/limits?tenant_id={OTHER_PROJECT}"
    assert site.get(path, token=ADMIN)["limits"]["absolute"]["totalInstancesUsed"] == 1
    site.get(path, token=OTHER)
    assert set(site.get(path, status=403)) == {"forbidden"}
