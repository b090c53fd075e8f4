"""The nova-compute of a host: whether there is one, and whether it can be asked."""

from cloud.domain.instance import Instance
from cloud.domain.service import Service
from cloud.errors import BadRequestError
from cloud.services.api.call import Call
from cloud.services.api.zones import COMPUTE_BINARY


def compute_service(call: Call, host: str) -> Service | None:
    """None for a host that has none, or that nobody knows."""
    return next(iter(call.parts.services.all(host=host, binary=COMPUTE_BINARY)), None)


def is_up(call: Call, host: str) -> bool:
    service = compute_service(call, host)
    return service is not None and service.is_up


def refuse_down(call: Call, host: str) -> None:
    """BadRequestError for a host whose nova-compute is down, or that has none."""
    if not is_up(call, host):
        raise BadRequestError(f"cannot use host {host}: its nova-compute is down, or it has none")


def refuse_own(instance: Instance, host: str) -> None:
    """BadRequestError for the host that the instance is on already."""
    if instance.host == host:
        raise BadRequestError(f"cannot move instance {instance.uuid} to host {host}: it is there already")
