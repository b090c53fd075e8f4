"""What a resize or a cold migration is tried on."""

from pathlib import Path

import pytest

from cloud.db.engine import Database
from tests.conductor.moves.resize_site import CASES, Case, ResizeSite
from tests.db.conftest import Clock


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    """Each that is known, unless a test has cases of its own."""
    return CASES[request.param]


@pytest.fixture
def site(database: Database, clock: Clock, directory: Path, case: Case) -> ResizeSite:
    """Three hosts, on one of which there is room where the instance stays."""
    return ResizeSite(database, clock, directory, case)
