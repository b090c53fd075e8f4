"""Asks nova-network of one host, under the names of its manager's methods."""

from cloud.domain.fixed_ip import FixedIp
from cloud.rpc.client import RpcClient
from cloud.rpc.topology import Target


class NetworkClient:
    """A second time changes nothing. Raises what the manager's methods raise; an error of the bus says which host."""

    TIMEOUT_S = 15.0
    """More than nova-network itself waits for nova-conductor."""

    def __init__(self, client: RpcClient, *, timeout_s: float = TIMEOUT_S) -> None:
        self._client = client
        self._timeout_s = timeout_s

    def allocate_for_instance(self, host: str, uuid: str) -> FixedIp:
        """The address of an instance that is on that host, which it may have already."""
        arguments = {"instance_uuid": uuid}
        target = Target("network", host)
        found = self._client.call(target, "allocate_for_instance", arguments, timeout_s=self._timeout_s)
        return FixedIp.from_dict(found)

    def deallocate_for_instance(self, host: str, uuid: str) -> None:
        """Take back the address, if there is one."""
        arguments = {"instance_uuid": uuid}
        self._client.call(Target("network", host), "deallocate_for_instance", arguments, timeout_s=self._timeout_s)

    def dhcp_server(self, host: str) -> str:
        """The address at which that host's nova-network tells guests theirs."""
        return str(self._client.call(Target("network", host), "dhcp_server", timeout_s=self._timeout_s))
