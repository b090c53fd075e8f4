"""Every kind of move that there is."""

from collections.abc import Callable, Sequence
from datetime import datetime

from cloud.services.compute.client import ComputeClient
from cloud.services.conductor.moves import evacuate, live, resize
from cloud.services.conductor.moves.journal import Journal
from cloud.services.conductor.moves.move import Kind, MoveServices
from cloud.services.conductor.moves.patience import Patience
from cloud.services.conductor.tables import Tables


def make_kinds(
    tables: Tables,
    services: MoveServices[ComputeClient],
    journal: Journal,
    patience: Patience,
    now: Callable[[], datetime],
) -> Sequence[Kind]:
    """No two of them are for the same migration."""
    return (
        *live.make_kinds(tables, services, journal, patience, now),
        *resize.make_kinds(tables, services, journal, patience),
        *evacuate.make_kinds(tables, services, journal, now),
    )
