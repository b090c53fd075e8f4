"""The databases and brokers that the scheduler's neighbours are tested with."""

from tests.db.conftest import Clock, clock, database, postgresql, services, url
from tests.rpc.conftest import brokers, shared_broker
from tests.services.conftest import lines

__all__ = ["Clock", "brokers", "clock", "database", "lines", "postgresql", "services", "shared_broker", "url"]
