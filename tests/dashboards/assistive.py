"""What stands in the way of assistive technology on a page, and whether the page fits its window."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page

from tests.dashboards.conftest import NARROW, WIDE
from tests.query.serving import Served

AXE = Path(__file__).parents[2] / "dashboards" / "node_modules" / "axe-core" / "axe.min.js"


def found_in_the_way(
    browser: Browser, served: Served, pages: dict[str, Callable[[Page], None]], look: Literal["wide", "narrow"]
) -> dict[str, list[str]]:
    """By the path, of those where there is anything; wide and light, or narrow and dark.

    A page is ready once its callable returns.
    """
    viewport, scheme = (WIDE, "light") if look == "wide" else (NARROW, "dark")
    context = browser.new_context(base_url=served.url, viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    found = {path: _trouble(page, path, is_ready) for path, is_ready in pages.items()}
    context.close()
    return {path: told for path, told in found.items() if told}


def _trouble(page: Page, path: str, is_ready: Callable[[Page], None]) -> list[str]:
    page.goto(path)
    is_ready(page)
    return trouble_on(page)


def trouble_on(page: Page) -> list[str]:
    """On a page as it is now."""
    too_wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    page.evaluate(AXE.read_text())
    violations = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    serious = [
        f"{each['id']}: {each['nodes'][0]['html'][:200]} {each['nodes'][0].get('failureSummary')}"
        for each in violations
        if each["impact"] in ("serious", "critical")
    ]
    return [*(["it scrolls sideways"] if too_wide else []), *serious]
