"""Data between a socket and the store, piece by piece: what is held of an image of any size is one piece."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from cloud.domain.image import Image
from cloud.errors import BadRequestError, ImageUnavailableError, RequestTimeoutError, TooLargeError
from cloud.logs.emit import logger
from cloud.services.image.data import DamagedImageError, DataReader
from cloud.services.image.store import Expected, ImageUpload

UPLOAD_PIECE_BYTES = 1 << 20
DOWNLOAD_PIECE_BYTES = 1 << 18
PIECE_TIMEOUT_S = 120.0
"""Within it a piece comes, or goes: 9 KB/s is the slowest that anybody may send, and 2 KB/s read."""
SLOT_TIMEOUT_S = 30.0


class Transfers:
    """Uploads and downloads of one service: so many of each at a time, others wait for a while."""

    def __init__(
        self, *, piece_timeout_s: float = PIECE_TIMEOUT_S, max_uploads: int = 64, max_downloads: int = 256
    ) -> None:
        self._piece_timeout_s = piece_timeout_s
        self._uploads = asyncio.Semaphore(max_uploads)
        self._downloads = asyncio.Semaphore(max_downloads)

    async def upload(
        self, request: Request, begin: Callable[[], ImageUpload], expected: Expected, *, is_final: bool
    ) -> Image:
        """The image with the body of `request` as its data.

        Whatever stops it leaves no byte, and the image queued, or killed where a failure `is_final`.
        BadRequestError when it is not as `expected` or the client goes, RequestTimeoutError when it comes too slowly,
        and the errors of ImageUpload.
        """
        async with _slot(self._uploads):
            upload = await run_in_threadpool(begin)
            try:
                async for piece in self._pieces(request.receive):
                    await run_in_threadpool(upload.write, piece)
                return await run_in_threadpool(upload.commit, expected)
            except BaseException as exc:
                await asyncio.shield(asyncio.to_thread(upload.abort, exc, is_final=is_final))
                raise

    async def download(self, data: DataReader, start: Message, receive: Receive, send: Send) -> bool:
        """Send `start` and the data as an answer; whether the client has stayed until its end.

        TimeoutError when it reads too slowly, DamagedImageError when the data proves to be: then some of it has been
        sent, and the answer is not to be ended.
        """
        async with _slot(self._downloads):
            gone = asyncio.create_task(_disconnect(receive))
            try:
                await send(start)
                rest = data.size
                while not gone.done():
                    piece = await run_in_threadpool(data.read, DOWNLOAD_PIECE_BYTES)
                    rest -= len(piece)
                    async with asyncio.timeout(self._piece_timeout_s):
                        await send({"type": "http.response.body", "body": piece, "more_body": rest > 0})
                    if not rest:
                        return True
                return False
            finally:
                gone.cancel()

    async def _pieces(self, receive: Receive) -> AsyncIterator[bytes]:
        is_more = True
        while is_more:
            piece = bytearray()
            try:
                async with asyncio.timeout(self._piece_timeout_s):
                    while is_more and len(piece) < UPLOAD_PIECE_BYTES:
                        message = await receive()
                        if message["type"] != "http.request":
                            raise BadRequestError("cannot read image data: the client has gone")
                        piece += message.get("body", b"")
                        is_more = message.get("more_body", False)
            except TimeoutError as exc:
                raise RequestTimeoutError("cannot read image data: it comes too slowly") from exc
            if piece:
                yield bytes(piece)


class DataResponse(Response):
    """An image's data as an answer, with its length said. One that proves damaged ends before its end."""

    media_type = "application/octet-stream"

    def __init__(self, transfers: Transfers, image: Image, data: DataReader, headers: dict[str, str]) -> None:
        super().__init__(headers={**headers, "content-length": str(data.size)})
        self._transfers = transfers
        self._image = image
        self._data = data

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        line = logger.bind(image=self._image.id, size=self._image.size)
        try:
            is_sent = await self._transfers.download(self._data, start, receive, send)
            if not is_sent:
                line.info("image download ended early, the client has gone")
        except DamagedImageError as exc:
            line.bind(error=str(exc)).error("image data is damaged")
        except TimeoutError:
            line.warning("image download ended early, the client reads too slowly")
        finally:
            self._data.close()


@asynccontextmanager
async def _slot(slots: asyncio.Semaphore) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(SLOT_TIMEOUT_S):
            await slots.acquire()
    except TimeoutError as exc:
        raise ImageUnavailableError("too many images are on their way; try again later") from exc
    try:
        yield
    finally:
        slots.release()


async def _disconnect(receive: Receive) -> None:
    message: Message = {}
    while message.get("type") != "http.disconnect":
        message = await receive()


def has_body(request: Request) -> bool:
    """Whether data comes with a request (RFC 9112 section 6)."""
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0").strip("0") != ""


def check_announced(request: Request, max_bytes: int) -> None:
    """TooLargeError for a body that says itself that it is too large."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise TooLargeError(f"cannot upload image: {announced} bytes, and at most {max_bytes} are taken")
