"""Migrations in a real browser: the list, and the ladder of one with why it failed and where its instance is."""

import re
from typing import Literal
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.dashboards.assistive import found_in_the_way
from tests.dashboards.lines import HOSTILE
from tests.dashboards.stories import (
    CLASSIC_INSTANCE,
    COMPLETED,
    DESTINATION,
    FAILED,
    HOSTILE_ID,
    HOSTILE_INSTANCE,
    HOSTILE_REQUEST,
    RESIZED,
    RUNNING,
    SOURCE,
    UNKNOWN,
)
from tests.query.serving import Served

pytestmark = pytest.mark.server
FULL = "A file system is full"
PRE = 6
"""The number of the step at which migration 42 failed."""


@pytest.fixture(scope="module")
def served(told: Served) -> Served:
    return told


@pytest.fixture
def listed(page: Page) -> Page:
    page.goto("/migrations")
    expect(rows_of(page)).to_have_count(len(COMPLETED) + 5)
    return page


@pytest.fixture
def failed(page: Page) -> Page:
    page.goto(f"/migrations/{FAILED}")
    expect(page.get_by_role("heading", name=f"live-migration {FAILED}")).to_be_visible()
    return page


def rows_of(page: Page) -> Locator:
    return page.locator("tbody tr")


def ids_of(page: Page) -> list[str]:
    return page.locator("td.id").all_inner_texts()


def region(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name)


def bar(page: Page, name: str) -> Locator:
    """The one that stands for a step, not those beside it."""
    return page.locator(".bar:not(.beside)").filter(has_text=name)


def step_lines(page: Page) -> Locator:
    return page.get_by_role("treegrid").locator("[role=row][aria-selected]")


def test_those_that_failed_come_first_with_why_then_those_under_way(listed: Page) -> None:
    assert ids_of(listed)[:4] == [HOSTILE_ID, FAILED, UNKNOWN, RUNNING]
    row = rows_of(listed).nth(1)
    for told in ("failed at pre", "live-migration", f"{SOURCE} → {DESTINATION}", "4.3 s", FULL):
        expect(row).to_contain_text(told)
    expect(rows_of(listed).nth(2)).to_contain_text("the flux is not aligned")
    expect(rows_of(listed).nth(3)).to_contain_text("running: transfer")


def test_filters_are_part_of_the_address_and_the_way_back_undoes_them(listed: Page) -> None:
    listed.get_by_role("button", name="Failed 3").click()
    expect(rows_of(listed)).to_have_count(3)
    listed.get_by_label("From or to host").fill("compute-03")
    expect(rows_of(listed)).to_have_count(1)
    expect(listed).to_have_url(re.compile(r"\?state=failed&host=compute-03$"))
    listed.reload()
    expect(rows_of(listed)).to_have_count(1)
    assert ids_of(listed) == [UNKNOWN]
    listed.goto("/migrations")
    listed.get_by_label("Kind").select_option("resize")
    expect(rows_of(listed)).to_have_count(1)
    assert ids_of(listed) == [RESIZED]
    listed.go_back()
    expect(rows_of(listed)).to_have_count(len(COMPLETED) + 5)


def test_another_time_is_asked_for(listed: Page) -> None:
    listed.get_by_role("button", name="Time range:").click()
    listed.get_by_role("button", name="Last 15 minutes").click()
    expect(listed).to_have_url(re.compile(r"since=15m"))
    expect(rows_of(listed).filter(has_text="running: transfer")).to_be_visible()
    expect(rows_of(listed).filter(has_text="resize")).to_have_count(0)


def test_the_keyboard_leads_to_a_migration_and_to_the_lines_of_its_steps(listed: Page) -> None:
    for key in ("j", "j", "k", "Enter"):
        listed.keyboard.press(key)
    expect(listed).to_have_url(re.compile(rf"/migrations/{FAILED}$"))
    expect(rows_of(listed).first).to_contain_text("request")
    for key in "jjjjj":
        listed.keyboard.press(key)
    listed.keyboard.press("Enter")
    expect(listed).to_have_url(re.compile(rf"step={PRE}$"))
    expect(step_lines(listed).first).to_be_visible()
    listed.keyboard.press("Escape")
    expect(step_lines(listed)).to_have_count(0)
    listed.keyboard.press("e")
    expect(listed.get_by_role("button", name="To scale")).to_have_attribute("aria-pressed", "true")


def test_the_answer_is_on_top_why_what_to_do_and_where_the_instance_is(failed: Page) -> None:
    why = region(failed, "Why")
    for told in (FULL, "df -h", "Make room", "disk-full", "a line says so"):
        expect(why).to_contain_text(told)
    where = region(failed, "Where the instance is now")
    for told in (
        f"On {SOURCE}",
        "certain",
        "Safe",
        "What could not be seen",
        f"Nothing has been heard of host {DESTINATION}",
    ):
        expect(where).to_contain_text(told)
    why.get_by_role("link", name="a line says so").click()
    expect(failed.locator(".current")).to_contain_text("No space left on device")


def test_the_first_error_is_marked_apart_from_its_echoes(failed: Page) -> None:
    error = region(failed, "First error")
    expect(error.locator(".first")).to_contain_text(f"{DESTINATION} nova-compute")
    expect(error.locator("summary")).to_have_text("Its echoes 3")
    lane = failed.locator(".lane").filter(has_text=f"{DESTINATION} destination")
    expect(lane.locator(".mark.first")).to_have_count(1)
    expect(failed.locator(".mark.first")).to_have_count(1)
    expect(failed.locator(".lane").filter(has_text="controller").locator(".mark.tone-warning")).to_have_count(3)
    lane.locator(".mark.first").click()
    expect(failed.locator(".current")).to_contain_text("No space left on device")


def test_steps_are_to_scale_or_wide_enough_to_be_read(page: Page) -> None:
    page.goto(f"/migrations/{UNKNOWN}?scale=even")
    expect(bar(page, "transfer")).to_be_visible()
    axis = page.locator(".axis .track").bounding_box()
    even = bar(page, "transfer").bounding_box()
    assert axis
    assert even
    assert even["width"] / axis["width"] == pytest.approx(61.0 / 64.6, abs=0.02)
    page.get_by_role("button", name="To scale").click()
    expect(bar(page, "claim")).to_be_visible()
    widened = bar(page, "transfer").bounding_box()
    assert widened
    assert widened["width"] < even["width"]
    assert min(box["width"] for each in page.locator(".bar").all() if (box := each.bounding_box())) > 30


def test_a_step_opens_its_lines_or_all_of_its_hosts_and_keeps_them_in_the_address(failed: Page) -> None:
    bar(failed, "pre").click()
    expect(step_lines(failed)).to_have_count(4)
    expect(step_lines(failed).first).to_contain_text("step pre")
    failed.get_by_role("button", name="All of its hosts then").click()
    expect(step_lines(failed).filter(has_text="low on disk space")).to_be_visible()
    failed.reload()
    expect(step_lines(failed).filter(has_text="low on disk space")).to_be_visible()
    step_lines(failed).last.click()
    expect(failed.locator(".details")).to_contain_text("No space left on device")
    failed.get_by_role("link", name="Explore", exact=True).last.click()
    expect(failed).to_have_url(re.compile(rf"/explore\?q=host%3A{DESTINATION}&since="))
    expect(failed.get_by_role("treegrid")).to_contain_text("low on disk space")


def test_a_cause_that_is_not_known_is_said_calmly(page: Page) -> None:
    page.goto(f"/migrations/{UNKNOWN}")
    why = region(page, "Why")
    expect(why).to_contain_text("The cause is not known: none of the known ones fits.")
    expect(why.locator("pre")).to_contain_text("the flux is not aligned")
    page.goto(f"/migrations/{RUNNING}")
    expect(page.get_by_text("No line tells of its end, nor of a failure.")).to_be_visible()
    expect(bar(page, "transfer")).to_have_class(re.compile("open"))
    page.goto(f"/migrations/{RESIZED}")
    expect(region(page, "What became of it")).to_contain_text("It was completed")


def test_what_nova_logged_itself_is_explained_too(listed: Page) -> None:
    field = listed.get_by_label("Explain an instance, a request or a migration")
    field.fill(CLASSIC_INSTANCE)
    field.press("Enter")
    expect(region(listed, "Why")).to_contain_text(FULL)
    expect(listed.locator("header").last).to_contain_text("failed at spawn")
    bar(listed, "spawn").click()
    expect(step_lines(listed).filter(has_text="Instance failed to spawn")).to_be_visible()


def test_what_lines_know_nothing_of_is_said(page: Page) -> None:
    page.goto("/migrations/web-9")
    expect(page.get_by_role("alert")).to_contain_text("no instance of that id or name")
    page.get_by_role("link", name="All migrations").click()
    expect(page.get_by_role("region", name="Migrations")).to_be_visible()


def test_log_content_never_runs_as_markup(listed: Page) -> None:
    expect(rows_of(listed).first).to_contain_text(HOSTILE[0])
    for path in (f"/migrations/{HOSTILE_ID}", f"/instances/{HOSTILE_INSTANCE}", f"/requests/{quote(HOSTILE_REQUEST)}"):
        listed.goto(path)
        expect(listed.locator(".lane").first).to_be_visible()
        expect(listed.locator("main")).to_contain_text(HOSTILE[3])
        assert listed.locator("main").locator("script, iframe, img, svg, b, i, u").count() == 0
        assert "\u202e" not in listed.locator("main").inner_text()
    assert listed.evaluate("window.harmed") is None


@pytest.mark.parametrize("look", ["wide", "narrow"])
def test_nothing_is_in_the_way_of_assistive_technology(
    browser: Browser, served: Served, look: Literal["wide", "narrow"]
) -> None:
    pages = {
        "/migrations": lambda page: expect(rows_of(page).nth(1)).to_contain_text(FULL),
        f"/migrations/{FAILED}?step={PRE}": lambda page: expect(step_lines(page).first).to_be_visible(),
    }
    assert found_in_the_way(browser, served, pages, look) == {}
