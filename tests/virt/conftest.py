"""The hypervisors that must behave alike."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.virt.hypervisors import Lab, MakeDriver, MovingDriver, SimulatedLab
from tests.virt.pair import Pair

HYPERVISORS: dict[str, Callable[[Path], Lab]] = {"simulated": SimulatedLab}


@pytest.fixture(params=HYPERVISORS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    directory = tmp_path / "hosts"
    directory.mkdir()
    return HYPERVISORS[request.param](directory)


@pytest.fixture
def make_driver(lab: Lab) -> MakeDriver:
    return lab.host("compute-01")


@pytest.fixture
def driver(make_driver: MakeDriver) -> MovingDriver:
    return make_driver()


@pytest.fixture(params=[False, True], ids=["own-disks", "shared-disks"])
def pair(request: pytest.FixtureRequest, lab: Lab) -> Pair:
    return Pair(lab, has_shared_disks=request.param)


@pytest.fixture
def shared_pair(lab: Lab) -> Pair:
    return Pair(lab, has_shared_disks=True)


@pytest.fixture
def simulated(tmp_path: Path) -> SimulatedLab:
    return SimulatedLab(tmp_path)


@pytest.fixture
def simulated_pair(simulated: SimulatedLab) -> Pair:
    """With disks of their own; the source has the instance."""
    pair = Pair(simulated, has_shared_disks=False)
    pair.spawn()
    return pair
