"""One browser and one collector with real lines for each module; a page of its own for each test."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from cloud.dashboards.pages import DIST
from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.collector.batches import table_of
from tests.dashboards import stories
from tests.dashboards.lines import routine, story
from tests.query.serving import Served

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MINUTE_US = 60_000_000
ROUTINE_MINUTES = 14
LINES_A_MINUTE = 60
TOTAL = ROUTINE_MINUTES * LINES_A_MINUTE + 13
WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 390, "height": 844}
TIMEOUT_MS = 10_000


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    assert (DIST / "index.html").exists(), "the web UI is not built: run make ui"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    """A quarter of an hour that has just gone by."""
    opened = DuckDbStore(tmp_path_factory.mktemp("dashboards"))
    fill(opened)
    yield opened
    opened.close()


def fill(store: DuckDbStore) -> None:
    begun_us = time.time_ns() // 1000 - (ROUTINE_MINUTES + 0.5) * MINUTE_US
    for minute in range(ROUTINE_MINUTES):
        numbers = range(minute * LINES_A_MINUTE, (minute + 1) * LINES_A_MINUTE)
        store.append(table_of(*map(routine, numbers), observed_us=int(begun_us + minute * MINUTE_US)))
    store.append(table_of(*story(), observed_us=int(begun_us + ROUTINE_MINUTES * MINUTE_US)))


@pytest.fixture(scope="module")
def served(store: DuckDbStore) -> Iterator[Served]:
    with Served(store) as served:
        yield served


@pytest.fixture(scope="package")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A collector with the stories of procedures, for the modules that look at these."""
    store = DuckDbStore(tmp_path_factory.mktemp("stories"))
    stories.fill(store, datetime.now(UTC))
    with Served(store) as served:
        yield served
    store.close()


@pytest.fixture
def context(browser: Browser, served: Served) -> Iterator[BrowserContext]:
    opened = browser.new_context(base_url=served.url, viewport=WIDE, timezone_id="UTC", locale="en-GB")
    opened.set_default_timeout(TIMEOUT_MS)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """Whose console stays without errors: a refusal by the Content-Security-Policy is one."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    unexpected = [each for each in complaints if "Failed to load resource" not in each]
    assert unexpected == []


def screenshot_of(page: Page, path: Path) -> None:
    page.screenshot(path=path, animations="disabled")
