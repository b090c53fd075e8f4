"""Which host has an instance that may be on either: both hypervisors are asked, and nothing is assumed."""

import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Protocol

from cloud.domain.instance import PowerState
from cloud.errors import CloudError, InstanceStateError
from cloud.rpc.errors import BusUnavailableError
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import LostError, Move, UncertainError
from cloud.services.conductor.moves.patience import FIRST_WAIT_S
from cloud.virt.moving import Transfer, TransferPhase


class TransferCompute(Protocol):
    """What a transfer asks of nova-compute on either host. A second time changes nothing."""

    def start_live_transfer(self, host: str, uuid: str, destination: Mapping[str, Any], *, block: bool) -> bool:
        """At the source; whether the instance runs meanwhile, as nova.conf there says."""

    def live_transfer(self, host: str, uuid: str) -> Transfer: ...

    def abort_live_transfer(self, host: str, uuid: str) -> None: ...

    def force_live_transfer(self, host: str, uuid: str) -> None:
        """The instance is paused from now on, so that it comes to its end."""

    def cancel_live_arrival(self, host: str, uuid: str) -> None: ...

    def clear_departed(self, host: str, uuid: str, *, keeps_disk: bool) -> None: ...

    def destroy(self, host: str, uuid: str) -> None: ...

    def guest_state(self, host: str, uuid: str) -> PowerState | None:
        """None when its hypervisor has no such instance."""


class Side(StrEnum):
    """Where the instance certainly is."""

    SOURCE = "source"
    DESTINATION = "destination"


class Sides:
    """What both hosts say of one instance."""

    def __init__(
        self, compute: TransferCompute, journal: Journal, *, wait: Callable[[float], None] = time.sleep
    ) -> None:
        """`wait` lets so many seconds pass."""
        self._compute = compute
        self._journal = journal
        self._wait = wait

    def side(self, move: Move) -> Side:
        """UncertainError where it is not certain, LostError where neither has it.

        Asked twice at once, where it is for the first time that a host does not say.
        """
        try:
            return self._side(move)
        except UncertainError:
            if move.migration.uncertain_since is not None:
                raise
            self._wait(FIRST_WAIT_S)
            self._journal.prove(move)
            return self._side(move)

    def standing(self, move: Move) -> TransferPhase:
        """How the transfer stands at the source; NONE also where that knows no such instance."""
        try:
            return self._compute.live_transfer(move.source, move.uuid).phase
        except InstanceStateError:
            return TransferPhase.NONE

    def is_silent(self, move: Move, host: str) -> bool:
        """Whether it does not say what it has of the instance."""
        return isinstance(self._state(host, move), CloudError)

    def _side(self, move: Move) -> Side:
        at_source, at_destination = self._state(move.source, move), self._state(move.destination, move)
        source_has_it = isinstance(at_source, PowerState)
        destination_has_it = isinstance(at_destination, PowerState)
        if source_has_it and at_destination is not PowerState.RUNNING:
            return Side.SOURCE
        if destination_has_it and (at_source is None or (at_destination is PowerState.RUNNING and not source_has_it)):
            return Side.DESTINATION
        error = LostError if at_source is None and at_destination is None else UncertainError
        told = {move.source: at_source, move.destination: at_destination}
        raise error(f"cannot tell where instance {move.uuid} is: {_said(told)}")

    def _state(self, host: str, move: Move) -> PowerState | CloudError | None:
        """The error where it does not say."""
        try:
            return self._compute.guest_state(host, move.uuid)
        except BusUnavailableError:
            raise
        except CloudError as exc:
            return exc


def _said(told: Mapping[str, PowerState | CloudError | None]) -> str:
    return ", ".join(f"host {host} {_in_words(state)}" for host, state in told.items())


def _in_words(state: PowerState | CloudError | None) -> str:
    if isinstance(state, CloudError):
        return f"does not say ({state})"
    return "does not have it" if state is None else f"has it, {state.name.lower()}"
