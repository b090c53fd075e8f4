"""What holds for every test: the fast ones first, which may run beside others, and in CI no unexpected skip."""

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

ALLOWED_SKIPS = Path(__file__).parent / "allowed_skips"
BESIDE_OTHERS = ("compute", "conductor", "db", "doctor", "generator", "identity", "scheduler")
"""Folders whose tests with a server measure no time, and start no cloud that would take it from others."""


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
    """Tests that need a server come last, those that need the machine to themselves behind all others."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if item.get_closest_marker("server") is not None and folder not in BESIDE_OTHERS:
            item.add_marker("alone")
    items.sort(key=lambda item: [item.get_closest_marker(name) is not None for name in ("server", "alone")])


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
