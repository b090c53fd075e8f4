"""What is measured: Live beside an empty page, Live for minutes at ten times the rate, Explore over many lines."""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, expect

from bench.collector_process import TCP, CollectorProcess
from bench.paced_sender import sending, sent_by
from bench.ui.browser import Frames, Memory, first_rows_s, frames_of, memory_of, page_of

FACTOR = 10
"""So many times the rate comes while memory is watched."""
KEPT = "10,000 lines here"
"""What Live says when it holds as many lines as it may."""
SETTLE_S = 2.0
FILL_S = 120.0
OPENINGS = 5
SPAN = timedelta(days=1)
_MORE_S = 60.0


@dataclass(frozen=True, slots=True)
class Shown:
    """A page for some time, with as many lines coming in."""

    name: str
    rate: float
    """Lines a second that were sent."""
    frames: Frames
    said: str = ""
    """What Live says of itself at the end."""
    begin: Memory | None = None
    end: Memory | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """Explore, opened several times over the same lines."""

    rows: int
    first_rows_s: Sequence[float]


def frames_of_live(browser: Browser, rate: float, seconds: float) -> list[Shown]:
    """An empty page and Live, one after the other while the same load comes in."""
    with collecting() as collector, load(collector, rate, 2 * seconds + 2 * SETTLE_S + _MORE_S):
        url = str(collector.http.base_url)
        with page_of(browser, url) as page:
            page.goto("about:blank")
            time.sleep(SETTLE_S)
            empty = Shown("an empty page", rate, frames_of(page, seconds))
        with page_of(browser, url) as page:
            _open_live(page)
            time.sleep(SETTLE_S)
            live = Shown("Live", rate, frames_of(page, seconds), _said(page))
    return [empty, live]


def memory_of_live(browser: Browser, rate: float, seconds: float) -> Shown:
    """From when it holds all that it may."""
    with (
        collecting() as collector,
        load(collector, rate, seconds + FILL_S + _MORE_S),
        page_of(browser, str(collector.http.base_url)) as page,
    ):
        _open_live(page)
        expect(page.locator(".kept")).to_contain_text(KEPT, timeout=FILL_S * 1000)
        time.sleep(SETTLE_S)
        begin = memory_of(page)
        frames = frames_of(page, seconds)
        return Shown(f"Live, {seconds / 60:g} min", rate, frames, _said(page), begin, memory_of(page))


def openings_of_explore(browser: Browser, data: Path) -> Opened:
    """With a day of lines asked for, the newest ones of `data`, whose files stay as they are."""
    with tempfile.TemporaryDirectory(prefix="b-", dir=data) as directory:
        _link(data / "data" if (data / "data").is_dir() else data, Path(directory) / "data")
        with CollectorProcess(Path(directory), TCP) as collector:
            path = f"/explore?{urlencode(_newest_day(collector))}"
            took_s = []
            for _ in range(OPENINGS):
                with page_of(browser, str(collector.http.base_url)) as page:
                    took_s.append(first_rows_s(page, path))
            return Opened(collector.row_id, took_s)


@contextmanager
def collecting() -> Iterator[CollectorProcess]:
    with tempfile.TemporaryDirectory(prefix="b-") as directory, CollectorProcess(Path(directory), TCP) as collector:
        yield collector


@contextmanager
def load(collector: CollectorProcess, rate: float, seconds: float) -> Iterator[None]:
    """Lines at `rate` until the context is left, for `seconds` at most; `RuntimeError` where they ended before."""
    with sending(collector.port, rate, seconds) as sender:
        yield
        if sender.poll() is not None:
            sent = sent_by(sender, _MORE_S)
            raise RuntimeError(f"cannot measure: the load of {sent.lines} lines ended after {sent.seconds:.0f} s")


def _open_live(page: Page) -> None:
    page.goto("/live")
    expect(page.locator(".state")).to_have_text("Live")


def _said(page: Page) -> str:
    return " ".join(page.locator(".status").inner_text().split())


def _newest_day(collector: CollectorProcess) -> dict[str, str]:
    answer = collector.http.get("/api/v1/search", params={"since": "2000-01-01", "limit": 1}).raise_for_status()
    newest = datetime.fromisoformat(answer.json()["rows"][0]["observed_timestamp"])
    until = newest + timedelta(seconds=1)
    return {"since": (until - SPAN).isoformat(), "until": until.isoformat()}


def _link(data: Path, copy: Path) -> None:
    copy.mkdir(mode=0o700)
    for path in data.iterdir():
        if path.is_file() and path.name != "lock":
            os.link(path, copy / path.name)
