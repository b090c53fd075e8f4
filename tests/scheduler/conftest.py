"""The databases and brokers that the scheduler's neighbours are tested with."""

from tests.db.conftest import (
    Clock,
    clock,
    database,
    kind,
    postgresql,
    services,
    standing,
    standing_postgresql,
    standing_sqlite,
)
from tests.rpc.conftest import brokers, shared_broker
from tests.services.conftest import lines

__all__ = [
    "Clock",
    "brokers",
    "clock",
    "database",
    "kind",
    "lines",
    "postgresql",
    "services",
    "shared_broker",
    "standing",
    "standing_postgresql",
    "standing_sqlite",
]
