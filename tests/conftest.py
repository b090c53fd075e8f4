"""What holds for every test: the fast ones first, and in CI no skip that nobody has allowed."""

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

ALLOWED_SKIPS = Path(__file__).parent / "allowed_skips"


def allowed_skips() -> dict[str, str]:
    """Node ids of tests that CI may skip, each with its reason; lines are `NODE_ID  # reason`."""
    lines = ALLOWED_SKIPS.read_text().splitlines()
    pairs = (line.partition("#") for line in lines if line.strip() and not line.startswith("#"))
    return {node.strip(): reason.strip() for node, _, reason in pairs}


def pytest_configure() -> None:
    """A shell starts what it runs in the background with SIGINT ignored, and children inherit that: undo it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need a server come last; the order is otherwise as collected."""
    items.sort(key=lambda item: item.get_closest_marker("server") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skip is a failure unless tests/allowed_skips names it."""
    report = yield
    is_plain_skip = report.skipped and not hasattr(report, "wasxfail")
    if is_plain_skip and os.environ.get("CI") == "true" and item.nodeid not in allowed_skips():
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, and tests/allowed_skips does not name it: {report.longrepr}"
    return report
