"""Addresses, for a nova-network, which has no database: it gives them to the instances of its own host."""

from ipaddress import IPv4Network

from cloud.domain.instance import VmState
from cloud.errors import InstanceStateError
from cloud.rpc.errors import BadMessageError
from cloud.rpc.methods import rpc_method
from cloud.services.conductor.build import is_unwanted
from cloud.services.conductor.reading import check_texts
from cloud.services.conductor.tables import Tables


class AddressMethods:
    """The part of the manager that knows addresses."""

    _tables: Tables

    @rpc_method
    def allocate_fixed_ip(self, instance_uuid: str, host: str, network: str, cidr: str) -> dict[str, str]:
        """The lowest free address of `cidr`, or the one that the instance has in that network already.

        InstanceStateError for an instance that is not on `host`, ConflictError when no address is free.
        """
        check_texts(instance_uuid=instance_uuid, host=host, network=network, cidr=cidr)
        try:
            IPv4Network(cidr)
        except ValueError as exc:
            raise BadMessageError(f"cannot read cidr: {exc}") from exc
        instance = self._tables.instances.get(instance_uuid)
        if instance.host != host:
            raise InstanceStateError(
                f"cannot give instance {instance_uuid} an address on host {host}: it is on host {instance.host}"
            )
        return self._tables.fixed_ips.allocate(instance_uuid, network, cidr).as_dict()

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
