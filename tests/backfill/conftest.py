"""One collector for the tests of a module, each of which has a host of its own."""

from collections.abc import Iterator

import httpx
import pytest

from cloud.logs.backfill.client import BackfillClient
from cloud.logs.collector.lines import Run
from tests.backfill.collecting import LineCollector


@pytest.fixture(scope="module")
def collector() -> Iterator[LineCollector]:
    with LineCollector() as started:
        yield started


@pytest.fixture
def client(collector: LineCollector) -> Iterator[BackfillClient]:
    with BackfillClient(collector.url) as client:
        yield client


@pytest.fixture
def http(collector: LineCollector) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{collector.url}/api/v1", timeout=10, trust_env=False) as http:
        yield http


@pytest.fixture
def host(request: pytest.FixtureRequest) -> str:
    return str(request.node.originalname).replace("_", "-")


@pytest.fixture
def run_a(host: str) -> Run:
    return Run(host, "A")


@pytest.fixture
def run_b(host: str) -> Run:
    """The one after `run_a`."""
    return Run(host, "B")
