"""For how long what is borne, and how often it is asked meanwhile."""

from dataclasses import dataclass

from cloud.services.conductor.moves.move import Move

FIRST_WAIT_S = 0.2
MAX_WAIT_S = 2.0
"""Between two questions how a transfer stands: longer each time, within these bounds."""


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds."""

    transfer_s: float = 1800.0
    """A transfer may take; 0: as long as it takes."""
    disk_transfer_s: float = 7200.0
    """The disk of an instance that is off may take; 0 as above."""
    silence_s: float = 60.0
    """A source may not answer, or a transfer not end that is aborted."""

    def silence_of(self, move: Move) -> float:
        """A host that was silent when it was last asked is not waited for once more."""
        return self.silence_s if move.migration.uncertain_since is None else 0.0
