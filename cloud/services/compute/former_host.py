"""The host on which an instance was, asked to let it go before another one starts it."""

from typing import Protocol

from cloud.domain.whereabouts import FormerHost
from cloud.errors import ComputeError, InstanceStateError
from cloud.logs.emit import logger
from cloud.rpc.errors import BusUnavailableError, RpcError


class AskedToGiveUp(Protocol):
    """nova-compute on such a host; ComputeClient is one."""

    def give_up_guest(self, host: str, uuid: str) -> None: ...


def have_guest_given_up(compute: AskedToGiveUp, former: FormerHost, uuid: str) -> None:
    """The guest does not run there any more: because the host says so, or because it is known to be down.

    ComputeError where a host that is up does not say so. One that is forced down is asked too, but its silence is what
    an admin has told us to expect.
    """
    if not (former.is_up or former.is_forced_down):
        return
    try:
        compute.give_up_guest(former.host, uuid)
    except BusUnavailableError:
        raise
    except (RpcError, ComputeError, InstanceStateError) as exc:
        if former.is_forced_down and isinstance(exc, RpcError):
            logger.bind(host=former.host, error=str(exc)).info("host that is forced down does not answer")
            return
        raise ComputeError(
            f"cannot be certain that instance {uuid} does not run on host {former.host} any more: {exc}"
        ) from exc
