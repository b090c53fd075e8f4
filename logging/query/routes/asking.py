"""The reader as one request may use it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from cloud.logs.collector.store import QueryInterruptedError
from cloud.logs.query.limit import Limit
from cloud.logs.query.reader import Reader
from cloud.logs.query.routes.question import TheReaders
from cloud.logs.query.routes.readers import Readers
from cloud.logs.query.search import SearchError

DEADLINE_S = 30.0
"""For an answer, and for each page of a tail."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Asking:
    """The reader as one request may use it: in its turn, until the deadline, and no longer than its client is there."""

    reader: Reader
    readers: Readers
    request: Request

    async def read(self, read: Callable[[Reader], Found]) -> Found:
        """What `read` finds with the reader that it is given; `BusyError`, and `SearchError` at the deadline."""

        def within_limit(gone: threading.Event) -> Found:
            try:
                return read(self.reader.within(Limit.after(DEADLINE_S, gone).guard))
            except QueryInterruptedError as exc:
                raise SearchError(f"cannot answer within {DEADLINE_S:g} s: ask for less") from exc

        return await self.readers.run(self.request, within_limit)


async def the_asking(request: Request, readers: TheReaders) -> Asking:
    return Asking(request.app.state.reader, readers, request)


TheAsking = Annotated[Asking, Depends(the_asking)]
