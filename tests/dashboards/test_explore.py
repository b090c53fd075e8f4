"""Explore in a real browser, against a real collector."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.dashboards.conftest import NARROW, TOTAL, WIDE
from tests.dashboards.lines import HOSTILE, INODE, MIGRATED, REQUEST
from tests.query.serving import Served

pytestmark = pytest.mark.server
AXE = Path(__file__).parents[2] / "dashboards" / "node_modules" / "axe-core" / "axe.min.js"
FAILED = "cannot migrate: destination compute-02 has no room"


@pytest.fixture
def explore(page: Page) -> Page:
    """With all lines of the last quarter of an hour found."""
    page.goto("/explore?since=1h")
    expect(status_of(page)).to_contain_text(f"of {TOTAL} lines")
    return page


def lines_of(page: Page) -> Locator:
    return page.get_by_role("treegrid").locator("[role=row][aria-selected]")


def status_of(page: Page) -> Locator:
    return page.locator(".toolbar [role=status]")


def query_of(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Query")


def ask(page: Page, query: str) -> None:
    query_of(page).click()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.type(query)
    page.keyboard.press("ControlOrMeta+Enter")


def test_the_newest_lines_come_first_and_all_are_counted(explore: Page) -> None:
    expect(lines_of(explore).first).to_contain_text(HOSTILE[-1])
    expect(explore.get_by_label("Lines over time")).to_contain_text(str(TOTAL))
    expect(explore.get_by_role("button", name=re.compile(r"^controller-01 \d+"))).to_be_visible()


def test_a_query_is_part_of_the_address_and_the_way_back_undoes_it(explore: Page) -> None:
    ask(explore, "severity:>=err service:nova-compute room")
    expect(status_of(explore)).to_have_text("1 lines")
    expect(lines_of(explore)).to_contain_text(FAILED)
    assert "q=severity%3A%3E%3Derr+service%3Anova-compute+room" in explore.url
    explore.go_back()
    expect(status_of(explore)).to_contain_text(f"of {TOTAL} lines")
    expect(query_of(explore).locator(".cm-placeholder")).to_be_visible()
    explore.go_forward()
    explore.reload()
    expect(lines_of(explore)).to_contain_text(FAILED)


def test_a_query_that_cannot_be_read_is_marked_where(page: Page) -> None:
    page.goto("/explore?q=host%3Actl+severity%3A%3E%3Dloud&since=1h")
    expect(page.locator("#query-error")).to_contain_text("column 21")
    expect(page.locator(".q-error")).to_have_text("loud")
    expect(query_of(page)).to_have_attribute("aria-invalid", "true")
    ask(page, "severity:err")
    expect(page.locator("#query-error")).to_be_hidden()
    expect(lines_of(page).first).to_be_visible()


def test_names_and_values_are_offered(explore: Page) -> None:
    query_of(explore).click()
    explore.keyboard.type("serv")
    offered = explore.get_by_role("option")
    expect(offered.first).to_contain_text("service")
    explore.keyboard.press("Tab")
    expect(offered.filter(has_text="nova-conductor")).to_be_visible()
    explore.keyboard.type("nova-cond")
    expect(offered).to_have_count(1)
    explore.keyboard.press("ArrowDown")
    explore.keyboard.press("Enter")
    expect(query_of(explore)).to_have_text("service:nova-conductor")
    explore.keyboard.press("Enter")
    expect(explore).to_have_url(re.compile("q=service%3Anova-conductor&since=1h$"))


def test_values_are_included_and_excluded_by_click(explore: Page) -> None:
    values = explore.get_by_role("complementary", name="Values")
    values.get_by_role("button", name=re.compile(r"^compute-01 ")).click()
    expect(query_of(explore)).to_have_text("host:compute-01")
    values.get_by_role("button", name="No lines with severity debug").click()
    expect(query_of(explore)).to_have_text("host:compute-01 -severity:debug")
    expect(lines_of(explore).first).to_contain_text("compute-01")
    values.get_by_role("button", name=re.compile(r"^compute-01 ")).click()
    expect(query_of(explore)).to_have_text("-severity:debug")


def test_a_drag_over_the_histogram_is_a_time_range(explore: Page) -> None:
    box = explore.locator(".chart .u-over").bounding_box()
    assert box is not None
    explore.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 30)
    explore.mouse.down()
    explore.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 30, steps=4)
    explore.mouse.up()
    expect(explore).to_have_url(re.compile(r"since=20\d\d-.*&until=20\d\d-"))
    expect(status_of(explore)).not_to_contain_text(str(TOTAL))
    expect(lines_of(explore).first).to_be_visible()


def test_the_time_picker_has_spans_and_moments(explore: Page) -> None:
    explore.get_by_role("button", name="Time range:").click()
    explore.get_by_role("button", name="Last 5 minutes").click()
    expect(explore).to_have_url(re.compile(r"since=5m"))
    explore.get_by_role("button", name="Time range:").click()
    explore.get_by_label("From").fill("2020-01-01T00:00:00")
    explore.get_by_label("To (empty: now)").fill("2020-01-02T00:00:00")
    explore.get_by_role("button", name="Show", exact=True).click()
    expect(explore.get_by_text("No lines in this time.").last).to_be_visible()
    explore.get_by_role("button", name="Last 24 hours").click()
    expect(status_of(explore)).to_contain_text(f"of {TOTAL} lines")


def test_the_keyboard_reaches_everything(explore: Page) -> None:
    explore.keyboard.press("/")
    expect(query_of(explore)).to_be_focused()
    explore.keyboard.press("Escape")
    for key in ("j", "j", "k"):
        explore.keyboard.press(key)
    expect(lines_of(explore).nth(1)).to_have_attribute("aria-selected", "true")
    explore.keyboard.press("Enter")
    expect(lines_of(explore).nth(1)).to_have_attribute("aria-expanded", "true")
    explore.keyboard.press("Escape")
    expect(lines_of(explore).nth(1)).to_have_attribute("aria-expanded", "false")
    explore.keyboard.press("w")
    expect(explore).to_have_url(re.compile("wrap=1"))
    explore.keyboard.press("?")
    expect(explore.get_by_role("dialog", name="Keyboard and queries")).to_be_visible()
    explore.keyboard.press("Escape")
    explore.keyboard.press("c")
    expect(explore).to_have_url(re.compile(r"/lines/\d+$"))


def test_an_opened_line_shows_all_that_is_known_and_leads_on(explore: Page) -> None:
    ask(explore, "migration:42 severity:err")
    expect(status_of(explore)).to_have_text("1 lines")
    lines_of(explore).first.click()
    details = explore.locator(".details")
    expect(details).to_contain_text("nova.exception.MigrationPreCheckError")
    expect(details).to_contain_text("fields.status")
    details.get_by_role("button", name="JSON", exact=True).click()
    shown = json.loads(details.locator("pre").inner_text())
    assert (shown["instance"], shown["fields"]["status"], shown["fields"]["inode"]) == (MIGRATED, 500, INODE)
    details.get_by_role("button", name="JSON", exact=True).click()
    with explore.expect_response(re.compile(rf"/search\?.*fields\.inode%3A{INODE}")):
        details.get_by_role("button", name=f"Only lines with fields.inode {INODE}").click()
    expect(details).to_have_count(0)
    expect(lines_of(explore)).to_contain_text([FAILED])
    lines_of(explore).first.click()
    details.get_by_role("link", name="Same request").click()
    expect(query_of(explore)).to_have_text(f"request_id:{REQUEST}")
    expect(status_of(explore)).to_have_text("5 lines")


def test_columns_are_chosen_and_more_lines_come_as_one_scrolls(explore: Page) -> None:
    explore.get_by_role("button", name="Columns").click()
    explore.get_by_role("checkbox", name="facility").check()
    explore.get_by_label("Key of the JSON body").fill("took_ms")
    explore.keyboard.press("Enter")
    expect(explore).to_have_url(re.compile("columns=time%2Cseverity%2Chost%2Cservice%2Cfacility%2Cfields.took_ms"))
    expect(explore.get_by_role("columnheader", name="took_ms")).to_be_visible()
    explore.keyboard.press("Escape")
    explore.keyboard.press("G")
    expect(status_of(explore)).to_have_text(f"{TOTAL} lines")
    explore.keyboard.press("G")
    expect(lines_of(explore).last).to_contain_text("#0")
    assert lines_of(explore).count() < 120, "only what is in sight is in the page"


def test_a_pipe_gives_a_table(page: Page) -> None:
    page.goto("/explore?q=severity%3Aerr+%7C+count+by+service&since=1h")
    expect(page.get_by_role("table")).to_contain_text("nova-compute")
    expect(status_of(page)).to_contain_text("lines counted")
    expect(page.get_by_label("Lines over time")).to_be_visible()


def test_what_was_found_is_exported(explore: Page) -> None:
    ask(explore, "migration:42")
    expect(status_of(explore)).to_have_text("5 lines")
    with explore.expect_download() as started:
        explore.get_by_role("link", name="CSV").click()
    text = started.value.path().read_text()
    assert text.count("compute-02") >= 2
    assert FAILED in text


def test_a_search_is_saved_and_asked_again(explore: Page) -> None:
    ask(explore, "migration:42")
    explore.get_by_role("button", name="Saved").click()
    explore.get_by_label("Name for this search").fill("the failed move")
    explore.get_by_role("button", name="Save", exact=True).click()
    saved = explore.get_by_role("link", name="the failed move")
    expect(saved).to_be_visible()
    explore.goto("/explore")
    explore.get_by_role("button", name="Saved").click()
    saved.click()
    expect(status_of(explore)).to_have_text("5 lines")
    expect(explore).to_have_url(re.compile("q=migration%3A42&since=1h"))
    explore.get_by_role("button", name="Saved").click()
    explore.get_by_role("button", name="Delete the failed move").click()
    expect(explore.get_by_text("Nothing is saved yet.")).to_be_visible()


def test_log_content_never_runs_as_markup(explore: Page) -> None:
    ask(explore, "service:hostile")
    expect(lines_of(explore)).to_have_count(len(HOSTILE))
    for number, text in enumerate(reversed(HOSTILE)):
        lines_of(explore).nth(number).click()
        details = explore.locator(".details")
        if text.isprintable():
            expect(details.locator(".message")).to_have_text(text)
        details.get_by_role("button", name="JSON", exact=True).click()
        expect(details.locator("pre")).to_contain_text('"a<b>c": "<i>key</i>"')
        assert "\u202e" not in explore.locator("main").inner_text()
        assert explore.locator("main").locator("script, iframe, img, svg, b, i:not(.swatch)").count() == 0
        explore.keyboard.press("Escape")
        expect(details).to_have_count(0)
    assert explore.evaluate("window.harmed") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_nothing_is_in_the_way_of_assistive_technology(
    browser: Browser, served: Served, scheme: Any, viewport: Any
) -> None:
    context = browser.new_context(base_url=served.url, viewport=viewport, color_scheme=scheme)
    page = context.new_page()
    page.goto("/")  # leads to Explore
    expect(page).to_have_url(re.compile("/explore$"))
    lines_of(page).first.click()
    expect(page.locator(".details")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"
    if viewport is NARROW:
        page.get_by_role("button", name="Values").click()
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [
        f"{each['id']}: {each['nodes'][0]['html'][:200]} {each['nodes'][0].get('failureSummary')}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    context.close()
    assert serious == []


@pytest.fixture
def slow(page: Page) -> Iterator[Page]:
    """Where the first search is answered late."""
    page.route("**/api/v1/search?*q=first*", lambda route: None)  # never
    yield page
    page.unroute_all(behavior="ignoreErrors")


def test_a_question_that_is_superseded_is_not_waited_for(slow: Page) -> None:
    slow.goto("/explore?q=first&since=1h")
    expect(status_of(slow)).to_contain_text("Searching")
    with slow.expect_event("requestfailed", lambda request: "q=first" in request.url):
        ask(slow, "migration:42")
    expect(status_of(slow)).to_have_text("5 lines")
