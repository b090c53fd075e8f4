"""A real browser, and what it tells of a page: its frames, its memory, and when it shows something."""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
VIEWPORT: ViewportSize = {"width": 1280, "height": 800}
_MEASURE = """
(milliseconds) => new Promise((done) => {
    const frames = [], tasks = [];
    const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map((each) => each.duration)));
    observer.observe({ type: 'longtask' });
    let last = performance.now();
    const begun = last;
    const frame = () => {
        const now = performance.now();
        frames.push(now - last);
        last = now;
        if (now - begun < milliseconds) requestAnimationFrame(frame);
        else { observer.disconnect(); done({ frames, tasks }); }
    };
    requestAnimationFrame(frame);
})
"""
_WATCH_FOR_ROW = """
window.shown = new Promise((done, fail) => {
    new MutationObserver((_, observer) => {
        if (document.querySelector('[role=treegrid] [role=row][aria-selected]') === null) return;
        observer.disconnect();
        requestAnimationFrame(() => setTimeout(() => done(performance.now())));
    }).observe(document, { childList: true, subtree: true });
    setTimeout(() => fail(new Error('no line is shown')), 60_000);
});
"""
"""Behind the frame that has it the time is taken: it has been painted then."""


@dataclass(frozen=True, slots=True)
class Frames:
    """How a page was shown over some time."""

    per_second: float
    p99_ms: float
    worst_ms: float
    long_tasks: int
    """Of more than 50 ms, in which it answers nothing."""
    long_task_ms: float
    """All of them together."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a page holds after its garbage is collected."""

    heap_bytes: int
    nodes: int


@contextmanager
def browsing() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_of(browser: Browser, url: str) -> Iterator[Page]:
    """A page of its own, without anything from the others."""
    context = browser.new_context(base_url=url, viewport=VIEWPORT)
    try:
        yield context.new_page()
    finally:
        context.close()


def frames_of(page: Page, seconds: float) -> Frames:
    found = page.evaluate(_MEASURE, seconds * 1000)
    return frames_from(found["frames"], found["tasks"])


def frames_from(frames_ms: Sequence[float], tasks_ms: Sequence[float]) -> Frames:
    """`frames_ms` are the times from each frame to the next one."""
    p99_ms = statistics.quantiles(frames_ms, n=100)[98] if len(frames_ms) > 1 else sum(frames_ms)
    per_second = len(frames_ms) * 1000 / sum(frames_ms)
    return Frames(per_second, p99_ms, max(frames_ms), len(tasks_ms), sum(tasks_ms))


def memory_of(page: Page) -> Memory:
    session = page.context.new_cdp_session(page)
    for _ in range(2):  # what the first one lets go of may hold more
        session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")
    nodes = session.send("Memory.getDOMCounters")
    session.detach()
    return Memory(int(heap["usedSize"]), int(nodes["nodes"]))


def first_rows_s(page: Page, path: str) -> float:
    """From the beginning of the navigation until the first line is painted."""
    page.add_init_script(_WATCH_FOR_ROW)
    page.goto(path)
    return float(page.evaluate("window.shown")) / 1000
