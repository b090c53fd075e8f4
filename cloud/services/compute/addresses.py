"""The addresses that an instance has, with the MAC addresses of their interfaces: nova-network knows them."""

from collections.abc import Sequence

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import Instance
from cloud.services.compute.records import Networks
from cloud.services.compute.work import Host


def addresses_of(instance: Instance, host: Host, networks: Networks) -> Sequence[FixedIp]:
    """None for an instance that was given none; otherwise nova-network is asked, which gives it no other."""
    return (networks.allocate_for_instance(host.name, instance.uuid),) if instance.addresses else ()
