"""What comes over the bus about instances of a broken host: to where they go, and to where they were."""

from collections.abc import Mapping, Sequence

from cloud.domain.instance import PowerState
from cloud.errors import ComputeError
from cloud.rpc.methods import rpc_method
from cloud.services.compute.duties import Duties
from cloud.services.compute.reading import check_flags, read_fixed_ips, read_uuid
from cloud.virt.driver import VirtError


class EvacuationMethods:
    """The part of the manager that knows evacuations."""

    _duties: Duties

    @rpc_method
    def sees_disk(self, uuid: str) -> bool:
        return self._duties.evacuations.sees_disk(read_uuid(uuid))

    @rpc_method
    def evacuate_here(
        self,
        uuid: str,
        fixed_ips: Sequence[Mapping[str, str]],
        shares_disk: bool,
        is_running: bool,
    ) -> int:
        """The instance's power state."""
        check_flags(shares_disk=shares_disk, is_running=is_running)
        given = read_fixed_ips(fixed_ips)
        return int(
            self._duties.evacuations.evacuate_here(
                read_uuid(uuid), given, shares_disk=shares_disk, is_running=is_running
            )
        )

    @rpc_method
    def give_up_guest(self, uuid: str) -> None:
        self._duties.fence.give_up(read_uuid(uuid))

    @rpc_method
    def running_instances(self, uuids: Sequence[str]) -> list[str]:
        """Those of `uuids` that run here."""
        try:
            states = self._duties.host.driver.instances()
        except VirtError as exc:
            raise ComputeError(str(exc)) from exc
        return [uuid for uuid in map(read_uuid, uuids) if states.get(uuid) is PowerState.RUNNING]
