"""One statement in a process of its own, a few at a time: what it does there cannot hold up or end the collector."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from cloud.logs.query.sql.order import Order

MAX_RUNNING = 2
PATIENCE_S = 10.0
START_S = 15.0
"""So long a process may take to start, attach the files and answer, beside its statement."""
ENDING_S = 1.0
"""So long a process may take to end after its answer; nobody kills what has ended, whose number may be another's."""
MAX_HEAD_BYTES = 64 << 10


class SqlError(Exception):
    """No answer; `code` says why, for programs."""

    status: ClassVar[int] = 422

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class SqlBusyError(SqlError):
    """Too many statements run already."""

    status = 503


class SqlGoneError(SqlError):
    """Who asked has gone."""

    status = 499


class SqlBrokenError(SqlError):
    """Its process ended without a word: what it was asked was too much for it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON object `columns`, `rows`, `is_cut`, and how many rows there are."""

    body: bytes
    rows: int


class Runner:
    """Within one event loop."""

    def __init__(self, note_missing: Callable[[Mapping[str, str]], None] = lambda _missing: None) -> None:
        """`note_missing` hears of each process which walls it lacked, and why."""
        self._note_missing = note_missing
        self._free = asyncio.Semaphore(MAX_RUNNING)

    async def acquire(self) -> None:
        """Wait for one's turn, before anything is prepared; `SqlBusyError`. `release` gives it back."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._free.acquire()
        except TimeoutError as exc:
            raise SqlBusyError(f"cannot run the statement: {MAX_RUNNING} others are running", "busy") from exc

    def release(self) -> None:
        self._free.release()

    async def run(self, order: Order) -> Answer:
        """The answer of a process that has ended; `SqlError`. Who is cancelled leaves none behind."""
        # -I: nothing of the environment or of the working directory has a say in what is imported.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", "cloud.logs.query.sql.statement_process"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd="/",
            env={"PATH": os.defpath, "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        try:
            async with asyncio.timeout(order.deadline_s + START_S):
                text = await _exchange(process, order)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), ENDING_S)
        except TimeoutError as exc:
            raise SqlError(f"the statement took more than {order.deadline_s:g} s", "deadline") from exc
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return self._answer(text, process.returncode)

    def _answer(self, text: bytes, returncode: int | None) -> Answer:
        head, _, body = text.partition(b"\n")
        try:
            about = json.loads(head)
            self._note_missing(dict(about["missing_walls"]))
            if error := about.get("error"):
                raise SqlError(str(about["detail"]), str(error))
            return Answer(body, int(about["rows"]))
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            how = f"signal {-returncode}" if returncode is not None and returncode < 0 else f"exit code {returncode}"
            raise SqlBrokenError(f"the statement ended its process ({how}): it asks for too much", "broken") from exc


async def _exchange(process: asyncio.subprocess.Process, order: Order) -> bytes:
    """All that the process writes, up to what it may."""
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - pipes were asked for
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(order.to_json())
        await process.stdin.drain()
        process.stdin.close()
    parts: list[bytes] = []
    size = 0
    while part := await process.stdout.read(1 << 18):
        size += len(part)
        if size > order.max_bytes + MAX_HEAD_BYTES:
            raise SqlError("the answer is too long", "broken")
        parts.append(part)
    return b"".join(parts)
