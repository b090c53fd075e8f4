"""A compute host for one test."""

from pathlib import Path

import pytest

from cloud.db.engine import open_database
from cloud.db.schema import sync
from tests.compute.neighbours import Neighbours
from tests.compute.site import Site
from tests.db.conftest import Clock, standing_sqlite
from tests.services.conftest import lines
from tests.standing import Standing

__all__ = ["lines", "standing_sqlite"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our tables with nothing in them, to be copied: making them takes longer than most tests."""
    path = tmp_path_factory.mktemp("database") / "nova.db"
    with open_database(f"sqlite:///{path}") as database:
        sync(database)
    return path


@pytest.fixture
def site(tmp_path: Path, standing_sqlite: Standing, clock: Clock) -> Site:
    return Site(tmp_path, standing_sqlite.restored(), clock)


@pytest.fixture
def neighbours(request: pytest.FixtureRequest, tmp_path: Path, standing_sqlite: Standing, clock: Clock) -> Neighbours:
    """Each host with disks of its own, unless `on_shared_storage` says otherwise."""
    return Neighbours(tmp_path, standing_sqlite.restored(), clock, shares_disks=getattr(request, "param", False))


on_shared_storage = pytest.mark.parametrize("neighbours", [True], indirect=True)
on_either_storage = pytest.mark.parametrize(
    "neighbours", [False, True], indirect=True, ids=["own disks", "shared disks"]
)
