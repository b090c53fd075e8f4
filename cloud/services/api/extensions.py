"""extensions: what is served beyond the core of 2014's API, as clients ask for it by alias."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse

from cloud.errors import NotFoundError
from cloud.services.api.call import TheCall

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Extension:
    """One of them; `place` is what its namespace has of its own."""

    alias: str
    name: str
    place: str
    updated: str
    description: str


EXTENSIONS = (
    Extension("OS-DCF", "DiskConfig", "disk_config/api/v1.1", "2011-09-27", "How an instance's disk is partitioned."),
    Extension(
        "OS-EXT-AZ",
        "ExtendedAvailabilityZone",
        "extended_availability_zone/api/v2",
        "2013-01-30",
        "The availability zone of a server.",
    ),
    Extension("OS-EXT-IMG-SIZE", "ImageSize", "image_size/api/v1.1", "2013-02-19", "The size of an image."),
    Extension("OS-EXT-IPS", "ExtendedIps", "extended_ips/api/v1.1", "2013-01-06", "Of which kind an address is."),
    Extension(
        "OS-EXT-IPS-MAC", "ExtendedIpsMac", "extended_ips_mac/api/v1.1", "2013-03-07", "The MAC beside an address."
    ),
    Extension(
        "OS-EXT-SRV-ATTR",
        "ExtendedServerAttributes",
        "extended_status/api/v1.1",
        "2011-11-03",
        "Host and hypervisor of a server, for admins.",
    ),
    Extension(
        "OS-EXT-STS", "ExtendedStatus", "extended_status/api/v1.1", "2011-11-03", "The states behind a server's status."
    ),
    Extension(
        "OS-FLV-DISABLED", "FlavorDisabled", "flavor_disabled/api/v1.1", "2012-08-29", "Whether a flavor is disabled."
    ),
    Extension(
        "OS-FLV-EXT-DATA",
        "FlavorExtraData",
        "flavor_extra_data/api/v1.1",
        "2011-09-14",
        "The ephemeral disk of a flavor.",
    ),
    Extension(
        "OS-SCH-HNT", "SchedulerHints", "scheduler-hints/api/v2", "2011-07-19", "What a server wants of its host."
    ),
    Extension("OS-SRV-USG", "ServerUsage", "server_usage/api/v1.1", "2013-04-29", "Since when and until when it ran."),
    Extension(
        "os-admin-actions", "AdminActions", "admin-actions/api/v1.1", "2011-09-20", "What admins do to a server."
    ),
    Extension("os-aggregates", "Aggregates", "aggregates/api/v1.1", "2012-01-12", "Hosts that admins put together."),
    Extension(
        "os-availability-zone",
        "AvailabilityZone",
        "availabilityzone/api/v1.1",
        "2012-12-21",
        "Zones, and which of them a server is in.",
    ),
    Extension(
        "os-config-drive", "ConfigDrive", "config_drive/api/v1.1", "2012-07-16", "Whether a server has a config drive."
    ),
    Extension(
        "os-console-output", "ConsoleOutput", "os-console-output/api/v2", "2011-12-08", "What a server's console says."
    ),
    Extension("os-evacuate", "Evacuate", "evacuate/api/v2", "2013-01-06", "Servers made anew whose host is broken."),
    Extension(
        "os-extended-hypervisors",
        "ExtendedHypervisors",
        "extended_hypervisors/api/v1.1",
        "2013-10-21",
        "The address of a hypervisor's host.",
    ),
    Extension(
        "os-extended-quotas",
        "ExtendedQuotas",
        "extended_quotas/api/v1.1",
        "2013-06-09",
        "Quotas that go back to their defaults, or below what is used.",
    ),
    Extension(
        "os-extended-services",
        "ExtendedServices",
        "extended_services/api/v2",
        "2013-05-17",
        "Why a service is disabled.",
    ),
    Extension(
        "os-extended-services-delete",
        "ExtendedServicesDelete",
        "extended_services_delete/api/v2",
        "2013-12-10",
        "The id of a service, by which it is deleted.",
    ),
    Extension(
        "os-extended-volumes",
        "ExtendedVolumes",
        "extended_volumes/api/v1.1",
        "2013-06-07",
        "Which volumes a server has.",
    ),
    Extension(
        "os-flavor-access", "FlavorAccess", "flavor_access/api/v2", "2012-08-01", "Which projects may use a flavor."
    ),
    Extension(
        "os-flavor-extra-specs",
        "FlavorExtraSpecs",
        "flavor_extra_specs/api/v1.1",
        "2011-06-23",
        "What else a flavor asks of a host.",
    ),
    Extension("os-flavor-manage", "FlavorManage", "flavor_manage/api/v1.1", "2012-01-19", "Flavors made and deleted."),
    Extension("os-flavor-rxtx", "FlavorRxtx", "flavor_rxtx/api/v1.1", "2012-08-29", "The bandwidth of a flavor."),
    Extension("os-flavor-swap", "FlavorSwap", "flavor_swap/api/v1.1", "2012-08-29", "The swap of a flavor."),
    Extension("os-hosts", "Hosts", "hosts/api/v1.1", "2011-06-29", "Hosts, and what is used of them."),
    Extension(
        "os-hypervisor-status",
        "HypervisorStatus",
        "hypervisor_status/api/v1.1",
        "2014-04-17",
        "Whether a hypervisor is up and enabled.",
    ),
    Extension("os-hypervisors", "Hypervisors", "hypervisors/api/v1.1", "2012-06-21", "Hypervisors and what they have."),
    Extension(
        "os-instance-actions",
        "InstanceActions",
        "instance-actions/api/v1.1",
        "2013-02-08",
        "What has been asked of a server, and what came of it.",
    ),
    Extension("os-keypairs", "Keypairs", "keypairs/api/v1.1", "2011-08-08", "The public keys of users."),
    Extension("os-migrations", "Migrations", "migrations/api/v2.0", "2013-05-30", "Servers' moves between hosts."),
    Extension(
        "os-multiple-create", "MultipleCreate", "multiplecreate/api/v1.1", "2012-08-07", "Several servers at a time."
    ),
    Extension("os-quota-sets", "Quotas", "quotas-sets/api/v1.1", "2011-08-08", "How much a project may have."),
    Extension(
        "os-quota-class-sets", "QuotaClasses", "quota-classes-sets/api/v1.1", "2012-03-12", "The defaults of quotas."
    ),
    Extension(
        "os-server-start-stop", "ServerStartStop", "servers/api/v1.1", "2012-01-23", "Servers stopped and started."
    ),
    Extension("os-services", "Services", "services/api/v2", "2012-10-28", "The daemons of the cloud."),
    Extension(
        "os-simple-tenant-usage",
        "SimpleTenantUsage",
        "os-simple-tenant-usage/api/v1.1",
        "2011-08-19",
        "What projects have used in a time.",
    ),
    Extension("os-used-limits", "UsedLimits", "used_limits/api/v1.1", "2012-07-13", "How much of a limit is used."),
    Extension(
        "os-used-limits-for-admin",
        "UsedLimitsForAdmin",
        "used_limits_for_admin/api/v1.1",
        "2013-05-02",
        "The same of any project, for admins.",
    ),
    Extension("os-user-data", "UserData", "userdata/api/v1.1", "2012-08-07", "What a server is told at its start."),
)
"""Ordered by alias. What is listed here is served."""

_BY_ALIAS = {extension.alias: extension for extension in EXTENSIONS}


@router.get("/extensions")
def list_extensions(call: TheCall) -> JSONResponse:
    call.require("compute:extensions:list")
    return JSONResponse({"extensions": [_view(extension) for extension in EXTENSIONS]})


@router.get("/extensions/{alias}")
def show_extension(call: TheCall, alias: str) -> JSONResponse:
    call.require("compute:extensions:show")
    extension = _BY_ALIAS.get(alias)
    if extension is None:
        raise NotFoundError(f"cannot find extension {alias}")
    return JSONResponse({"extension": _view(extension)})


def _view(extension: Extension) -> dict[str, Any]:
    return {
        "alias": extension.alias,
        "name": extension.name,
        "namespace": f"http://docs.openstack.org/compute/ext/{extension.place}",
        "updated": f"{extension.updated}T00:00:00Z",
        "description": extension.description,
        "links": [],
    }
