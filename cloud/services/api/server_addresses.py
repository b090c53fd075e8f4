"""`/servers/{id}/ips`: the addresses of a server, by network."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from cloud.errors import NotFoundError
from cloud.services.api.call import Call, TheCall
from cloud.services.api.server_state import server_of

router = APIRouter()


@router.get("/servers/{server_id}/ips")
def list_addresses(server_id: str, call: TheCall) -> Response:
    return JSONResponse({"addresses": _addresses(call, server_id, "compute:server_ips:list")})


@router.get("/servers/{server_id}/ips/{network}")
def show_addresses(server_id: str, network: str, call: TheCall) -> Response:
    shown = _addresses(call, server_id, "compute:server_ips:show")
    if network not in shown:
        raise NotFoundError(f"cannot find network: instance {server_id} is in none of that name")
    return JSONResponse({network: shown[network]})


def _addresses(call: Call, server_id: str, action: str) -> dict[str, list[dict[str, object]]]:
    instance = server_of(call, server_id)
    call.require(action, instance.project_id)
    shown: dict[str, list[dict[str, object]]] = {}
    for fixed_ip in call.parts.fixed_ips.of([instance.uuid]).get(instance.uuid, ()):
        shown.setdefault(fixed_ip.network, []).append({"version": 4, "addr": fixed_ip.address})
    return shown
