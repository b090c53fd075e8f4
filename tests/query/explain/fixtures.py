"""What procedures are tried on."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cloud.db.engine import Database
from tests.conductor.conftest import MEMORY
from tests.conductor.moves.evacuate_site import Case as EvacuationCase
from tests.conductor.moves.evacuate_site import EvacuationSite
from tests.conductor.moves.live_site import LiveSite
from tests.conductor.moves.resize_site import Case as ResizeCase
from tests.conductor.moves.resize_site import ResizeSite
from tests.conductor.site import Site
from tests.db.conftest import Clock


@pytest.fixture
def directory() -> Iterator[Path]:
    """What hypervisors keep: in memory, where there is such a place."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as path:
        yield Path(path)


@pytest.fixture
def live(database: Database, clock: Clock, directory: Path) -> LiveSite:
    """Three hosts with room; disks are on their own hosts."""
    return LiveSite(directory, database, clock)


@pytest.fixture
def resize(database: Database, clock: Clock, directory: Path, case: ResizeCase) -> ResizeSite:
    """Three hosts, and instances as the case has them."""
    return ResizeSite(database, clock, directory, case)


@pytest.fixture
def evacuation(database: Database, clock: Clock, directory: Path, case: EvacuationCase) -> EvacuationSite:
    """Three hosts, the first of which is down."""
    return EvacuationSite(database, clock, directory, case)


@pytest.fixture
def build_site(database: Database, clock: Clock) -> Site:
    """Three hosts with room for four small instances each."""
    return Site(database, clock)
