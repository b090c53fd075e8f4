"""The collector from start to stop: store, writer, listeners, HTTP; and back in the opposite order."""

import asyncio
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from loguru import logger
from prometheus_client import disable_created_metrics

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.http import make_app
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.listener import ListenError, TcpListener
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.settings import CollectorSettings
from cloud.logs.collector.writer import Writer

HTTP_STOP_S = 2
START_POLL_S = 0.005


class _HttpServer(uvicorn.Server):
    """uvicorn without signal handlers: the collector has its own order of stopping."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run_collector(settings: CollectorSettings, announce: Callable[[str], None]) -> int:
    """Run until SIGTERM or SIGINT; the exit code is 0 then, and 1 when the store, a thread or the HTTP server broke.

    `announce` hears `syslog tcp://...` for each listener, `http http://...`, and `ready` when both take connections.
    `StoreError`, `ListenError` and `SettingsError` before anything has started.
    """
    listener_settings, http_address = settings.listeners(), settings.http_address()
    _raise_file_limit()
    disable_created_metrics()  # type: ignore[no-untyped-call]
    metrics = Metrics()
    store = DuckDbStore(settings.data)
    try:
        inbox = Inbox(settings.inbox_bytes)
        metrics.inbox_bytes.set_function(lambda: inbox.size_bytes)
        listeners = [TcpListener(each, inbox, metrics, _now_us) for each in listener_settings]
        http_socket = _bound(*http_address)
        return asyncio.run(_serve(store, inbox, metrics, listeners, http_socket, announce))
    finally:
        store.close()


async def _serve(
    store: DuckDbStore,
    inbox: Inbox,
    metrics: Metrics,
    listeners: list[TcpListener],
    http_socket: socket.socket,
    announce: Callable[[str], None],
) -> int:
    loop = asyncio.get_running_loop()
    is_broken = False

    def broken() -> None:
        nonlocal is_broken
        is_broken = True
        inbox.close()  # nobody takes from it any more, and a listener may wait for room
        loop.call_soon_threadsafe(stop.set)

    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    writer = Writer(inbox, store, metrics, on_broken=broken)
    app = make_app(store, metrics)
    http = _HttpServer(
        uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=HTTP_STOP_S)
    )
    writer.start()
    for listener in listeners:
        listener.start(broken)
    serving = asyncio.create_task(http.serve(sockets=[http_socket]))
    serving.add_done_callback(lambda _: stop.set())
    # A stop before this would find half a server, and uvicorn has no event for it.
    while not (http.started or serving.done()):  # noqa: ASYNC110
        await asyncio.sleep(START_POLL_S)
    host, port = http_socket.getsockname()[:2]
    for listener in listeners:
        announce(f"syslog {listener.url}")
    announce(f"http http://{f'[{host}]' if ':' in host else host}:{port}")
    announce("ready")

    await stop.wait()
    has_died = is_broken or serving.done()
    logger.info("collector stopping")
    # Senders first, then what they have sent, then those who read it.
    await asyncio.gather(*(asyncio.to_thread(listener.stop) for listener in listeners))
    await asyncio.to_thread(writer.stop)
    if http.started:
        app.state.commits.close()
    http.should_exit = True
    await serving
    return 1 if has_died or is_broken else 0


def _bound(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as exc:
        raise ListenError(f"cannot listen on http://{host}:{port}: {exc}") from exc


def _now_us() -> int:
    return time.time_ns() // 1000


def _raise_file_limit() -> None:
    """As many files as the system lets us have, since each connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
