"""An instance that an admin has put on this host by hand, in the database, because its own host is broken."""

from collections.abc import Mapping, Sequence

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import Instance
from cloud.errors import ComputeError, InstanceStateError
from cloud.logs.emit import logger
from cloud.rpc.errors import BusUnavailableError, RpcError
from cloud.services.compute.addresses import addresses_of
from cloud.services.compute.former_host import AskedToGiveUp, have_guest_given_up
from cloud.services.compute.records import Networks
from cloud.services.compute.work import Host
from cloud.virt.driver import InstanceMissingError
from cloud.virt.moving import ColdMigrating, Regenerating


class ManualRecovery:
    """The rest of the work where only `instances.host` was changed: the former host, the guest, and the claim."""

    def __init__(self, host: Host, networks: Networks, peers: AskedToGiveUp, *, vnc_address: str) -> None:
        """`vnc_address` is where this host's guests offer their screens."""
        self._host = host
        self._networks = networks
        self._peers = peers
        self._vnc_address = vnc_address

    def have_guest_here(self, instance: Instance) -> None:
        """It has a guest here, made of its disk and off where there was none, and its claim; and no other guest.

        ComputeError where the disk is not here, or where nobody can say that it does not run elsewhere.
        """
        is_missing = self._is_missing(instance.uuid)
        if is_missing or self._is_node_stale(instance):
            is_aside, has_disk = self._is_aside(instance.uuid), self._has_disk(instance.uuid)
            if is_missing and not (is_aside or has_disk):  # first of all: a guest on another host may be the only one
                raise ComputeError(
                    f"cannot start instance {instance.uuid}: this host has neither a guest of it nor its disk; "
                    "without shared storage it can only be made anew from its image"
                )
            self._have_given_up(instance)
            if is_aside:
                self._take_back(instance)
            elif has_disk:
                self._define_again(instance)
            self._host.records.take_over_claim(instance.uuid)

    def have_claim_here(self, instance: Instance) -> None:
        """The same for one whose guest is made anew from its image."""
        if self._is_node_stale(instance):
            self._have_given_up(instance)
            self._host.records.take_over_claim(instance.uuid)

    def _is_missing(self, uuid: str) -> bool:
        try:
            self._host.driver.power_state(uuid)
        except InstanceMissingError:
            return True
        return False

    def _has_disk(self, uuid: str) -> bool:
        """On storage from which a guest can be made; one that only this host has is with its guest."""
        driver = self._host.driver
        return isinstance(driver, Regenerating) and driver.has_disk(uuid)

    def _is_aside(self, uuid: str) -> bool:
        """As a move that could not be undone has left it."""
        driver = self._host.driver
        return isinstance(driver, ColdMigrating) and driver.is_set_aside(uuid)

    def _is_node_stale(self, instance: Instance) -> bool:
        """As by hand, where only `host` is changed; it is put right together with the claim."""
        return instance.node != self._host.name

    def _have_given_up(self, instance: Instance) -> None:
        try:
            former_hosts = self._host.records.former_hosts(instance.uuid)
        except InstanceStateError as exc:
            raise ComputeError(str(exc)) from exc  # so that the instance does not stay as it is
        for former in former_hosts:
            have_guest_given_up(self._peers, former, instance.uuid)

    def _take_back(self, instance: Instance) -> None:
        driver = self._host.driver
        if isinstance(driver, ColdMigrating):
            driver.take_back(instance.uuid)
            logger.warning("instance was set aside by a move that was not undone, it is taken back")

    def _define_again(self, instance: Instance) -> None:
        driver = self._host.driver
        if isinstance(driver, Regenerating):
            fixed_ips, settings = self._of_this_host(instance)
            driver.define_again(instance, fixed_ips, settings)
            logger.bind(**settings).warning("instance was put on this host by hand, its guest is made anew of its disk")

    def _of_this_host(self, instance: Instance) -> tuple[Sequence[FixedIp], Mapping[str, str]]:
        """Its addresses, and what a guest has of its host."""
        try:
            fixed_ips = addresses_of(instance, self._host, self._networks)
            dhcp_server = self._networks.dhcp_server(self._host.name)
        except BusUnavailableError:
            raise
        except RpcError as exc:
            raise ComputeError(f"cannot start instance {instance.uuid}: {exc}") from exc
        return fixed_ips, {"dhcp_server": dhcp_server, "vnc_address": self._vnc_address}
