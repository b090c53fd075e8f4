"""Three hosts and their hypervisors, on both databases, for instances that are off and for those that run."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cloud.db.engine import Database
from tests.conductor.conftest import MEMORY, brokers, bus, clock, database, kept_database, postgresql, shared_broker
from tests.conductor.moves.live_site import LiveSite
from tests.conductor.moves.resize_site import CASES, Case, ResizeSite
from tests.db.conftest import Clock
from tests.services.conftest import lines

MOVES = Path(__file__).parent

__all__ = ["brokers", "bus", "clock", "database", "kept_database", "lines", "postgresql", "shared_broker"]


@pytest.fixture
def directory() -> Iterator[Path]:
    """What hypervisors keep: in memory, where there is such a place."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as path:
        yield Path(path)


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def site(database: Database, clock: Clock, directory: Path, case: Case) -> ResizeSite:
    """Of instances that are off."""
    return ResizeSite(database, clock, directory, case)


@pytest.fixture
def live(database: Database, clock: Clock, directory: Path) -> LiveSite:
    """Of instances that run; their disks are on their own hosts."""
    return LiveSite(directory, database, clock)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On PostgreSQL a test has one case that goes to another host, and one that stays: in others tables do the same."""
    seen: set[tuple[str, ...]] = set()
    kept: list[pytest.Item] = []
    repeated: list[pytest.Item] = []
    for item in items:
        params = dict(item.callspec.params) if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if params.get("kept_database") != "postgresql" or "case" not in params or MOVES not in item.path.parents:
            kept.append(item)
            continue
        stays = "where it is" in str(params.pop("case"))
        kind = (item.nodeid.partition("[")[0], str(stays), *(str(params[name]) for name in sorted(params)))
        (repeated if kind in seen else kept).append(item)
        seen.add(kind)
    items[:] = kept
    config.hook.pytest_deselected(items=repeated)
