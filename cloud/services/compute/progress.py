"""How far an instance is, while it is being made: from the driver to the database."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from cloud.domain.expected import Expected
from cloud.domain.instance import Instance
from cloud.errors import CloudError
from cloud.services.compute.work import Host

EVERY_S = 1.0


class ProgressReport:
    """Is called with per cent; what takes less than a second is not told. At the end it is 0 again, as nova has it.

    That nobody could be told is no reason to fail.
    """

    def __init__(self, host: Host, instance: Instance, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._host = host
        self._uuid = instance.uuid
        self._expected = Expected((instance.vm_state,), (instance.task_state,), host.name)
        self._clock_s = clock_s
        self._next_s = clock_s() + EVERY_S
        self._is_told = False

    def __call__(self, percent: int) -> None:
        if self._clock_s() >= self._next_s:
            self._next_s = self._clock_s() + EVERY_S
            self._is_told = True
            self._tell(percent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._is_told:
            self._tell(0)

    def _tell(self, percent: int) -> None:
        try:
            self._host.records.update_instance(self._uuid, {"progress": percent}, self._expected)
        except CloudError:
            self._next_s = float("inf")  # nor is anybody told later: each attempt may take long
