"""Text for a terminal, markdown for a ticket, and JSON: all from one explanation."""

import json
import re

import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.explain.output import as_markdown, as_text
from tests.query.explain.test_blind import ALIVE, ERROR, FAILED, UUID, WHOLE, event
from tests.query.explain.wire import NOON_US, explained, table

BRIDGE = "cannot transfer: Cannot get interface MTU on 'br100': No such device"
HOSTILE = "\x1b[2J`code` | <b>*bold*</b> \u202eevil"


def values(store: DuckDbStore, error: str = BRIDGE) -> dict[str, object]:
    failed = event("migration.transfer.failed", 40, number=14, error=error, cause="ComputeError", step_s=28.0)
    store.append(table([*WHOLE, FAILED[0], failed, *ALIVE], observed_us=NOON_US + 45_000_000))
    found: dict[str, object] = json.loads(json.dumps(explained(store, "7").as_dict()))
    return found


@pytest.mark.parametrize(("asked", "width"), [(20, 80), (80, 80), (100, 100), (500, 120)])
def test_text_is_as_wide_as_the_terminal_within_bounds(store: DuckDbStore, asked: int, width: int) -> None:
    text = as_text(values(store), width=asked)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    for part in ("WHY", "FIRST ERROR", "WHERE IT IS", "LADDER", "the destination has no bridge br100 [missing-bridge]"):
        assert part in text
    assert f"migration 7 of instance {UUID} failed at step transfer" in " ".join(text.split())


def test_colours_are_only_where_they_are_wanted_and_change_nothing_else(store: DuckDbStore) -> None:
    found = values(store)
    coloured = as_text(found, width=100, colour=True)
    assert "\x1b[31m" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == as_text(found, width=100)


def test_what_was_logged_is_no_markup_and_no_control(store: DuckDbStore) -> None:
    found = values(store, HOSTILE)
    text, markdown = as_text(found), as_markdown(found)
    assert not {"\x1b", "\u202e"} & {*text, *markdown}
    assert "\\`code\\` \\| \\<b\\>\\*bold\\*\\</b\\>" in markdown


def test_markdown_has_each_part_as_a_heading(store: DuckDbStore) -> None:
    markdown = as_markdown(values(store))
    assert re.findall(r"(?m)^## .*", markdown) == ["## Why", "## First error", "## Where it is", "## Ladder"]
    assert "| transfer | compute-01 compute-02 | 12:00:12.000 | 28.000 s | failed |" in markdown


def test_an_unknown_cause_shows_the_first_error_and_no_guess(store: DuckDbStore) -> None:
    text = as_text(values(store, ERROR), width=120)
    assert f"The cause is unknown: no known one fits. The first error is: ComputeError: {ERROR}" in " ".join(
        text.split()
    )
    assert "check:" not in text


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (BRIDGE, "why: the destination has no bridge br100"),
        (ERROR, f"why: not known; the first error is: ComputeError: {ERROR}"),
    ],
)
def test_the_first_five_lines_say_what_failed_why_and_where_the_instance_is(
    store: DuckDbStore, error: str, why: str
) -> None:
    found = values(store, error)
    first = " ".join(" ".join(as_text(found, width=100).splitlines()[:5]).split())
    assert f"migration 7 of instance {UUID} failed at step transfer" in first
    assert why in first
    assert "now: on a host that is not known; whether it is safe is not known" in first
    assert f"- {why}" in as_markdown(found).replace("\\", "")
