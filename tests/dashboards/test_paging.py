"""Lines page by page in a real browser: as one scrolls in Explore, and around a line that has an address."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.dashboards.conftest import TOTAL

pytestmark = pytest.mark.server
FAILED = "cannot migrate: destination compute-02 has no room"
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture
def line(page: Page) -> Page:
    """Of a line with an address of its own, those around it."""
    page.goto("/explore?q=migration%3A42+severity%3Aerr&since=1h")
    lines_of(page).first.click()
    page.get_by_role("link", name="Lines around").click()
    expect(page.locator(".current")).to_have_attribute("aria-expanded", "true")
    return page


def lines_of(page: Page) -> Locator:
    return page.get_by_role("treegrid").locator("[role=row][aria-selected]")


def status_of(page: Page) -> Locator:
    return page.locator(".toolbar [role=status]")


def test_a_page_that_fails_is_asked_for_again_only_on_demand(page: Page) -> None:
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=503, body='{"detail": "too busy for that"}')

    page.goto("/explore?since=1h")
    expect(status_of(page)).to_contain_text(f"of {TOTAL} lines")
    page.route("**/api/v1/search?*cursor=*", refuse)
    page.keyboard.press("G")
    expect(page.get_by_role("alert").filter(has_text="too busy for that")).to_be_visible()
    for key in "gG":
        page.keyboard.press(key)
    expect(lines_of(page).last).to_be_in_viewport()
    assert len(asked) == 1
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(status_of(page)).to_have_text(f"{TOTAL} lines")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_a_search_that_has_not_come_to_the_end_of_its_time_goes_on(page: Page) -> None:
    none: dict[str, Any] = {"rows": [], "since": None, "until": None, "took_s": 10.0}
    partly = {**none, "next": "further", "is_partial": True, "reached": "2027-01-15T12:00:00Z"}
    page.route("**/api/v1/search?*since=*", lambda route: route.fulfill(json=partly))
    whole = {**none, "next": None, "is_partial": False, "reached": None}
    page.route("**/api/v1/search?*cursor=further*", lambda route: route.fulfill(json=whole))
    page.goto("/explore?since=15m")
    expect(page.get_by_text("None found back to 01-15 12:00:00.000.")).to_be_visible()
    page.get_by_role("button", name="Search on").click()
    expect(page.get_by_text("No lines in this time.").last).to_be_visible()
    with page.expect_response(re.compile(r"/api/v1/search\?")):
        page.get_by_role("button", name="Search", exact=True).click()
    expect(page).to_have_url(re.compile(r"/explore$"))


def test_a_line_has_an_address_with_those_around_it(line: Page) -> None:
    expect(line.locator(".current")).to_contain_text(FAILED)
    expect(line.locator(".current")).to_have_attribute("aria-expanded", "true")
    assert lines_of(line).count() > 10
    line.get_by_role("link", name="Of all hosts").click()
    expect(line.get_by_text("migration 42 failed and was undone")).to_be_visible()
    line.reload()
    expect(line.locator(".current")).to_contain_text(FAILED)
    line.goto("/lines/999999999")
    expect(line.get_by_role("alert")).to_contain_text("cannot find row 999999999")


def test_more_lines_before_or_after_one_leave_what_is_seen_where_it_is(line: Page) -> None:
    selected = line.get_by_role("treegrid").locator("[aria-selected=true]")
    expect(selected).to_contain_text(FAILED)
    line.keyboard.press("k")
    line.keyboard.press("Enter")
    expect(selected).not_to_contain_text(FAILED)
    expect(line.locator(".details")).to_have_count(2)
    line.evaluate(TWO_FRAMES)
    was, text = selected.bounding_box(), selected.inner_text()
    rows = int(line.get_by_role("treegrid").get_attribute("aria-rowcount") or 0)
    line.get_by_role("button", name="More before").click()
    expect(line.get_by_role("treegrid")).to_have_attribute("aria-rowcount", str(rows + 50))
    expect(selected).to_have_text(text, use_inner_text=True)
    now = selected.bounding_box()
    assert was
    assert now
    assert now["y"] == pytest.approx(was["y"], abs=2)
    with line.expect_response(re.compile(r"/api/v1/context/.*after=100")):
        line.get_by_role("button", name="More after").click()
    expect(line.locator(".details")).to_have_count(2)
    expect(selected).to_have_text(text, use_inner_text=True)
