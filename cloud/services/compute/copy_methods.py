"""What comes over the bus about copies that this host keeps."""

from typing import Any

from cloud.rpc.errors import BadMessageError
from cloud.rpc.methods import rpc_method
from cloud.services.compute.copy_calls import COPIES_PAGE
from cloud.services.compute.duties import Duties
from cloud.services.compute.reading import check_flags, read_uuid


class CopyMethods:
    """The part of the manager that knows copies."""

    _duties: Duties

    @rpc_method
    def list_kept_copies(self, after: str | None = None) -> list[dict[str, Any]]:
        """At most COPIES_PAGE, ordered by name: those behind `after`."""
        behind = "" if after is None else _read_name(after)
        copies = sorted((copy for copy in self._duties.copies.all() if copy.name > behind), key=lambda copy: copy.name)
        return [copy.as_dict() for copy in copies[:COPIES_PAGE]]

    @rpc_method
    def keep_guest(self, uuid: str) -> None:
        self._duties.copies.keep(read_uuid(uuid))

    @rpc_method
    def remove_kept_copy(self, uuid: str, name: str, keeps_disk: bool) -> None:
        check_flags(keeps_disk=keeps_disk)
        self._duties.copies.remove(read_uuid(uuid), _read_name(name), keeps_disk=keeps_disk)


def _read_name(value: object) -> str:
    """Whether there is such a copy, the hypervisor tells."""
    if not (isinstance(value, str) and 1 <= len(value) <= 255 and value.isprintable()):
        raise BadMessageError(f"cannot take request: {value!r} is no name of a copy")
    return value
