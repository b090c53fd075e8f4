"""Takes the pictures of README's walk-through: `python -m tests.dashboards.pictures`."""

import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.collector.batches import table_of
from tests.dashboards import stories
from tests.dashboards.conftest import ARGUMENTS, CHROMIUM
from tests.dashboards.lines import line, routine
from tests.query.serving import Served

PICTURES = Path(__file__).parents[2] / "dashboards" / "pictures"
SIZE: ViewportSize = {"width": 1120, "height": 640}
MINUTES = 15
BURST_MINUTE = 9
LIVE_S = 4.0
MINUTE_US = 60_000_000


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        with _served(Path(directory, "lines")) as (store, url):
            _quarter_of_an_hour(store)
            _take_explore(browser, url)
            _take_live(browser, url, store)
        with _served(Path(directory, "stories")) as (store, url):
            stories.fill(store, datetime.now(UTC))
            _take_migration(browser, url)
        browser.close()


@contextmanager
def _served(directory: Path) -> Iterator[tuple[DuckDbStore, str]]:
    directory.mkdir()
    store = DuckDbStore(directory)
    try:
        with Served(store) as served:
            yield store, served.url
    finally:
        store.close()


def _quarter_of_an_hour(store: DuckDbStore) -> None:
    """Of a small cloud whose compute-02 runs out of room for a while."""
    chance = random.Random(1)  # noqa: S311
    begun_us = time.time_ns() // 1000 - MINUTES * MINUTE_US
    for minute in range(MINUTES):
        quiet = [routine(minute * 60 + each) for each in range(chance.randint(35, 60))]
        full = [_full(chance) for _ in range(12 if minute in (BURST_MINUTE, BURST_MINUTE + 1) else 0)]
        store.append(table_of(*quiet, *full, observed_us=begun_us + minute * MINUTE_US))


def _full(chance: random.Random) -> bytes:
    request = f"req-{chance.randrange(1 << 32):08x}-53c1-4b7e-8b59-3f6f0a2d9c10"
    message = f"cannot write {chance.randint(1, 64)} MiB: No space left on device"
    return line("compute-02", "nova-compute", 17, 3, message, request_id=request, status=500)


def _page(browser: Browser, url: str) -> Page:
    return browser.new_page(base_url=url, viewport=SIZE, timezone_id="UTC", locale="en-GB", color_scheme="light")


def _take_explore(browser: Browser, url: str) -> None:
    page = _page(browser, url)
    page.goto("/")
    rows = page.get_by_role("treegrid").locator("[role=row][aria-selected]")
    expect(rows.first).to_be_visible()
    rows.filter(has_text="No space left").first.or_(rows.first).first.click()
    _take(page, "explore")


def _take_live(browser: Browser, url: str, store: DuckDbStore) -> None:
    page = _page(browser, url)
    page.goto("/live")
    expect(page.locator(".state")).to_have_text("Live")
    ended = threading.Event()

    def go_on() -> None:
        number = 0
        while not ended.wait(0.05):
            number += 1
            store.append(table_of(routine(number), observed_us=time.time_ns() // 1000))

    arriving = threading.Thread(target=go_on)
    arriving.start()
    page.wait_for_timeout(LIVE_S * 1000)
    _take(page, "live")
    ended.set()
    arriving.join()


def _take_migration(browser: Browser, url: str) -> None:
    page = _page(browser, url)
    page.goto(f"/migrations/{stories.FAILED}")
    expect(page.get_by_role("heading", name=f"live-migration {stories.FAILED}")).to_be_visible()
    _take(page, "migration")


def _take(page: Page, name: str) -> None:
    page.wait_for_timeout(500)
    page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")
    page.close()


if __name__ == "__main__":
    main()
