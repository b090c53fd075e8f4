"""`/api/v1`: which numbered lines are missing, the way in for them, and the end of runs that are over."""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Annotated, Any

import numpy as np
from anyio import to_thread
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from cloud.logs.collector.batch import Source
from cloud.logs.collector.hosts import BACKFILL_PEER
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.lines import (
    MAX_NUMBER,
    MAX_RUN_RANGES,
    LineAccounts,
    LinesMissingError,
    Mark,
    MarkKind,
    MarkStore,
    Run,
    RunReport,
    RunState,
    identity_of,
)
from cloud.logs.collector.ranges import Numbers
from cloud.logs.query.access.principal import allowed

MAX_BODY_BYTES = 16 << 20
MAX_MESSAGE_BYTES = 1 << 20
ROOM_S = 10.0
COMMIT_S = 30.0
POLL_S = 0.05
MEDIA_TYPE = "application/octet-stream"

_COUNT = re.compile(rb"([1-9][0-9]{0,8}) ")
_COUNT_BEGUN = re.compile(rb"[1-9][0-9]{0,8}(?: |\Z)")
_BACKFILL = Source(BACKFILL_PEER)

router = APIRouter(prefix="/api/v1")


def _accounts(request: Request) -> LineAccounts:
    accounts: LineAccounts = request.app.state.accounts
    return accounts


def _mark_store(request: Request) -> MarkStore:
    store: MarkStore = request.app.state.mark_store
    return store


def _inbox(request: Request) -> Inbox:
    inbox: Inbox = request.app.state.inbox
    return inbox


TheAccounts = Annotated[LineAccounts, Depends(_accounts)]
TheMarkStore = Annotated[MarkStore, Depends(_mark_store)]
TheInbox = Annotated[Inbox, Depends(_inbox)]
Number = Annotated[int, Field(ge=1, le=MAX_NUMBER)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    host: str = Field(min_length=1, max_length=255)
    start: str = Field(min_length=1, max_length=255)

    @property
    def run(self) -> Run:
        return Run(self.host, self.start)


class Closing(_Asked):
    """A run and its last number."""

    last: Number


class Waiving(_Asked):
    """Numbers of a run that nobody is to look for any more, as ranges, both ends inclusive."""

    gaps: list[tuple[Number, Number]] = Field(max_length=MAX_RUN_RANGES)


@router.get("/gaps", dependencies=[Depends(allowed("gaps:read"))])
async def gaps(
    accounts: TheAccounts,
    *,
    host: str | None = None,
    in_flight: Annotated[bool, Query(description="Also what is so young that it may still be on its way.")] = False,
    every: Annotated[bool, Query(description="Also the runs of which nothing is missing.")] = False,
    max_gaps: Annotated[int, Query(ge=0, le=MAX_RUN_RANGES, description="How many are listed of each run.")] = 100,
) -> list[dict[str, Any]]:
    """The runs with numbers that are not stored, and those whose end nobody has confirmed, the oldest first."""
    reports = await to_thread.run_sync(lambda: accounts.report(host, in_flight=in_flight))
    return [_as_json(each, max_gaps) for each in reports if every or each.gaps or each.state is RunState.UNCLOSED]


@router.post("/backfill", dependencies=[Depends(allowed("gaps:fill"))])
async def backfill(
    request: Request,
    accounts: TheAccounts,
    inbox: TheInbox,
    *,
    host: str,
    start: str,
    ended: Annotated[bool, Query(description="The run is over: a newer one has taken its place.")] = False,
) -> dict[str, int]:
    """Store lines of one run in wire format, octet-counted or one a line; the answer comes when they are durable.

    Those that are stored already are dropped. When it fails, any part may have been stored: send all of it again.
    """
    # A web page cannot send this type without asking first, and nobody answers that.
    if request.headers.get("content-type") != MEDIA_TYPE:
        raise HTTPException(415, f"cannot take this content type: expected {MEDIA_TYPE}")
    run = Run(host, start)
    if ended:
        accounts.ended(run)
    before = 0
    sent: list[Numbers] = []
    waits: list[Future[None]] = []
    body = _Body()
    async for chunk in request.stream():  # the server reads 64 KiB at a time, which bounds a piece
        if piece := body.feed(chunk):
            before += await _put(piece, run, accounts, inbox, sent, waits)
    if piece := body.close():
        before += await _put(piece, run, accounts, inbox, sent, waits)
    await to_thread.run_sync(_hurry, inbox)
    try:
        async with asyncio.timeout(COMMIT_S):
            await asyncio.gather(*map(asyncio.wrap_future, waits))
    except TimeoutError as exc:
        raise HTTPException(503, f"cannot store within {COMMIT_S:g} s: the store stalls") from exc
    lines = sum(map(len, sent))
    after = sum(_known(accounts, run, numbers) for numbers in sent)
    stored = max(0, after - before)
    return {"lines": lines, "stored": stored, "duplicates": before, "refused": lines - before - stored}


@router.post("/runs/close", dependencies=[Depends(allowed("gaps:fill"))])
async def close_run(accounts: TheAccounts, store: TheMarkStore, asked: Closing) -> dict[str, str]:
    """Confirm that a run is over and whole up to its last number; 409 when lines of it are missing."""

    def close() -> None:
        accounts.record(store, accounts.closing(asked.run, asked.last))

    try:
        await to_thread.run_sync(close)
    except LinesMissingError as exc:
        raise HTTPException(409, str(exc)) from exc
    return {"state": RunState.CLOSED}


@router.post("/runs/waive", dependencies=[Depends(allowed("gaps:fill"))])
async def waive(accounts: TheAccounts, store: TheMarkStore, asked: Waiving) -> dict[str, int]:
    """Miss these numbers no more, since nobody has their lines. Should one come after all, it is stored."""
    if wrong := next((gap for gap in asked.gaps if gap[0] > gap[1]), None):
        raise HTTPException(422, f"cannot waive {wrong[0]} to {wrong[1]}: the first is after the last")
    marks = [Mark(asked.run, first, last, MarkKind.WAIVED) for first, last in asked.gaps]
    await to_thread.run_sync(accounts.record, store, marks)
    return {"waived": sum(last - first + 1 for first, last in asked.gaps)}


def _as_json(report: RunReport, max_gaps: int) -> dict[str, Any]:
    return {
        "host": report.run.host,
        "start": report.run.start,
        "state": report.state,
        "last": report.last,
        "stored": report.stored,
        "waived": report.waived,
        "missing": report.missing,
        "gaps": [{"first": first, "last": last, "count": last - first + 1} for first, last in report.gaps[:max_gaps]],
    }


async def _put(
    lines: Sequence[bytes],
    run: Run,
    accounts: LineAccounts,
    inbox: Inbox,
    sent: list[Numbers],
    waits: list[Future[None]],
) -> int:
    """Put `lines` into the inbox, waiting for room; how many of them are stored already."""
    numbers = np.fromiter((_number(line, run) for line in lines), np.uint64, len(lines))
    known = _known(accounts, run, numbers)
    deadline_s = time.monotonic() + ROOM_S
    done = 0
    while True:
        done += await to_thread.run_sync(_fill, inbox, lines[done:], waits)
        if done == len(lines):
            break
        if time.monotonic() >= deadline_s:
            raise HTTPException(
                503, f"cannot take lines within {ROOM_S:g} s: the inbox is full", {"Retry-After": f"{ROOM_S:.0f}"}
            )
        await asyncio.sleep(POLL_S)
    sent.append(numbers)
    return known


def _number(line: bytes, run: Run) -> int:
    identity = identity_of(line)
    if identity is None or identity[0] != run:
        raise HTTPException(422, f"cannot take line {line[:200]!r}: it is not of run {run.start} of {run.host}")
    return identity[1]


def _known(accounts: LineAccounts, run: Run, numbers: Numbers) -> int:
    return accounts.fresh([run], np.zeros(len(numbers), np.int32), numbers).duplicates


def _fill(inbox: Inbox, lines: Sequence[bytes], waits: list[Future[None]]) -> int:
    """Add as many of `lines` as there is room for, and a wait for each batch that took some; how many."""
    now_us = time.time_ns() // 1000
    batch = None
    with inbox.lock:
        for done, line in enumerate(lines):
            is_long = len(line) > MAX_MESSAGE_BYTES
            payload = _cut(line) if is_long else line
            room = inbox.current(len(payload))
            if room is None:
                inbox.filled()
                return done
            if room is not batch:
                batch = room
                wait: Future[None] = Future()
                wait.set_running_or_notify_cancel()  # from here on a client that goes away cannot cancel it
                waits.append(wait)
                batch.on_commit.append(partial(wait.set_result, None))
            batch.add_payload(payload, _BACKFILL, now_us, is_truncated=is_long)
        inbox.filled()
    return len(lines)


def _hurry(inbox: Inbox) -> None:
    with inbox.lock:
        inbox.hurry()


def _cut(line: bytes) -> bytes:
    """Head and tail, as the listeners keep them."""
    half = MAX_MESSAGE_BYTES // 2
    return line[:half] + b" [... %d bytes cut ...] " % (len(line) - 2 * half) + line[-half:]


class _Body:
    """Lines out of a request's body as it comes: octet-counted (RFC 6587) when it begins with a digit."""

    def __init__(self) -> None:
        self._buffer = b""
        self._received = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes."""
        self._received += len(chunk)
        if self._received > MAX_BODY_BYTES:
            raise HTTPException(413, f"cannot take more than {MAX_BODY_BYTES} bytes at once: send it in pieces")
        self._buffer += chunk
        if self._buffer[:1].isdigit():
            return list(self._counted())
        *lines, self._buffer = self._buffer.split(b"\n")
        return [line for line in lines if line]

    def close(self) -> list[bytes]:
        """A last line without its newline."""
        if self._buffer[:1].isdigit():
            raise HTTPException(422, f"cannot take frame {self._buffer[:20]!r}: the body ends before it does")
        return [self._buffer] if self._buffer else []

    def _counted(self) -> Iterator[bytes]:
        at = 0
        while match := _COUNT.match(self._buffer, at):
            end = match.end() + int(match[1])
            if end > len(self._buffer):
                break
            yield self._buffer[match.end() : end]
            at = end
        self._buffer = self._buffer[at:]
        if self._buffer and not _COUNT_BEGUN.match(self._buffer):
            raise HTTPException(422, f"cannot take frame {self._buffer[:20]!r}: expected an octet count")
