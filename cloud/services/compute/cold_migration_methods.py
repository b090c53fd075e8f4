"""What comes over the bus about instances that go to another host while they are off, or to another flavor."""

from collections.abc import Mapping, Sequence
from typing import Any

from cloud.rpc.methods import rpc_method
from cloud.services.compute.duties import Duties
from cloud.services.compute.reading import check_flags, check_mappings, read_fixed_ips, read_flavor, read_uuid


class ColdMigrationMethods:
    """The part of the manager that knows cold migrations and resizes."""

    _duties: Duties

    # At the source.

    @rpc_method
    def power_off_for_resize(self, uuid: str, flavor: Mapping[str, Any]) -> str:
        """The id of the storage that its disk is on."""
        return self._duties.cold_migrations.power_off_for_resize(read_uuid(uuid), read_flavor(flavor))

    @rpc_method
    def send_disk(self, uuid: str, target: Mapping[str, Any]) -> None:
        check_mappings(target=target)
        self._duties.cold_migrations.send_disk(read_uuid(uuid), target)

    @rpc_method
    def disk_transfer(self, uuid: str) -> dict[str, Any]:
        return self._duties.cold_migrations.disk_transfer(read_uuid(uuid)).as_dict()

    # At the destination.

    @rpc_method
    def prepare_disk(self, uuid: str, flavor: Mapping[str, Any]) -> Mapping[str, Any]:
        """`storage_id`, and what the source's hypervisor needs to reach ours, `target`."""
        return dict(self._duties.cold_migrations.prepare_disk(read_uuid(uuid), read_flavor(flavor)))

    @rpc_method
    def adopt(self, uuid: str, flavor: Mapping[str, Any], fixed_ips: Sequence[Mapping[str, str]]) -> None:
        given = read_fixed_ips(fixed_ips)
        self._duties.cold_migrations.adopt(read_uuid(uuid), read_flavor(flavor), given)

    # At either.

    @rpc_method
    def resize_here(self, uuid: str, flavor: Mapping[str, Any]) -> None:
        self._duties.cold_migrations.resize_here(read_uuid(uuid), read_flavor(flavor))

    @rpc_method
    def set_aside(self, uuid: str) -> None:
        self._duties.cold_migrations.set_aside(read_uuid(uuid))

    @rpc_method
    def start_resized(self, uuid: str, is_running: bool) -> int:
        """The instance's power state."""
        check_flags(is_running=is_running)
        return int(self._duties.cold_migrations.start_resized(read_uuid(uuid), is_running=is_running))

    @rpc_method
    def take_back(self, uuid: str, is_running: bool) -> int:
        """The instance's power state."""
        check_flags(is_running=is_running)
        return int(self._duties.cold_migrations.take_back(read_uuid(uuid), is_running=is_running))

    @rpc_method
    def drop_aside(self, uuid: str, keeps_disk: bool) -> None:
        check_flags(keeps_disk=keeps_disk)
        self._duties.cold_migrations.drop_aside(read_uuid(uuid), keeps_disk=keeps_disk)
