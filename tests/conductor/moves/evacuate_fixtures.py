"""What an evacuation is tried on."""

from pathlib import Path

import pytest

from cloud.db.engine import Database
from tests.conductor.moves.evacuate_site import CASES, Case, EvacuationSite
from tests.db.conftest import Clock


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    """Each that is known, unless a test has cases of its own."""
    found = request.param
    return found if isinstance(found, Case) else CASES[found]


@pytest.fixture
def site(database: Database, clock: Clock, directory: Path, case: Case) -> EvacuationSite:
    """Three hosts, the first of which is down."""
    return EvacuationSite(database, clock, directory, case)
