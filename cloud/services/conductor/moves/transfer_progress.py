"""How far the transfer of an instance that runs has come -> the migration's row, and now and then the log."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from cloud.logs.emit import logger
from cloud.logs.events import MIGRATION, PROGRESS
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import Move, described
from cloud.virt.moving import Transfer, TransferPhase

NOTED_EVERY_S = 1.0
SAID_EVERY_S = 30.0
SAID_EVERY_PERCENT = 10

_NOTED = tuple(each.name for each in fields(Transfer) if each.name.startswith(("progress", "memory_", "disk_")))


@dataclass(slots=True)
class Told:
    """What was told of one transfer already, and when it is told next, by the clock that is waited by."""

    next_note_s: float
    next_line_s: float
    percent: int = 0

    def tell(self, journal: Journal, move: Move, transfer: Transfer, now_s: float) -> None:
        """As often as it is of use; at its end once more, for the row only."""
        if transfer.phase is TransferPhase.NONE:
            return
        is_over = transfer.phase is not TransferPhase.RUNNING
        known = {name: getattr(transfer, name) for name in _NOTED}
        if is_over or now_s >= self.next_note_s:
            self.next_note_s = now_s + NOTED_EVERY_S
            journal.note(move, downtime_ms=transfer.downtime_ms, **known)
        is_far = transfer.progress >= self.percent + SAID_EVERY_PERCENT
        if not is_over and (is_far or now_s >= self.next_line_s):
            self.next_line_s = now_s + SAID_EVERY_S
            self.percent = transfer.progress
            line = logger.bind(event=MIGRATION.event("transfer", PROGRESS), step="transfer", **described_live(move))
            line.bind(**known).info("transfer goes on")


def described_live(move: Move) -> Mapping[str, object]:
    """The fields of every line, and how it goes over, where that is known."""
    known = {"mode": (move.migration.destination or {}).get("mode"), "downtime_ms": move.migration.downtime_ms}
    return {**described(move), **{name: value for name, value in known.items() if value is not None}}
