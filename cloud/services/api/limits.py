"""limits: how much a project may have and how much of it is used."""

from collections.abc import Mapping

from fastapi import APIRouter
from starlette.responses import JSONResponse

from cloud.services.api.call import TheCall

router = APIRouter()

_NAMES = {
    "maxServerMeta": "metadata_items",
    "maxImageMeta": "metadata_items",
    "maxPersonality": "injected_files",
    "maxPersonalitySize": "injected_file_content_bytes",
    "maxTotalRAMSize": "ram",
    "maxTotalCores": "cores",
    "maxTotalInstances": "instances",
    "maxTotalKeypairs": "key_pairs",
    "maxTotalFloatingIps": "floating_ips",
    "maxSecurityGroups": "security_groups",
    "maxSecurityGroupRules": "security_group_rules",
}
_USED_NAMES = {
    "totalRAMUsed": "ram",
    "totalCoresUsed": "cores",
    "totalInstancesUsed": "instances",
    "totalFloatingIpsUsed": "floating_ips",
    "totalSecurityGroupsUsed": "security_groups",
}


@router.get("/limits")
def show_limits(call: TheCall, tenant_id: str | None = None) -> JSONResponse:
    """Of the caller's project; admins may ask for any."""
    project_id = tenant_id or call.project_id
    call.require("compute:limits:show", project_id)
    limits = call.parts.quotas.limits(project_id)
    used = call.parts.instances.usage(project_id)
    absolute = absolute_limits(limits, {"instances": used.instances, "cores": used.cores, "ram": used.ram_mb})
    return JSONResponse({"limits": {"rate": [], "absolute": absolute}})


def absolute_limits(limits: Mapping[str, int], used: Mapping[str, int]) -> dict[str, int]:
    """By the names that clients print; -1 is no limit, and what no project can have yet is used by none."""
    of_all = {name: limits[resource] for name, resource in _NAMES.items()}
    return of_all | {name: used.get(resource, 0) for name, resource in _USED_NAMES.items()}
