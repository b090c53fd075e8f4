"""What comes over the bus about instances that go to another host while they run, or come from one."""

from collections.abc import Mapping, Sequence
from typing import Any

from cloud.rpc.errors import BadMessageError
from cloud.rpc.methods import rpc_method
from cloud.services.compute.duties import Duties
from cloud.services.compute.reading import check_flags, read_fixed_ips, read_uuid


class LiveMigrationMethods:
    """The part of the manager that knows live migrations."""

    _duties: Duties

    # At the source.

    @rpc_method
    def check_live_source(self, uuid: str, block: bool | None) -> Mapping[str, Any]:
        """`storage_id`, and what the destination's `hypervisor` is to know."""
        _check_choice(block)
        return self._duties.live_migrations.check_source(read_uuid(uuid), block=block)

    @rpc_method
    def start_live_transfer(self, uuid: str, destination: Mapping[str, Any], block: bool) -> bool:
        """Whether the instance runs meanwhile."""
        _check_mapping(destination=destination)
        check_flags(block=block)
        return self._duties.live_migrations.start_transfer(read_uuid(uuid), destination, block=block)

    @rpc_method
    def live_transfer(self, uuid: str) -> dict[str, Any]:
        return self._duties.live_migrations.transfer(read_uuid(uuid)).as_dict()

    @rpc_method
    def abort_live_transfer(self, uuid: str) -> None:
        self._duties.live_migrations.abort_transfer(read_uuid(uuid))

    @rpc_method
    def force_live_transfer(self, uuid: str) -> None:
        self._duties.live_migrations.force_transfer(read_uuid(uuid))

    @rpc_method
    def clear_departed(self, uuid: str, keeps_disk: bool) -> None:
        check_flags(keeps_disk=keeps_disk)
        self._duties.live_migrations.clear_departed(read_uuid(uuid), keeps_disk=keeps_disk)

    # At the destination.

    @rpc_method
    def check_live_destination(
        self, uuid: str, block: bool | None, disk_over_commit: bool, source: Mapping[str, Any]
    ) -> bool:
        """Whether its disk has to go too."""
        _check_choice(block)
        check_flags(disk_over_commit=disk_over_commit)
        _check_mapping(source=source)
        if not (isinstance(source.get("storage_id"), str) and isinstance(source.get("hypervisor"), dict)):
            raise BadMessageError("cannot take request: source is not what check_live_source gives")
        return self._duties.live_migrations.check_destination(
            read_uuid(uuid), block=block, disk_over_commit=disk_over_commit, source=source
        )

    @rpc_method
    def prepare_live_arrival(self, uuid: str, fixed_ips: Sequence[Mapping[str, str]], block: bool) -> Mapping[str, Any]:
        """What the source's hypervisor needs to reach ours."""
        check_flags(block=block)
        given = read_fixed_ips(fixed_ips)
        return dict(self._duties.live_migrations.prepare_arrival(read_uuid(uuid), given, block=block))

    @rpc_method
    def complete_live_arrival(self, uuid: str, fixed_ips: Sequence[Mapping[str, str]]) -> int:
        """The instance's power state."""
        return int(self._duties.live_migrations.complete_arrival(read_uuid(uuid), read_fixed_ips(fixed_ips)))

    @rpc_method
    def cancel_live_arrival(self, uuid: str) -> None:
        self._duties.live_migrations.cancel_arrival(read_uuid(uuid))

    # At either.

    @rpc_method
    def guest_state(self, uuid: str) -> int | None:
        """Its power state; None when the hypervisor has no such instance."""
        state = self._duties.live_migrations.guest_state(read_uuid(uuid))
        return None if state is None else int(state)


def _check_choice(block: object) -> None:
    """None leaves it to whether storage is shared."""
    if block is not None:
        check_flags(block=block)


def _check_mapping(**values: object) -> None:
    for name, value in values.items():
        if not isinstance(value, dict):
            raise BadMessageError(f"cannot take request: {name} is not a mapping")
