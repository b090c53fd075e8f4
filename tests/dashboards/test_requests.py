"""Requests in a real browser: which service on which host took how long, with what errors."""

import re
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.dashboards.assistive import found_in_the_way
from tests.dashboards.stories import CONTROLLER, DESTINATION, INSTANCE, REQUEST
from tests.query.serving import Served

pytestmark = pytest.mark.server
LINES = 19


@pytest.fixture(scope="module")
def served(told: Served) -> Served:
    return told


@pytest.fixture
def request_page(page: Page) -> Page:
    page.goto(f"/requests/{REQUEST}")
    expect(page.get_by_role("status").last).to_have_text(f"{LINES} lines")
    return page


def lines_of(page: Page) -> Locator:
    return page.get_by_role("treegrid").locator("[role=row][aria-selected]")


def lane(page: Page, service: str) -> Locator:
    return page.locator(".lane").filter(has=page.get_by_text(service, exact=True))


def test_a_request_is_found_by_its_id_or_by_its_errors(page: Page) -> None:
    page.goto("/requests")
    row = page.locator("tbody tr").filter(has_text=REQUEST)
    expect(row).to_contain_text("3")
    page.keyboard.press("/")
    page.keyboard.type(f" {REQUEST} ")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/requests/{REQUEST}$"))
    page.go_back()
    expect(row).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/requests/.+"))


def test_each_service_on_each_host_is_a_bar_from_its_first_line_to_its_last(request_page: Page) -> None:
    expect(request_page.locator(".lane")).to_have_count(3)
    expect(lane(request_page, "nova-conductor")).to_contain_text(CONTROLLER)
    expect(lane(request_page, "nova-conductor").locator(".bar")).to_have_text("4.3 s · 16 lines")
    compute = lane(request_page, "nova-compute")
    expect(compute).to_contain_text(DESTINATION)
    expect(compute.locator(".bar")).to_have_class(re.compile("tone-bad"))
    first, second = (
        lane(request_page, name).locator(".bar").bounding_box() for name in ("nova-conductor", "nova-compute")
    )
    assert first
    assert second
    assert first["x"] < second["x"]
    assert second["x"] + second["width"] < first["x"] + first["width"]
    expect(request_page.locator("header").last).to_contain_text("3 errors")


def test_a_service_has_its_own_lines_and_an_error_leads_to_its_line(request_page: Page) -> None:
    lane(request_page, "nova-compute").locator(".bar").click()
    expect(lines_of(request_page)).to_have_count(2)
    expect(request_page).to_have_url(re.compile(r"part=2$"))
    request_page.reload()
    expect(lines_of(request_page)).to_have_count(2)
    lane(request_page, "nova-conductor").locator(".mark").last.click()
    expect(lines_of(request_page)).to_have_count(LINES)
    opened = lines_of(request_page).and_(request_page.locator("[aria-expanded=true]"))
    expect(opened).to_contain_text("cannot migrate:")


def test_the_keyboard_moves_through_its_lines(request_page: Page) -> None:
    for key in ("j", "j", "k", "Enter"):
        request_page.keyboard.press(key)
    expect(lines_of(request_page).nth(1)).to_have_attribute("aria-expanded", "true")
    request_page.get_by_role("link", name="Its migration").click()
    expect(request_page).to_have_url(re.compile(r"/migrations/42$"))


def test_it_leads_to_its_instance_and_a_line_of_explore_leads_here(request_page: Page) -> None:
    request_page.get_by_role("link", name="Its instance").first.click()
    expect(request_page).to_have_url(re.compile(rf"/instances/{INSTANCE}$"))
    request_page.goto(f"/explore?q=request_id%3A{REQUEST}+severity%3Aerr&since=1h")
    lines_of(request_page).first.click()
    request_page.get_by_role("link", name="Its request").click()
    expect(request_page).to_have_url(re.compile(rf"/requests/{REQUEST}$"))


def test_one_without_a_line_is_said(page: Page) -> None:
    page.goto("/requests/req-0?since=1h")
    expect(page.get_by_role("alert")).to_contain_text("cannot find a line of request req-0")
    page.get_by_role("link", name="Last 30 days").click()
    expect(page).to_have_url(re.compile(r"since=30d"))


@pytest.mark.parametrize("look", ["wide", "narrow"])
def test_nothing_is_in_the_way_of_assistive_technology(
    browser: Browser, served: Served, look: Literal["wide", "narrow"]
) -> None:
    pages = {
        "/requests": lambda page: expect(page.locator("tbody tr").first).to_be_visible(),
        f"/requests/{REQUEST}": lambda page: expect(lines_of(page).first).to_be_visible(),
    }
    assert found_in_the_way(browser, served, pages, look) == {}
