"""The transfer of an instance that runs: begun at its source, watched until it is over, and never taken for what it is
not. Where a transfer fails, both hypervisors are asked which of them has the instance.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cloud.errors import CloudError, ComputeError, InstanceStateError
from cloud.rpc.errors import BusUnavailableError
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import INTERRUPTIONS, LostError, Move, UncertainError, aborted
from cloud.services.conductor.moves.patience import FIRST_WAIT_S, MAX_WAIT_S, Patience
from cloud.services.conductor.moves.sides import Side, Sides, TransferCompute
from cloud.services.conductor.moves.transfer_progress import SAID_EVERY_S, Told
from cloud.services.conductor.moves.transfer_undo import TransferUndoing
from cloud.virt.moving import Transfer, TransferPhase


class Transferring:
    """The step `transfer`: it has run when the destination has the instance; undone, the source has it for certain."""

    def __init__(
        self,
        compute: TransferCompute,
        journal: Journal,
        patience: Patience,
        now: Callable[[], datetime],
        *,
        wait: Callable[[float], None] = time.sleep,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`wait` lets so many seconds pass, which `clock_s` counts; `now` is what all conductors' clocks agree on."""
        self._compute = compute
        self._journal = journal
        self._patience = patience
        self._now = now
        self._wait = wait
        self._clock_s = clock_s
        self._sides = Sides(compute, journal, wait=wait)
        self.undo = TransferUndoing(compute, journal, patience, self._sides, wait=wait, clock_s=clock_s).undo

    def run(self, move: Move) -> None:
        """MoveAbortedError where that is wanted, ComputeError for a failure: then the source has it, and keeps it.

        UncertainError where neither is sure.
        """
        is_known = move.migration.uncertain_since is not None
        if not is_known and not self._has_begun(move):
            self._start(move)
        now_s = self._clock_s()
        watch = _Watch(self._began_s(move), Told(now_s, now_s + SAID_EVERY_S))
        transfer = self._watched(move, watch)
        if transfer.phase is not TransferPhase.COMPLETED and self._is_at_source(move):
            raise watch.why or ComputeError(_failure(move, transfer))
        if move.migration.uncertain_since is not None:
            self._journal.note(move, uncertain_since=None, due_at=None, error=None)

    def _is_at_source(self, move: Move) -> bool:
        """UncertainError where it is not certain; MoveAbortedError where that is because it is deleted."""
        try:
            return self._sides.side(move) is Side.SOURCE
        except (UncertainError, LostError):
            self._journal.refresh(move)
            raise

    def _start(self, move: Move) -> None:
        """Noted before it begins: from then on whoever watches it sees to an abort."""
        if move.migration.is_abort_wanted:
            raise aborted(move)
        self._journal.note(move, transfer_began_at=self._now())
        reach = move.migration.destination or {}
        is_live = self._compute.start_live_transfer(move.source, move.uuid, reach["hypervisor"], block=reach["block"])
        self._note_mode(move, "live" if is_live else "paused")

    def _has_begun(self, move: Move) -> bool:
        """By whoever had this step before; a source that does not say is asked again while it is watched."""
        try:
            return self._sides.standing(move) in (TransferPhase.RUNNING, TransferPhase.COMPLETED)
        except BusUnavailableError:
            raise
        except CloudError:
            if "mode" not in (move.migration.destination or {}):
                raise
            return True

    def _began_s(self, move: Move) -> float:
        """By the clock that is waited by, whoever has begun it."""
        began_at = move.migration.transfer_began_at
        age_s = 0.0 if began_at is None else (self._now() - began_at).total_seconds()
        return self._clock_s() - max(age_s, 0.0)

    def _note_mode(self, move: Move, mode: str) -> None:
        self._journal.note(move, destination={**(move.migration.destination or {}), "mode": mode})

    def _watched(self, move: Move, watch: "_Watch") -> Transfer:
        """How it was when it was over, or when the source had been silent for too long: NONE then."""
        silent_since_s: float | None = None
        silence_s, wait_s = self._patience.silence_of(move), FIRST_WAIT_S
        while True:
            self._journal.refresh(move)
            self._look_for_a_reason(move, watch)
            try:
                transfer = self._compute.live_transfer(move.source, move.uuid)
            except INTERRUPTIONS:
                raise
            except InstanceStateError as exc:
                return Transfer(TransferPhase.NONE, error=str(exc))
            except CloudError as exc:
                now_s = self._clock_s()
                silent_since_s = now_s if silent_since_s is None else silent_since_s
                if now_s - silent_since_s >= silence_s:
                    return Transfer(TransferPhase.NONE, error=str(exc))
            else:
                watch.told.tell(self._journal, move, transfer, self._clock_s())
                if transfer.phase is not TransferPhase.RUNNING:
                    return transfer
                silent_since_s, silence_s = None, self._patience.silence_s
                self._act(move, watch)
            self._wait(wait_s)
            wait_s = min(wait_s * 1.5, MAX_WAIT_S)

    def _look_for_a_reason(self, move: Move, watch: "_Watch") -> None:
        """To abort, once it has begun."""
        limit_s = self._patience.transfer_s
        if watch.why is None and move.migration.is_abort_wanted:
            watch.why = aborted(move)
        elif watch.why is None and 0 < limit_s <= self._clock_s() - watch.began_s:
            watch.why = ComputeError(f"cannot transfer instance {move.uuid}: it has not ended within {limit_s:g} s")

    def _act(self, move: Move, watch: "_Watch") -> None:
        """As is wanted: asked for until the source has heard it, and then waited for; an abort not for ever."""
        if watch.why is not None:
            self._abort(move, watch)
        elif move.migration.is_force_complete_wanted and not watch.is_forced:
            watch.is_forced = self._refusal_of(self._compute.force_live_transfer, move) is None
            if watch.is_forced:
                self._note_mode(move, "paused")

    def _abort(self, move: Move, watch: "_Watch") -> None:
        now_s = self._clock_s()
        watch.aborted_s = now_s if watch.aborted_s is None else watch.aborted_s
        if now_s >= watch.aborted_s + self._patience.silence_s:
            raise UncertainError(f"cannot abort the transfer of instance {move.uuid}: {watch.unaborted}")
        if not watch.is_aborted:
            refusal = self._refusal_of(self._compute.abort_live_transfer, move)
            watch.is_aborted = refusal is None
            watch.unaborted = "it does not end" if refusal is None else str(refusal)

    def _refusal_of(self, ask: Callable[[str, str], None], move: Move) -> CloudError | None:
        """What the source says instead of doing it, which how the transfer stands explains, or it is asked again."""
        try:
            ask(move.source, move.uuid)
        except INTERRUPTIONS:
            raise
        except CloudError as exc:
            return exc
        return None


@dataclass(slots=True)
class _Watch:
    """What whoever watches a transfer has in mind."""

    began_s: float
    told: Told
    why: CloudError | None = None
    """Why it is to be aborted."""
    aborted_s: float | None = None
    """When that was asked for first."""
    is_aborted: bool = False
    """Whether the source has heard it."""
    unaborted: str = ""
    """Why it goes on all the same."""
    is_forced: bool = False
    """Whether it is paused, so that it comes to its end."""


def _failure(move: Move, transfer: Transfer) -> str:
    said = transfer.error or f"host {move.source} knows of no transfer any more"
    return said if said.startswith("cannot ") else f"cannot transfer instance {move.uuid}: {said}"
