"""The transfer of a disk whose instance is off: begun at its source, watched until the destination has all of it."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cloud.errors import CloudError, ComputeError
from cloud.logs.emit import logger
from cloud.logs.events import PROGRESS, RESIZE
from cloud.rpc.errors import BusUnavailableError
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import Move, described
from cloud.services.conductor.moves.patience import FIRST_WAIT_S, MAX_WAIT_S, Patience
from cloud.services.conductor.moves.transfer_progress import NOTED_EVERY_S, SAID_EVERY_PERCENT, SAID_EVERY_S
from cloud.virt.moving import Transfer, TransferPhase


class DiskCompute(Protocol):
    """What the transfer of a disk asks of the nova-compute at its source."""

    def send_disk(self, host: str, uuid: str, target: Mapping[str, Any]) -> None:
        """Begin; no change while it is being sent."""

    def disk_transfer(self, host: str, uuid: str) -> Transfer: ...


class DiskTransfers:
    """Where a source has forgotten, having started again, it sends the disk once more."""

    def __init__(
        self,
        compute: DiskCompute,
        journal: Journal,
        patience: Patience,
        *,
        wait: Callable[[float], None] = time.sleep,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`wait` lets so many seconds pass, which `clock_s` counts."""
        self._compute = compute
        self._journal = journal
        self._patience = patience
        self._wait = wait
        self._clock_s = clock_s

    def run(self, move: Move, target: Mapping[str, Any]) -> None:
        """Return when the destination has it. ComputeError for a failure, MoveAbortedError where it is not wanted."""
        self._compute.send_disk(move.source, move.uuid, target)
        said = _Said(self._clock_s())
        heard_s = said.began_s
        wait_s = FIRST_WAIT_S
        while True:
            try:
                transfer = self._compute.disk_transfer(move.source, move.uuid)
                if transfer.phase is TransferPhase.NONE:
                    self._compute.send_disk(move.source, move.uuid, target)
            except BusUnavailableError:
                raise
            except CloudError as exc:
                if self._clock_s() - heard_s >= self._patience.silence_s:
                    raise
                transfer = Transfer(TransferPhase.NONE, error=str(exc))
            else:
                heard_s = self._clock_s()
            if self._is_over(move, transfer, said):
                return
            self._wait(wait_s)
            wait_s = min(wait_s * 1.5, MAX_WAIT_S)

    def _is_over(self, move: Move, transfer: Transfer, said: "_Said") -> bool:
        """Whether it has all been sent; an error when it will not be."""
        if transfer.phase is TransferPhase.COMPLETED:
            self._journal.note(move, progress=100)
            return True
        if transfer.phase in (TransferPhase.FAILED, TransferPhase.CANCELLED):
            raise ComputeError(transfer.error or f"cannot send disk of instance {move.uuid}: it was given up")
        self._journal.refresh(move)
        now_s = self._clock_s()
        limit_s = self._patience.disk_transfer_s
        if 0 < limit_s <= now_s - said.began_s:
            raise ComputeError(f"cannot send disk of instance {move.uuid}: it has not come to its end in {limit_s:g} s")
        if now_s >= said.next_note_s:
            said.next_note_s = now_s + NOTED_EVERY_S
            self._journal.note(move, progress=transfer.progress)
        if transfer.progress >= said.percent + SAID_EVERY_PERCENT or now_s >= said.next_line_s:
            said.next_line_s = now_s + SAID_EVERY_S
            said.percent = transfer.progress
            line = logger.bind(event=RESIZE.event("transfer", PROGRESS), step="transfer", **described(move))
            line.bind(progress=transfer.progress).info("transfer goes on")
        return False


class _Said:
    """What was told already of one transfer, and when it is told next."""

    def __init__(self, began_s: float) -> None:
        self.began_s = began_s
        self.percent = 0
        self.next_note_s = began_s + NOTED_EVERY_S
        self.next_line_s = began_s + SAID_EVERY_S
