"""Signing in and out in a real browser, where the collector has keys."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.access.keys import KeyFile, Wanted
from cloud.logs.query.access.roles import Role
from tests.query.serving import Served

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def key(store: DuckDbStore) -> str:
    return KeyFile(store.files.path).create(Wanted("night-watch", Role.READER))


@pytest.fixture(scope="module")
def served(store: DuckDbStore, key: str) -> Iterator[Served]:
    assert key
    with Served(store) as served:
        yield served


def test_nothing_is_shown_before_a_good_key_and_after_signing_out(page: Page, key: str) -> None:
    page.goto("/explore?q=migration%3A42&since=1h")
    field = page.get_by_role("textbox", name="Key")
    field.fill("cloudlog_0000000000000000_" + "x" * 43)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This key is not, or no longer, good.")
    expect(page.get_by_role("treegrid")).to_have_count(0)
    field.fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("header")).to_contain_text("key night-watch")
    expect(page.locator(".toolbar [role=status]")).to_have_text("5 lines")  # where one wanted to go
    assert page.evaluate("document.cookie") == "", "scripts see the session"
    page.reload()
    expect(page.locator(".toolbar [role=status]")).to_have_text("5 lines")
    page.route("**/api/v1/session", lambda route: route.fulfill(status=503, body='{"detail": "too busy for that"}'))
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("alert")).to_have_text("Not signed out: too busy for that")
    page.unroute_all()
    page.get_by_role("button", name="Sign out").click()
    expect(field).to_be_visible()
    page.reload()
    expect(field).to_be_visible()


def test_who_is_not_signed_in_any_more_is_asked_again(page: Page, key: str) -> None:
    page.goto("/")
    page.get_by_role("textbox", name="Key").fill(key)
    page.get_by_role("textbox", name="Key").press("Enter")
    expect(page.get_by_role("treegrid")).to_be_visible()
    page.context.clear_cookies()
    page.keyboard.press("r")
    expect(page.get_by_role("textbox", name="Key")).to_be_visible()
    expect(page).to_have_url(re.compile("/explore$"))


def test_whether_nobody_answers_or_nobody_can_be_let_in_is_said(page: Page) -> None:
    page.route("**/api/v1/session", lambda route: route.abort())
    page.goto("/")
    expect(page.get_by_role("heading", name="The collector does not answer")).to_be_visible()
    page.unroute_all()
    page.route("**/api/v1/session", lambda route: route.fulfill(status=503, body='{"detail": "nobody can tell"}'))
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="The collector cannot let you in now")).to_be_visible()
    expect(page.get_by_text("nobody can tell")).to_be_visible()
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("textbox", name="Key")).to_be_visible()
