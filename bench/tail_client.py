"""A client of the live tail that keeps what it is sent: row_ids, what it was told it missed, and delays of probes."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

LAST_PROBE = 999_999_999
"""With it a client has all that it waits for."""
READ_BYTES = 64 << 10
_PROBE = re.compile(rb'"probe":(\d+)')


@dataclass(slots=True)
class Heard:
    """What one client got, in order."""

    query: str
    begin: int = 0
    """It is to get what comes behind this row."""
    row_ids: list[int] = field(default_factory=list)
    skipped: list[Mapping[str, Any]] = field(default_factory=list)
    delays_s: dict[int, float] = field(default_factory=dict)
    """From sent to here, by the number of the probe."""
    status: int = 0
    """Of the answer."""
    ended: str | None = None
    """Why, where the collector has ended it."""

    @property
    def reached(self) -> int:
        """The last row that came, or that it was told of."""
        told = self.skipped[-1]["last_row_id"] if self.skipped else self.begin
        return max(told, self.row_ids[-1] if self.row_ids else self.begin)


@dataclass(slots=True, eq=False)
class TailClient:
    """One of them, on a connection of its own."""

    port: int
    query: str
    sent_s: Mapping[int, float]
    """When each probe was sent (monotonic)."""
    address: str = "127.0.0.1"
    """Where it comes from."""
    lines_per_s: float | None = None
    """Faster it does not read."""
    is_live: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> Heard:
        """Read until the last probe has come, the collector ends it, or the task is cancelled."""
        heard = Heard(self.query)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, local_addr=(self.address, 0), limit=READ_BYTES
        )
        try:
            parameters = urlencode({"q": self.query, "n": 0})
            writer.write(f"GET /api/v1/tail?{parameters} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            heard.status = int((await reader.readline()).split()[1])
            while await reader.readline() != b"\r\n":
                pass
            if heard.status == 200:
                await self._read(reader, heard)
        except asyncio.CancelledError:
            pass  # the measurement is over
        finally:
            self.is_live.set()  # or never
            writer.transport.abort()
        return heard

    async def _read(self, reader: asyncio.StreamReader, heard: Heard) -> None:
        begun_s, lines = time.monotonic(), 0
        async for event in _events(reader):
            head, _, rest = event.partition(b"\n")
            if head == b"event: row":
                row_id = int(rest[rest.rindex(b"id: ") + 4 :])
                heard.row_ids.append(row_id)
                if found := _PROBE.search(rest):
                    number = int(found[1])
                    if number == LAST_PROBE:
                        return
                    heard.delays_s[number] = time.monotonic() - self.sent_s[number]
                lines += 1
                if self.lines_per_s is not None:
                    await asyncio.sleep(max(0.0, begun_s + lines / self.lines_per_s - time.monotonic()))
            elif head == b"event: live":
                heard.begin = int(_data(rest)["row_id"])
                self.is_live.set()
            elif head == b"event: skipped":
                heard.skipped.append(_data(rest))
            elif head == b"event: end":
                heard.ended = _data(rest)["detail"]
                return


def _data(rest: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(rest.split(b"\n")[0].removeprefix(b"data: "))
    return found


async def _events(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The events of a chunked answer."""
    rest = b""
    while size := int(await reader.readline(), 16):
        chunk = await reader.readexactly(size + 2)
        *events, rest = (rest + chunk[:-2]).split(b"\n\n")
        for event in events:
            yield event
