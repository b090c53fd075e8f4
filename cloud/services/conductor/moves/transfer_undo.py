"""The transfer of an instance that runs is undone: the source has it for certain, and goes on with it; or nobody has it
any more, where it is to be deleted.
"""

import time
from collections.abc import Callable

from cloud.errors import CloudError, ComputeError
from cloud.rpc.errors import BusUnavailableError
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import Move, NeverCertainError, UncertainError
from cloud.services.conductor.moves.patience import FIRST_WAIT_S, MAX_WAIT_S, Patience
from cloud.services.conductor.moves.sides import Side, Sides, TransferCompute
from cloud.virt.moving import TransferPhase


class TransferUndoing:
    """The undo of the step `transfer`."""

    def __init__(
        self,
        compute: TransferCompute,
        journal: Journal,
        patience: Patience,
        sides: Sides,
        *,
        wait: Callable[[float], None] = time.sleep,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`wait` lets so many seconds pass, which `clock_s` counts."""
        self._compute = compute
        self._journal = journal
        self._patience = patience
        self._sides = sides
        self._wait = wait
        self._clock_s = clock_s

    def undo(self, move: Move) -> None:
        """UncertainError where nobody knows who has it, or the source still sends it; ComputeError where that has not.

        Of an instance that is deleted, what has come to the destination goes too, as soon as that answers; while the
        source has it, that one deletes it.
        """
        if self._journal.is_unwanted(move):
            self._delete(move)
            return
        self._end_transfer(move)
        if self._journal.is_unwanted(move):
            self._delete(move)
        elif self._sides.side(move) is not Side.SOURCE:
            raise ComputeError(f"cannot undo the transfer of instance {move.uuid}: it is on host {move.destination}")

    def _delete(self, move: Move) -> None:
        """On both hosts; UncertainError while one of them does not answer, whatever was done on the other.

        NeverCertainError where that is forced down: should it come back, what it has is for somebody to look at.
        """
        waits: dict[str, str] = {}
        for host, delete in (
            (move.source, self._end_transfer),
            (move.destination, self._clear_destination),
            (move.source, self._clear_source),
        ):
            if host in waits:
                continue
            self._journal.prove(move)
            try:
                delete(move)
            except BusUnavailableError:
                raise
            except (ComputeError, UncertainError) as exc:
                waits[host] = str(exc)
        if waits:
            said = "; ".join(f"host {host}: {cause}" for host, cause in waits.items())
            error = NeverCertainError if all(self._is_given_up(move, host) for host in waits) else UncertainError
            raise error(f"cannot delete instance {move.uuid} on both hosts: {said}")

    def _is_given_up(self, move: Move, host: str) -> bool:
        return self._journal.is_forced_down(host) and self._sides.is_silent(move, host)

    def _clear_destination(self, move: Move) -> None:
        """Of what has come there, and of what was made ready for it."""
        self._compute.destroy(move.destination, move.uuid)
        self._compute.cancel_live_arrival(move.destination, move.uuid)

    def _clear_source(self, move: Move) -> None:
        """While it has the guest, it deletes that itself, as it was told to."""
        if self._compute.guest_state(move.source, move.uuid) is None:
            self._compute.clear_departed(move.source, move.uuid, keeps_disk=False)

    def _end_transfer(self, move: Move) -> None:
        """If one runs; a source that does not answer may be starting again."""
        began_s, wait_s = self._clock_s(), FIRST_WAIT_S
        while True:
            self._journal.prove(move)
            try:
                self._compute.abort_live_transfer(move.source, move.uuid)
                if self._sides.standing(move) is not TransferPhase.RUNNING:
                    return
                cause, limit_s = "it does not end", self._patience.silence_s
            except BusUnavailableError:
                raise
            except CloudError as exc:
                cause, limit_s = str(exc), self._patience.silence_of(move)
            if self._clock_s() - began_s >= limit_s:
                raise UncertainError(f"cannot undo the transfer of instance {move.uuid}: {cause}")
            self._wait(wait_s)
            wait_s = min(wait_s * 1.5, MAX_WAIT_S)
