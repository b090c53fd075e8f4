"""Which storage an instance is to be evacuated to: that of its broken host, if others see its disk too."""

from collections.abc import Sequence

from cloud.domain.host import HostState


def storage_to_go_to(
    states: Sequence[HostState], source: str, *, named: str | None, may_leave_disk: bool
) -> str | None:
    """None where any host will do: nobody but the source has its storage, or it is not known.

    Also where an admin has `named` a host and says that the disk may be left behind, or where none of the hosts that
    see it is up: then naming another one says enough.
    """
    storage_id = next((state.node.storage_id for state in states if state.node.host == source), None)
    others = [state for state in states if state.node.storage_id == storage_id and state.node.host != source]
    if storage_id is None or not others:
        return None
    leaves_it = named is not None and (may_leave_disk or not any(state.is_up for state in others))
    return None if leaves_it else storage_id
