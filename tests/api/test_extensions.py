"""extensions: what is served beyond 2014's core."""

from collections.abc import Sequence

import pytest

from cloud.services.api.extensions import EXTENSIONS
from tests.api.conftest import Site

RESOURCES = {
    "os-aggregates": "/os-aggregates",
    "os-availability-zone": "/os-availability-zone",
    "os-flavor-access": "/flavors/1/os-flavor-access",
    "os-flavor-extra-specs": "/flavors/1/os-extra_specs",
    "os-hosts": "/os-hosts",
    "os-hypervisors": "/os-hypervisors",
    "os-instance-actions": "/servers/x/os-instance-actions",
    "os-keypairs": "/os-keypairs",
    "os-quota-class-sets": "/os-quota-class-sets/default",
    "os-quota-sets": "/os-quota-sets/x",
    "os-services": "/os-services",
    "os-simple-tenant-usage": "/os-simple-tenant-usage",
}


@pytest.mark.parametrize("version", [None, "2.1"])
def test_extension_is_shown_as_it_is_listed(site: Site, version: str | None) -> None:
    expected = {
        "alias": "os-services",
        "name": "Services",
        "namespace": "http://docs.openstack.org/compute/ext/services/api/v2",
        "updated": "2012-10-28T00:00:00Z",
        "description": "The daemons of the cloud.",
        "links": [],
    }
    assert site.get("/extensions/os-services", version) == {"extension": expected}
    assert expected in site.get("/extensions", version)["extensions"]


def test_extensions_have_each_one_alias_and_name(site: Site) -> None:
    listed = site.get("/extensions")["extensions"]
    aliases: Sequence[str] = [extension["alias"] for extension in listed]
    assert len(set(aliases)) == len({extension["name"] for extension in listed}) == len(listed) == len(EXTENSIONS)
    assert {"os-extended-services", "os-extended-services-delete"} <= set(aliases)


@pytest.mark.parametrize("alias", RESOURCES)
def test_resource_of_an_extension_that_is_listed_is_served(site: Site, alias: str) -> None:
    answer = site.ask("GET", f"/v2/{{T}}{RESOURCES[alias]}")
    assert "Not Found" not in answer.text  # what no route answers
    assert alias in {extension.alias for extension in EXTENSIONS}


@pytest.mark.parametrize("alias", ["os-cells", "os-volumes", "x" * 300])
def test_extension_that_is_not_served_is_404(site: Site, alias: str) -> None:
    assert set(site.get(f"/extensions/{alias}", status=404)) == {"itemNotFound"}
