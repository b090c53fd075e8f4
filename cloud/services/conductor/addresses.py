"""Addresses, for a nova-network, which has no database: it gives them to the instances of its own host."""

from cloud.domain.instance import VmState
from cloud.errors import InstanceStateError
from cloud.rpc.errors import BadMessageError
from cloud.rpc.methods import rpc_method
from cloud.services.conductor.build import is_unwanted
from cloud.services.conductor.reading import check_texts
from cloud.services.conductor.tables import Tables
from cloud.services.network.options import Network


class AddressMethods:
    """The part of the manager that knows addresses."""

    _tables: Tables
    _network: Network
    """The one that there is, by our own configuration: a host neither invents networks nor takes from others."""

    @rpc_method
    def allocate_fixed_ip(self, instance_uuid: str, host: str, network: str, cidr: str) -> dict[str, str]:
        """The lowest free address of `cidr`, or the one that the instance has in that network already.

        InstanceStateError for an instance that is not on `host` nor on its way there, ConflictError when no address is
        free, BadMessageError for a network that is not the one of nova.conf here.
        """
        check_texts(instance_uuid=instance_uuid, host=host, network=network, cidr=cidr)
        if Network(network, cidr) != self._network:
            ours = f"{self._network.label}, {self._network.cidr}"
            raise BadMessageError(f"cannot give an address of network {network}, {cidr}: nova-conductor has {ours}")
        instance = self._tables.instances.get(instance_uuid)
        if instance.host != host and not self._is_coming(instance_uuid, host):
            raise InstanceStateError(
                f"cannot give instance {instance_uuid} an address on host {host}: it is on host {instance.host}"
            )
        return self._tables.fixed_ips.allocate(instance_uuid, self._network.label, self._network.cidr).as_dict()

    @rpc_method
    def release_fixed_ip(self, instance_uuid: str, host: str) -> None:
        """Take back all that the instance has; nothing is no change.

        InstanceStateError for one that is on another host, or in use.
        """
        check_texts(instance_uuid=instance_uuid, host=host)
        instance = self._tables.instances.get(instance_uuid, deleted=True)
        is_undone = instance.vm_state in (VmState.BUILDING, VmState.ERROR) and instance.task_state is None
        if instance.host not in (None, host) or not (is_undone or is_unwanted(instance)):
            raise InstanceStateError(
                f"cannot take back the address of instance {instance_uuid} on host {host}: it is on {instance.host}, "
                f"its vm_state is {instance.vm_state}, its task_state {instance.task_state}"
            )
        self._tables.fixed_ips.release(instance_uuid)

    def _is_coming(self, instance_uuid: str, host: str) -> bool:
        """Whether a migration brings it there."""
        newest = self._tables.migrations.newest(instance_uuid)
        return newest is not None and newest.is_in_progress and newest.dest_compute == host
