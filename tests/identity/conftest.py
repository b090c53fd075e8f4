"""The identity service on each database, as it is served: on a free port, with clocks that a test moves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.db.engine import Database, open_database
from cloud.db.schema import sync
from tests.db.conftest import LIMITS, Clock, clock, database, postgresql, url
from tests.identity.site import Site
from tests.services.conftest import lines

__all__ = ["clock", "database", "lines", "postgresql", "url"]


@pytest.fixture
def site(database: Database, clock: Clock) -> Iterator[Site]:
    with Site(database, clock) as site:
        yield site


@pytest.fixture
def local_site(tmp_path: Path, clock: Clock) -> Iterator[Site]:
    """One on SQLite, for what does not depend on the database."""
    with open_database(f"sqlite:///{tmp_path}/identity.db", LIMITS) as database:
        sync(database)
        with Site(database, clock) as site:
            yield site
