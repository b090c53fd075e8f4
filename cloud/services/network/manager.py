"""nova-network: gives the instances of its host their addresses, which nova-conductor keeps for it."""

from typing import Protocol

from cloud.domain.fixed_ip import FixedIp
from cloud.logs.emit import logger
from cloud.rpc.methods import rpc_method
from cloud.services.conductor.client import ConductorClient
from cloud.services.manager import Manager, Parts
from cloud.services.network.options import Network, configured_network


class Addresses(Protocol):
    """ConductorClient is one."""

    def allocate_fixed_ip(self, instance_uuid: str, network: str, cidr: str) -> FixedIp: ...

    def release_fixed_ip(self, instance_uuid: str) -> None: ...


class NetworkManager(Manager):
    """Its methods have the names that NetworkClient calls."""

    def __init__(self, addresses: Addresses, network: Network) -> None:
        self._addresses = addresses
        self._network = network

    @rpc_method
    def allocate_for_instance(self, instance_uuid: str) -> dict[str, str]:
        """The instance's address; InstanceStateError when it is not on this host, ConflictError when none is free."""
        given = self._addresses.allocate_fixed_ip(instance_uuid, self._network.label, self._network.cidr)
        logger.bind(instance=instance_uuid, address=given.address, mac=given.mac, network=given.network).info(
            "instance has an address"
        )
        return given.as_dict()

    @rpc_method
    def deallocate_for_instance(self, instance_uuid: str) -> None:
        """Take back what the instance has."""
        self._addresses.release_fixed_ip(instance_uuid)
        logger.bind(instance=instance_uuid).info("address of instance taken back")

    @rpc_method
    def dhcp_server(self) -> str:
        """The address at which guests here are told theirs: the gateway's."""
        return self._network.gateway


def make_manager(parts: Parts) -> NetworkManager:
    """The manager as `parts.conf` says."""
    return NetworkManager(ConductorClient(parts.client, host=parts.conf.host), configured_network(parts.conf))
