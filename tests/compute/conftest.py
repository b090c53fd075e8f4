"""A compute host for one test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.db.engine import open_database
from cloud.db.schema import sync
from tests.compute.neighbours import Neighbours
from tests.compute.site import Site
from tests.db.conftest import Clock
from tests.services.conftest import lines

__all__ = ["lines"]


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
def site(tmp_path: Path, empty_database: Path, clock: Clock) -> Iterator[Site]:
    shutil.copy(empty_database, tmp_path / "nova.db")
    with open_database(f"sqlite:///{tmp_path}/nova.db") as database:
        yield Site(tmp_path, database, clock)


@pytest.fixture
def neighbours(
    request: pytest.FixtureRequest, tmp_path: Path, empty_database: Path, clock: Clock
) -> Iterator[Neighbours]:
    """Each host with disks of its own, unless `on_shared_storage` says otherwise."""
    shutil.copy(empty_database, tmp_path / "nova.db")
    with open_database(f"sqlite:///{tmp_path}/nova.db") as database:
        yield Neighbours(tmp_path, database, clock, shares_disks=getattr(request, "param", False))


on_shared_storage = pytest.mark.parametrize("neighbours", [True], indirect=True)
on_either_storage = pytest.mark.parametrize(
    "neighbours", [False, True], indirect=True, ids=["own disks", "shared disks"]
)
