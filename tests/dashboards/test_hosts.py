"""The fleet in a real browser."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.collector.batches import table_of
from tests.dashboards.assistive import trouble_on
from tests.dashboards.conftest import NARROW, WIDE, fill
from tests.dashboards.lines import line
from tests.query.serving import Served

pytestmark = pytest.mark.server
MANY = 1000
SECOND_US = 1_000_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbStore]:
    """Also a host that is silent for two hours, and one that means harm."""
    opened = DuckDbStore(tmp_path_factory.mktemp("hosts"))
    silent = line("compute-09", "nova-compute", 17, 3, "the last word")
    opened.append(table_of(silent, observed_us=time.time_ns() // 1000 - 7200 * SECOND_US))
    fill(opened)
    hostile = line("<b>host</b>", "<i>x</i>", 17, 6, "hello")
    opened.append(table_of(hostile, observed_us=time.time_ns() // 1000))
    yield opened
    opened.close()


@pytest.fixture
def hosts(page: Page) -> Page:
    page.goto("/hosts")
    expect(names(page).first).to_have_text("compute-09")
    return page


def rows(page: Page) -> Locator:
    return page.get_by_role("table").locator("[role=row]:not(.head)")


def names(page: Page) -> Locator:
    return rows(page).locator(".name a")


def test_silent_hosts_come_first_and_all_are_summed_up(hosts: Page) -> None:
    expect(rows(hosts).first).to_contain_class("silent")
    expect(rows(hosts).first.locator(".seen")).to_have_text("2 h ago")
    expect(rows(hosts).first.locator(".errors")).to_contain_text("0")
    expect(hosts.get_by_role("status")).to_contain_text("1 silent")
    expect(names(hosts)).to_have_text(
        ["compute-09", "<b>host</b>", "compute-01", "compute-02", "compute-03", "controller-01"]
    )


def test_columns_sort_and_the_order_is_part_of_the_address(hosts: Page) -> None:
    hosts.get_by_role("button", name="Lines").click()
    expect(names(hosts).first).to_have_text("controller-01")
    expect(hosts.get_by_role("columnheader", name="Lines")).to_have_attribute("aria-sort", "descending")
    hosts.get_by_role("button", name="Lines").click()
    expect(names(hosts).first).to_have_text("compute-09")
    expect(hosts).to_have_url(re.compile(r"sort=-lines$"))
    hosts.reload()
    expect(names(hosts).last).to_have_text("controller-01")
    hosts.get_by_role("button", name="Lines").click()
    expect(hosts).to_have_url(re.compile(r"/hosts$"))


def test_a_host_leads_to_its_lines_and_its_errors_and_to_live(hosts: Page) -> None:
    hosts.keyboard.press("/")
    hosts.keyboard.type("compute-02")
    expect(names(hosts)).to_have_text(["compute-02"])
    expect(hosts).to_have_url(re.compile(r"filter=compute-02$"))
    rows(hosts).first.locator(".errors a").click()
    expect(hosts.get_by_role("textbox", name="Query")).to_have_text("host:compute-02 severity:>=err")
    hosts.go_back()
    names(hosts).first.click()
    expect(hosts.get_by_role("textbox", name="Query")).to_have_text("host:compute-02")
    hosts.go_back()
    hosts.get_by_role("link", name="compute-02, live").click()
    expect(hosts).to_have_url(re.compile(r"/live\?q=host%3Acompute-02$"))
    expect(hosts.locator(".state")).to_have_text("Live")


def test_it_is_asked_again_while_one_looks_at_it(hosts: Page, store: DuckDbStore) -> None:
    store.append(table_of(line("compute-10", "nova-compute", 17, 6, "here I am"), observed_us=time.time_ns() // 1000))
    with hosts.expect_response(re.compile(r"/api/v1/hosts\?since=1h")):
        hosts.keyboard.press("r")
    expect(names(hosts).filter(has_text="compute-10")).to_be_visible()
    hosts.route("**/api/v1/hosts?*", lambda route: route.fulfill(status=503, body='{"detail": "too busy for that"}'))
    hosts.keyboard.press("r")
    expect(hosts.get_by_role("alert")).to_have_text("too busy for that")
    expect(names(hosts).first).to_have_text("compute-09")


def test_a_thousand_hosts_are_there_at_once(page: Page) -> None:
    moment = "2027-01-15T12:00:00Z"
    one = {"lines": 7, "errors": 1, "last_seen": moment, "silent_s": 1.5, "skew_s": -0.2, "dropped": 0, "missing": 0}
    report = [
        {"name": f"compute-{number:04}", **one, "unclosed": 0, "gaps": [], "services": {"nova-compute": moment}}
        for number in range(MANY)
    ]
    answer = {"hosts": report, "lag_s": 0.0, "is_partial": False, "reached": None, "since": None, "until": None}
    page.route("**/api/v1/hosts?*", lambda route: route.fulfill(json=answer))
    page.goto("/hosts")
    expect(page.get_by_role("status")).to_contain_text("1,000 hosts")
    assert rows(page).count() < 60, "only what is in sight is in the page"
    page.get_by_role("table").evaluate("table => { table.scrollTop = table.scrollHeight }")
    expect(names(page).last).to_have_text(f"compute-{MANY - 1:04}")
    took_ms = page.evaluate(
        """async () => {
            const begun = performance.now();
            document.querySelector('.head button').click();
            await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
            return performance.now() - begun;
        }"""
    )
    assert took_ms < 500, f"sorting took {took_ms:.0f} ms"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_in_the_way_of_assistive_technology(browser: Browser, served: Served, scheme: Any) -> None:
    context = browser.new_context(base_url=served.url, viewport=WIDE, color_scheme=scheme)
    page = context.new_page()
    page.goto("/hosts")
    expect(names(page).first).to_have_text("compute-09")
    for viewport in (WIDE, NARROW):
        page.set_viewport_size(viewport)
        assert trouble_on(page) == []
    assert page.get_by_role("table").locator("b, i").count() == 0
    context.close()
