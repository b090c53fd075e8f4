"""The hypervisors that must behave alike, each with a way to make its driver anew, as a restart does."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud.virt.driver import Driver
from cloud.virt.machine import read_resources
from cloud.virt.simulated.driver import HostSize, SimulatedDriver
from cloud.virt.simulated.knobs import Knobs, KnobSettings

MakeDriver = Callable[[], Driver]
"""Each call gives a new driver of the same hypervisor."""


def simulated(directory: Path) -> MakeDriver:
    def make() -> Driver:
        knobs = Knobs(KnobSettings(), directory / "knobs.toml", wait_s=lambda _s: None, chance=lambda: 0.5)
        return SimulatedDriver(
            directory,
            knobs,
            size=HostSize(),
            read_machine=lambda: read_resources(directory),
            now=lambda: datetime.now(UTC),
        )

    return make


HYPERVISORS = {"simulated": simulated}


@pytest.fixture(params=HYPERVISORS)
def make_driver(request: pytest.FixtureRequest, tmp_path: Path) -> MakeDriver:
    return HYPERVISORS[request.param](tmp_path / "hypervisor")


@pytest.fixture
def driver(make_driver: MakeDriver) -> Driver:
    return make_driver()
