"""Live in a real browser: lines are committed while the page looks on."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.collector.batches import table_of
from tests.dashboards.assistive import trouble_on
from tests.dashboards.conftest import NARROW, WIDE
from tests.dashboards.lines import HOSTILE, line
from tests.query.serving import Served

pytestmark = pytest.mark.server
HISTORY = 200
Arrive = Callable[..., None]


@pytest.fixture
def arrive(store: DuckDbStore) -> Arrive:
    """Let lines with such messages arrive now."""

    def arrive(*messages: str, host: str = "compute-07") -> None:
        lines = [line(host, "nova-compute", 17, 6, message) for message in messages]
        store.append(table_of(*lines, observed_us=time.time_ns() // 1000))

    return arrive


@pytest.fixture
def live(page: Page) -> Page:
    """With the newest lines, and waiting for more."""
    page.goto("/live")
    expect(page.locator(".state")).to_have_text("Live")
    expect(kept(page)).to_contain_text(f"{HISTORY} lines here")
    return page


@pytest.fixture
def highlighting(live: Page) -> Page:
    live.get_by_role("button", name="Highlights").click()
    return live


def lines_of(page: Page) -> Locator:
    return page.get_by_role("treegrid").locator("[role=row][aria-selected]")


def kept(page: Page) -> Locator:
    return page.locator(".kept")


def new_lines(page: Page) -> Locator:
    return page.locator("button.new")


def filter_by(page: Page, query: str) -> None:
    page.get_by_role("textbox", name="Query").click()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.type(query)
    page.keyboard.press("ControlOrMeta+Enter")


def test_lines_come_in_at_the_end_and_are_followed(live: Page, arrive: Arrive) -> None:
    arrive("the first of them", "and the second")
    expect(lines_of(live).last).to_contain_text("and the second")
    expect(kept(live)).to_contain_text(f"{HISTORY + 2} lines here")
    arrive(*(f"number {each}" for each in range(300)))
    expect(lines_of(live).last).to_contain_text("number 299")
    expect(lines_of(live).last).to_be_in_viewport()
    assert lines_of(live).count() < 80, "only what is in sight is in the page"


def test_a_pause_holds_lines_back_and_ends_with_all_of_them(live: Page, arrive: Arrive) -> None:
    live.keyboard.press(" ")
    expect(live.locator(".state")).to_have_text("Paused")
    arrive("while it pauses")
    expect(new_lines(live)).to_contain_text("1 new line")
    expect(live.get_by_text("while it pauses")).to_have_count(0)
    live.get_by_role("button", name="Go on").click()
    expect(lines_of(live).last).to_contain_text("while it pauses")
    expect(new_lines(live)).to_have_count(0)


def test_who_scrolls_up_reads_in_peace(live: Page, arrive: Arrive) -> None:
    live.get_by_role("treegrid").hover()
    live.mouse.wheel(0, -600)
    expect(live.locator(".state")).to_have_text("Holding still")
    before = lines_of(live).first.inner_text()
    arrive("below what is read", "and more of it")
    expect(new_lines(live)).to_contain_text("2 new lines")
    assert lines_of(live).first.inner_text() == before
    live.mouse.wheel(0, 10_000)
    expect(lines_of(live).last).to_contain_text("and more of it")
    expect(live.locator(".state")).to_have_text("Live")


def test_an_opened_line_stays_and_leads_to_a_filter(live: Page, arrive: Arrive) -> None:
    arrive("this one is looked at")
    expect(lines_of(live).last).to_contain_text("this one is looked at")
    lines_of(live).last.click()
    details = live.locator(".details")
    expect(details.get_by_role("button", name="Only lines with host compute-07")).to_be_visible()
    arrive("another one")
    expect(new_lines(live)).to_contain_text("1 new line")
    details.get_by_role("button", name="Only lines with host compute-07").click()
    expect(live).to_have_url(re.compile(r"/live\?q=host%3Acompute-07$"))
    expect(live.locator(".state")).to_have_text("Live")
    expect(lines_of(live).last).to_contain_text("another one")


def test_the_filter_is_changed_while_lines_come(live: Page, arrive: Arrive) -> None:
    live.keyboard.press("/")
    filter_by(live, "host:compute-08")
    expect(live.get_by_text("Waiting for lines.")).to_be_visible()
    arrive("not wanted")
    arrive("wanted", host="compute-08")
    expect(lines_of(live)).to_have_count(1)
    filter_by(live, "severity:>=loud")
    expect(live.locator("#query-error")).to_contain_text("column")
    expect(live.locator(".state")).to_have_text("Stopped")
    live.go_back()
    expect(lines_of(live)).to_contain_text(["wanted"])


def test_what_was_typed_is_cleared_and_lines_stay(live: Page, arrive: Arrive) -> None:
    arrive("one more")
    expect(kept(live)).to_contain_text(f"{HISTORY + 1} lines here")
    query = live.get_by_role("textbox", name="Query")
    query.click()
    live.keyboard.type("host:comp")
    live.get_by_role("button", name="Clear the query").click()
    expect(query.locator(".cm-placeholder")).to_be_visible()
    expect(query).to_be_focused()
    arrive("and another")
    expect(kept(live)).to_contain_text(f"{HISTORY + 2} lines here")


def test_words_and_expressions_are_highlighted_and_kept(highlighting: Page, arrive: Arrive) -> None:
    page = highlighting
    for rule in ("volume", r"/took \d+ ms/"):
        page.get_by_label("What to highlight").fill(rule)
        page.keyboard.press("Enter")
    page.get_by_label("What to highlight").fill("/(a+/")
    expect(page.get_by_role("alert")).to_contain_text("is not closed")
    expect(page.get_by_role("button", name="Add", exact=True)).to_be_disabled()
    page.keyboard.press("Escape")
    arrive("attaching the volume took 17 ms")
    expect(lines_of(page).last.locator("mark")).to_have_text(["volume", "took 17 ms"])
    page.reload()
    expect(lines_of(page).last.locator("mark.hue-green")).to_have_text("took 17 ms")
    page.get_by_role("button", name="Highlights").click()
    page.get_by_role("button", name="Do not highlight volume").click()
    expect(lines_of(page).last.locator("mark")).to_have_text(["took 17 ms"])


def test_log_content_never_runs_as_markup(live: Page, arrive: Arrive) -> None:
    live.evaluate("localStorage.setItem('cloud.highlights', JSON.stringify([{text: 'harmed', hue: 'red'}]))")
    live.reload()
    arrive(*HOSTILE)
    expect(lines_of(live).last).to_contain_text("{{harmed}}")
    assert live.get_by_role("treegrid").locator("script, iframe, img, svg, b, i").count() == 0
    assert "\u202e" not in live.locator("main").inner_text()
    assert live.evaluate("window.harmed") is None


def test_an_interruption_is_said_and_nothing_is_lost(live: Page, arrive: Arrive, served: Served) -> None:
    cut = "data: " + '{"detail": "it is cut here"}'
    body = f"event: end\n{cut}\n\n"
    live.route("**/api/v1/tail?*n=*", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
    live.route(
        "**/api/v1/tail?*after=*", lambda route: route.fulfill(status=503, body='{"detail": "busy", "code": "busy"}')
    )
    filter_by(live, "service:nova-compute")
    expect(live.locator(".state")).to_have_text("Reconnecting…")
    expect(live.get_by_text("it is cut here")).to_be_visible()
    live.unroute_all(behavior="ignoreErrors")
    arrive("after the interruption")
    expect(live.locator(".state")).to_have_text("Live")
    expect(lines_of(live).last).to_contain_text("after the interruption")


def test_lines_that_were_not_sent_are_told_of_with_a_way_to_them(page: Page) -> None:
    skipped = '{"first_row_id": 7, "last_row_id": 9, "lines": 3, "query": "row_id:[7 TO 9]"}'
    uncounted = '{"first_row_id": 7, "last_row_id": 9, "lines": null, "query": "row_id:[7 TO 9]"}'
    body = f'event: live\ndata: {{"row_id": 6}}\nid: 6\n\nevent: skipped\ndata: {skipped}\nid: 9\n\n'
    body += f"event: skipped\ndata: {uncounted}\nid: 9\n\n"
    page.route("**/api/v1/tail?*", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
    page.goto("/live")
    expect(page.get_by_role("alert")).to_contain_text("missed more than 3 lines")
    page.get_by_role("link", name="the last of them").click()
    expect(page.get_by_role("treegrid").locator("[role=row][aria-selected]")).to_have_count(3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_in_the_way_of_assistive_technology(browser: Browser, served: Served, scheme: Any) -> None:
    context = browser.new_context(base_url=served.url, viewport=WIDE, color_scheme=scheme)
    page = context.new_page()
    page.goto("/live")
    rules = [{"text": text, "hue": hue} for text, hue in (("compute", "yellow"), ("node", "green"), ("host", "blue"))]
    page.evaluate("rules => localStorage.setItem('cloud.highlights', JSON.stringify(rules))", rules)
    page.reload()
    for viewport in (WIDE, NARROW):
        page.set_viewport_size(viewport)
        lines_of(page).last.click()
        expect(page.locator(".details")).to_be_visible()
        page.get_by_role("button", name="Highlights").click()
        assert trouble_on(page) == []
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        expect(page.locator(".details")).to_have_count(0)
    context.close()
