"""Instances in a real browser: what happened to one, across hosts."""

import re
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.dashboards.assistive import found_in_the_way
from tests.dashboards.stories import CONTROLLER, DESTINATION, INSTANCE, SOURCE
from tests.query.serving import Served

pytestmark = pytest.mark.server
EVENTS = 32


@pytest.fixture(scope="module")
def served(told: Served) -> Served:
    return told


@pytest.fixture
def instance(page: Page) -> Page:
    page.goto("/instances/web-1")
    expect(page.get_by_role("status").last).to_have_text(f"{EVENTS} lines")
    return page


def lines_of(page: Page) -> Locator:
    return page.get_by_role("treegrid").locator("[role=row][aria-selected]")


def lane(page: Page, host: str) -> Locator:
    return page.locator(".lane").filter(has=page.get_by_text(host, exact=True))


def test_an_instance_is_found_by_any_of_its_names_or_by_its_errors(page: Page) -> None:
    page.goto("/instances")
    expect(page.locator("tbody tr").first).to_contain_text(INSTANCE)
    page.get_by_label("uuid, i-000015b9").fill("web-1")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="Instance web-1")).to_be_visible()
    expect(page.locator("header").last).to_contain_text(INSTANCE)


def test_moves_are_spans_and_each_host_is_a_lane(instance: Page) -> None:
    moves = lane(instance, "Moves and builds").locator(".bar")
    expect(moves).to_have_text(["live-migration 44", "live-migration 42"])
    expect(lane(instance, SOURCE)).to_contain_text("2 from it")
    expect(lane(instance, SOURCE).locator(".bar.beside")).to_have_count(2)
    expect(lane(instance, DESTINATION)).to_contain_text("1 to it")
    expect(lane(instance, DESTINATION).locator(".mark.tone-bad")).to_have_count(1)
    expect(lane(instance, CONTROLLER).locator(".mark.tone-bad")).to_have_count(3)
    moves.last.click()
    expect(instance).to_have_url(re.compile(r"/migrations/42$"))


def test_a_mark_leads_to_its_line_and_all_lines_can_be_asked_for(instance: Page) -> None:
    lane(instance, DESTINATION).locator(".mark.tone-bad").click()
    opened = lines_of(instance).and_(instance.locator("[aria-expanded=true]"))
    expect(opened).to_contain_text("No space left on device")
    instance.keyboard.press("Escape")
    instance.get_by_role("button", name="All of its lines").click()
    expect(instance).to_have_url(re.compile(r"every=1$"))
    expect(instance.get_by_role("status").last).not_to_have_text(f"{EVENTS} lines")
    expect(lines_of(instance).filter(has_text="migration ended").first).to_be_visible()


def test_the_keyboard_moves_through_its_lines(instance: Page) -> None:
    for key in ("G", "k", "Enter"):
        instance.keyboard.press(key)
    selected = lines_of(instance).and_(instance.locator("[aria-selected=true]"))
    expect(selected).to_have_attribute("aria-expanded", "true")
    expect(selected).to_contain_text("rollback")


def test_it_leads_to_the_explanation_of_its_last_failure(instance: Page) -> None:
    instance.get_by_role("link", name="Explain its last failure").click()
    expect(instance.get_by_role("region", name="Why")).to_contain_text("A file system is full")
    instance.get_by_role("link", name="Its instance").click()
    expect(instance).to_have_url(re.compile(rf"/instances/{INSTANCE}$"))


def test_one_that_no_line_knows_is_said(page: Page) -> None:
    page.goto("/instances/web-9")
    expect(page.get_by_role("alert")).to_contain_text("cannot show the timeline of web-9")
    page.get_by_role("link", name="All instances").click()
    expect(page.get_by_role("heading", name="Instances")).to_be_visible()


@pytest.mark.parametrize("look", ["wide", "narrow"])
def test_nothing_is_in_the_way_of_assistive_technology(
    browser: Browser, served: Served, look: Literal["wide", "narrow"]
) -> None:
    pages = {
        "/instances": lambda page: expect(page.locator("tbody tr").first).to_be_visible(),
        f"/instances/{INSTANCE}": lambda page: expect(lines_of(page).first).to_be_visible(),
    }
    assert found_in_the_way(browser, served, pages, look) == {}
