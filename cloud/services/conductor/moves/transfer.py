"""The transfer of an instance that runs: begun at its source, watched until it is over, and never taken for what it is
not. Where a transfer fails, both hypervisors are asked which of them has the instance.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Protocol

from cloud.domain.instance import PowerState
from cloud.errors import CloudError, ComputeError, InstanceStateError
from cloud.logs.emit import logger
from cloud.logs.events import MIGRATION, PROGRESS
from cloud.rpc.errors import BusUnavailableError
from cloud.services.conductor.moves.move import Journal, Move, UncertainError, aborted, described
from cloud.virt.moving import Transfer, TransferPhase

FIRST_WAIT_S = 0.2
MAX_WAIT_S = 2.0
NOTED_EVERY_S = 1.0
SAID_EVERY_S = 30.0
SAID_EVERY_PERCENT = 10

_NOTED = tuple(each.name for each in fields(Transfer) if each.name.startswith(("progress", "memory_", "disk_")))


class TransferCompute(Protocol):
    """What a transfer asks of nova-compute on either host. A second time changes nothing."""

    def start_live_transfer(self, host: str, uuid: str, destination: Mapping[str, Any], *, block: bool) -> bool:
        """At the source; whether the instance runs meanwhile, as nova.conf there says."""

    def live_transfer(self, host: str, uuid: str) -> Transfer: ...

    def abort_live_transfer(self, host: str, uuid: str) -> None: ...

    def force_live_transfer(self, host: str, uuid: str) -> None:
        """The instance is paused from now on, so that it comes to its end."""

    def guest_state(self, host: str, uuid: str) -> PowerState | None:
        """None when its hypervisor has no such instance."""

    def clear_departed(self, host: str, uuid: str, *, keeps_disk: bool) -> None: ...

    def destroy(self, host: str, uuid: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long what is borne."""

    transfer_s: float = 1800.0
    """A transfer may take; 0: as long as it takes."""
    disk_transfer_s: float = 7200.0
    """The disk of an instance that is off may take; 0 as above."""
    silence_s: float = 60.0
    """A source may not answer, or a transfer not end that is aborted."""


class Side(StrEnum):
    """Where the instance certainly is."""

    SOURCE = "source"
    DESTINATION = "destination"


class Transferring:
    """The step `transfer`: it has run when the destination has the instance; undone, the source has it for certain."""

    def __init__(
        self,
        compute: TransferCompute,
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

    def run(self, move: Move) -> None:
        """MoveAbortedError where that is wanted, ComputeError for a failure: then the source has it, and keeps it.

        UncertainError where neither is sure.
        """
        now_s = self._clock_s()
        watch = _Watch(began_s=now_s, next_note_s=now_s, next_said_s=now_s + SAID_EVERY_S)
        if not self._has_begun(move):
            self._start(move)
        transfer = self._watched(move, watch)
        if transfer.phase is not TransferPhase.COMPLETED and self._is_at_source(move):
            raise watch.why or ComputeError(_failure(move, transfer))

    def undo(self, move: Move) -> None:
        """UncertainError where the source does not have it for certain, or still sends it.

        Of an instance that is deleted, what has come to the destination goes too; while the source has it, that one
        deletes it.
        """
        self._end_transfer(move)
        if self._journal.is_unwanted(move):
            self._compute.destroy(move.destination, move.uuid)
            if self._compute.guest_state(move.source, move.uuid) is None:
                self._compute.clear_departed(move.source, move.uuid, keeps_disk=False)
        elif self._side(move) is not Side.SOURCE:
            raise UncertainError(f"cannot undo the transfer of instance {move.uuid}: it is on host {move.destination}")

    def _start(self, move: Move) -> None:
        reach = move.migration.destination or {}
        is_live = self._compute.start_live_transfer(move.source, move.uuid, reach["hypervisor"], block=reach["block"])
        self._note_mode(move, "live" if is_live else "paused")

    def _has_begun(self, move: Move) -> bool:
        """By whoever had this step before; a source that does not say is asked again while it is watched."""
        try:
            return self._standing(move) in (TransferPhase.RUNNING, TransferPhase.COMPLETED)
        except BusUnavailableError:
            raise
        except CloudError:
            if "mode" not in (move.migration.destination or {}):
                raise
            return True

    def _note_mode(self, move: Move, mode: str) -> None:
        self._journal.note(move, destination={**(move.migration.destination or {}), "mode": mode})

    def _end_transfer(self, move: Move) -> None:
        """If one runs; a source that does not answer may be starting again."""
        began_s, wait_s = self._clock_s(), FIRST_WAIT_S
        while True:
            try:
                self._compute.abort_live_transfer(move.source, move.uuid)
                if self._standing(move) is not TransferPhase.RUNNING:
                    return
                cause = "it does not end"
            except BusUnavailableError:
                raise
            except CloudError as exc:
                cause = str(exc)
            if self._clock_s() - began_s >= self._patience.silence_s:
                raise UncertainError(f"cannot undo the transfer of instance {move.uuid}: {cause}")
            self._wait(wait_s)
            wait_s = min(wait_s * 1.5, MAX_WAIT_S)

    def _standing(self, move: Move) -> TransferPhase:
        """NONE also where the source knows no such instance."""
        try:
            return self._compute.live_transfer(move.source, move.uuid).phase
        except InstanceStateError:
            return TransferPhase.NONE

    def _watched(self, move: Move, watch: "_Watch") -> Transfer:
        """How it was when it was over, or when the source had been silent for too long: NONE then."""
        silent_since_s: float | None = None
        wait_s = FIRST_WAIT_S
        while True:
            self._journal.refresh(move)
            self._look_for_a_reason(move, watch)
            try:
                transfer = self._compute.live_transfer(move.source, move.uuid)
                self._note(move, watch, transfer)
                if transfer.phase is not TransferPhase.RUNNING:
                    return transfer
                silent_since_s = None
                self._act(move, watch)
            except BusUnavailableError:
                raise
            except InstanceStateError as exc:
                return Transfer(TransferPhase.NONE, error=str(exc))
            except UncertainError:
                raise
            except CloudError as exc:
                now_s = self._clock_s()
                silent_since_s = now_s if silent_since_s is None else silent_since_s
                if now_s - silent_since_s >= self._patience.silence_s:
                    return Transfer(TransferPhase.NONE, error=str(exc))
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
        """As is wanted: on each wish once, and then it is waited for."""
        now_s = self._clock_s()
        if watch.why is not None and watch.aborted_s is None:
            self._compute.abort_live_transfer(move.source, move.uuid)
            watch.aborted_s = now_s
        elif watch.aborted_s is not None and now_s >= watch.aborted_s + self._patience.silence_s:
            raise UncertainError(f"cannot abort the transfer of instance {move.uuid}: it does not end")
        elif move.migration.is_force_complete_wanted and not watch.is_forced:
            self._compute.force_live_transfer(move.source, move.uuid)
            watch.is_forced = True
            self._note_mode(move, "paused")

    def _note(self, move: Move, watch: "_Watch", transfer: Transfer) -> None:
        now_s = self._clock_s()
        is_over = transfer.phase is not TransferPhase.RUNNING
        if transfer.phase is TransferPhase.NONE:
            return
        if is_over or now_s >= watch.next_note_s:
            watch.next_note_s = now_s + NOTED_EVERY_S
            values = {name: getattr(transfer, name) for name in _NOTED}
            self._journal.note(move, downtime_ms=transfer.downtime_ms, **values)
        is_far = transfer.progress >= watch.said_percent + SAID_EVERY_PERCENT
        if not is_over and (is_far or now_s >= watch.next_said_s):
            watch.next_said_s = now_s + SAID_EVERY_S
            watch.said_percent = transfer.progress
            line = logger.bind(event=MIGRATION.event("transfer", PROGRESS), step="transfer", **described_live(move))
            line.bind(**{name: getattr(transfer, name) for name in _NOTED}).info("transfer goes on")

    def _is_at_source(self, move: Move) -> bool:
        """UncertainError where it is not certain; MoveAbortedError where neither has it because it is deleted."""
        try:
            return self._side(move) is Side.SOURCE
        except UncertainError:
            self._journal.refresh(move)
            raise

    def _side(self, move: Move) -> Side:
        """UncertainError where it is not certain: nothing is done to either then."""
        at_source, at_destination = self._state(move.source, move), self._state(move.destination, move)
        source_has_it = isinstance(at_source, PowerState)
        destination_has_it = isinstance(at_destination, PowerState)
        if source_has_it and at_destination is not PowerState.RUNNING:
            return Side.SOURCE
        if destination_has_it and (at_source is None or (at_destination is PowerState.RUNNING and not source_has_it)):
            return Side.DESTINATION
        raise UncertainError(
            f"cannot tell where instance {move.uuid} is: "
            f"host {move.source} {_said(at_source)}, host {move.destination} {_said(at_destination)}"
        )

    def _state(self, host: str, move: Move) -> "PowerState | CloudError | None":
        """The error where it does not say."""
        try:
            return self._compute.guest_state(host, move.uuid)
        except BusUnavailableError:
            raise
        except CloudError as exc:
            return exc


@dataclass(slots=True)
class _Watch:
    """What whoever watches a transfer has in mind."""

    began_s: float
    next_note_s: float
    next_said_s: float
    said_percent: int = 0
    why: CloudError | None = None
    """Why it is to be aborted."""
    aborted_s: float | None = None
    """When that was asked for."""
    is_forced: bool = False
    """Whether it is paused, so that it comes to its end."""


def described_live(move: Move) -> Mapping[str, object]:
    """The fields of every line, and how it goes over, where that is known."""
    known = {"mode": (move.migration.destination or {}).get("mode"), "downtime_ms": move.migration.downtime_ms}
    return {**described(move), **{name: value for name, value in known.items() if value is not None}}


def _failure(move: Move, transfer: Transfer) -> str:
    said = transfer.error or f"host {move.source} knows of no transfer any more"
    return said if said.startswith("cannot ") else f"cannot transfer instance {move.uuid}: {said}"


def _said(state: "PowerState | CloudError | None") -> str:
    if isinstance(state, CloudError):
        return f"does not say ({state})"
    return "does not have it" if state is None else f"has it, {state.name.lower()}"
