"""Moves, from a queue of their own: a migration's id comes off the bus, and it is moved to its end."""

from cloud.rpc.errors import BadMessageError
from cloud.rpc.methods import methods_of, rpc_method
from cloud.rpc.publisher import Publisher
from cloud.services.conductor.client import MOVES
from cloud.services.conductor.moves.mover import Mover
from cloud.services.conductor.own_queue import OwnQueueServer


class MoveMethods:
    """What comes from that queue."""

    def __init__(self, mover: Mover) -> None:
        self._mover = mover

    @rpc_method
    def move_instance(self, migration_id: int) -> None:
        """Go on with a migration to its end; see Mover.move. What is wanted is what its row says."""
        if type(migration_id) is not int or migration_id < 1:
            raise BadMessageError(f"cannot move instance: {migration_id!r} is no id of a migration")
        self._mover.move(migration_id)


class MoveServer(OwnQueueServer):
    """Every nova-conductor has one; they take turns."""

    def __init__(self, publisher: Publisher, host: str, methods: MoveMethods, *, workers: int) -> None:
        """It closes `publisher` when it stops."""
        super().__init__(publisher, MOVES, host, methods_of(methods), workers=workers)
