"""Asks nova-compute of one host about copies that it keeps, under the names of its manager's methods."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from cloud.services.compute.cold_migration_calls import ASK_S, WORK_S
from cloud.virt.keeping import KeptCopy

COPIES_PAGE = 2000
"""Copies in one answer: about 400 kB, where a message has 1 MiB at the most."""


class CopyCalls(ABC):
    """The part of ComputeClient that `cloud doctor` uses.

    ComputeError also when the host does not answer, or with a defect; InstanceStateError for what is that host's own,
    or on its way.
    """

    @abstractmethod
    def _build(self, host: str, method: str, arguments: Mapping[str, Any], timeout_s: float) -> Any:
        """Call it; see ComputeClient."""

    def list_kept_copies(self, host: str, *, timeout_s: float = ASK_S) -> Sequence[KeptCopy]:
        """All that it keeps, ordered by name; within `timeout_s` in all."""
        found: list[KeptCopy] = []
        after: str | None = None
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = max(deadline_s - time.monotonic(), 0.001)
            page = [
                KeptCopy.from_dict(each) for each in self._build(host, "list_kept_copies", {"after": after}, left_s)
            ]
            found += page
            # Each page has to begin behind the last one, so that this ends, whatever comes or goes meanwhile.
            if len(page) < COPIES_PAGE or page[-1].name == after:
                return found
            after = page[-1].name

    def keep_guest(self, host: str, uuid: str) -> None:
        """Wait until a guest that is not that host's is off, and kept as a copy; no error when there is none."""
        self._build(host, "keep_guest", {"uuid": uuid}, WORK_S)

    def remove_kept_copy(self, host: str, uuid: str, name: str, *, keeps_disk: bool) -> None:
        """Wait until it is gone; no error when there is none."""
        self._build(host, "remove_kept_copy", {"uuid": uuid, "name": name, "keeps_disk": keeps_disk}, WORK_S)
