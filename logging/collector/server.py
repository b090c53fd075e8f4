"""The collector from start to stop: store, writer, receiver, HTTP; and back in the opposite order."""

import asyncio
import ctypes
import gc
import resource
import signal
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from loguru import logger
from prometheus_client import disable_created_metrics

from cloud.logs.collector.budget import Budget
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.http import Door, Parts, make_app
from cloud.logs.collector.http_server import HttpServer
from cloud.logs.collector.http_tls import https_context
from cloud.logs.collector.inbox import Inbox
from cloud.logs.collector.lag import Missing, oldest_s
from cloud.logs.collector.lines import LineAccounts
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.precompile import compile_elsewhere
from cloud.logs.collector.receivers.bind import ListenError
from cloud.logs.collector.receivers.receiver import Receiver
from cloud.logs.collector.settings import BATCH_BYTES, BATCH_COST, CollectorSettings, SettingsError
from cloud.logs.collector.storage.directory import damaged_files
from cloud.logs.collector.upkeep import Upkeep
from cloud.logs.collector.writer import Writer
from cloud.logs.loopback import is_loopback
from cloud.logs.query.access.identity import Identity, IdentityService
from cloud.logs.query.access.keys import KeyFile, KeysError
from cloud.logs.query.access.roles import ROLE_WORDS

_MALLOPT = {-8: 2, -3: 1 << 20, -1: 8 << 20}
"""glibc's M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD (malloc.h), so that what is freed goes back to the system.

Threads with heaps of their own kept up to 100 MB more. A threshold that is not set grows to 32 MB as large arrays come
and go, and their holes stay: 100 MB more at 98,000 messages a second.
"""
START_POLL_S = 0.005


@dataclass(frozen=True, slots=True)
class _Listening:
    """Where HTTP is served, and for whom."""

    socket: socket.socket
    tls: ssl.SSLContext | None
    door: Door

    @property
    def url(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"{'http' if self.tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}"


IdentityOf = Callable[[str], IdentityService]
"""A client of the identity service at a URL without a version."""


def run_collector(
    settings: CollectorSettings, announce: Callable[[str], None], identity_of: IdentityOf | None = None
) -> int:
    """Run until SIGTERM or SIGINT; the exit code is 0 then, and 1 when the store, a thread or the HTTP server broke,
    or when what was received could not be stored in time.

    `announce` hears `syslog tcp://...` for each listener, `http http://...`, and `ready` when both take connections.
    `StoreError`, `ListenError` and `SettingsError` before anything has started.
    """
    listener_settings, http_address = settings.listeners(), settings.http_address(has_keys=_has_keys(settings))
    tls_settings = settings.http_tls()
    tls = None if tls_settings is None else https_context(tls_settings)
    identity = _identity(settings, identity_of)
    _raise_file_limit()
    _tune_malloc()
    compile_elsewhere()
    disable_created_metrics()  # type: ignore[no-untyped-call]
    metrics = Metrics()
    store = DuckDbStore(settings.data, settings.store_settings())
    writer: Writer | None = None
    try:
        accounts = LineAccounts(store.marks())
        inbox = Inbox(settings.buffer_bytes // BATCH_COST, BATCH_BYTES)
        metrics.inbox_bytes.set_function(lambda: inbox.size_bytes)
        metrics.oldest_seconds.set_function(lambda: oldest_s(inbox, _now_us()))
        missing = Missing(accounts)
        metrics.lines_missing.set_function(missing.lines)
        metrics.runs_unclosed.set_function(missing.unclosed_runs)
        alarm = _Alarm(inbox)
        upkeep = Upkeep(store, settings.policy(), alarm.sound)
        budget = Budget(settings.host_budget(), metrics, settings.data)
        writer = Writer(inbox, store, accounts, budget, metrics, alarm.sound, settings.redactor())
        metrics.index_files.set_function(lambda: upkeep.indexer.counts().indexed)
        metrics.index_pending_files.set_function(lambda: upkeep.indexer.counts().pending)
        upkeep.indexer.on_built = metrics.index_seconds.inc
        metrics.damaged_files.set_function(lambda: len(damaged_files(settings.data)))
        store.on_set_aside(writer.reload_accounts)
        receiver = Receiver(listener_settings, inbox, metrics, _now_us)
        door = Door(settings.http_called(), is_loopback(http_address[0]), identity)
        listening = _Listening(_bound(*http_address), tls, door)
        parts = Parts(store, upkeep, accounts, inbox, metrics)
        return asyncio.run(_serve(parts, writer, receiver, listening, alarm, announce))
    finally:
        if writer is None or not writer.is_running:
            store.close()


class _Alarm:
    """What a thread without which nothing works sounds when it dies; from any thread."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self.has_sounded = False
        self.stop: Callable[[], None] = lambda: None

    def sound(self) -> None:
        self.has_sounded = True
        self._inbox.close()  # nobody takes from it any more, and what is received has nowhere to go
        self.stop()


async def _serve(
    parts: Parts,
    writer: Writer,
    receiver: Receiver,
    listening: _Listening,
    alarm: _Alarm,
    announce: Callable[[str], None],
) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def stop_soon() -> None:
        loop.call_soon_threadsafe(stop.set)

    alarm.stop = stop_soon
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    app = make_app(parts, listening.door)
    http = HttpServer(app, listening.tls)
    writer.start()
    parts.upkeep.start()
    receiver.start(alarm.sound)
    serving = asyncio.create_task(http.serve(sockets=[listening.socket]))
    serving.add_done_callback(lambda _: stop.set())
    # A stop before this would find half a server, and uvicorn has no event for it.
    while not (http.started or serving.done()):  # noqa: ASYNC110
        await asyncio.sleep(START_POLL_S)
    # What is loaded by now stays: a collection that looks at all of it takes a tenth of a second, as does the last one.
    gc.collect()
    gc.freeze()
    for url in receiver.urls:
        announce(f"syslog {url}")
    announce(f"http {listening.url}")
    announce("ready")

    await stop.wait()
    has_died = alarm.has_sounded or serving.done()
    logger.info("collector stopping")
    # Senders first, then what they have sent, then the answers to it, then those who read it.
    await asyncio.to_thread(receiver.stop_reading)
    has_ended = await asyncio.to_thread(writer.stop)
    await asyncio.to_thread(receiver.stop)
    await asyncio.to_thread(parts.upkeep.stop)
    if http.started:
        app.state.commits.close()
    http.should_exit = True
    await serving
    if listening.door.identity is not None:
        await listening.door.identity.service.close()
    return 1 if has_died or alarm.has_sounded or not has_ended else 0


def _has_keys(settings: CollectorSettings) -> bool:
    try:
        return bool(KeyFile(settings.data).read())
    except KeysError as exc:
        raise SettingsError(str(exc)) from exc


def _identity(settings: CollectorSettings, identity_of: IdentityOf | None) -> Identity | None:
    table = settings.identity
    if table is None:
        return None
    if identity_of is None:
        raise SettingsError(
            f"cannot use identity.auth_url {table.auth_url}: nothing here speaks to an identity service"
        )
    return Identity(identity_of(table.base_url), {name: ROLE_WORDS[word] for name, word in table.roles.items()})


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


def _tune_malloc() -> None:
    with suppress(AttributeError):  # another C library
        for option, value in _MALLOPT.items():
            ctypes.CDLL(None).mallopt(option, value)
