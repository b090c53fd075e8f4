"""The fence from outside: all hostile statements over HTTP against a running collector, which loses nothing of its own."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from cloud.logs.query.access.keys import KeyFile, Wanted
from cloud.logs.query.access.roles import Role
from cloud.logs.query.sql.confinement import WALLS, missing_here
from cloud.logs.query.sql.order import MEMORY_BYTES
from cloud.logs.query.sql.runner import MAX_RUNNING
from tests.collector.test_collector_process import Collector
from tests.query.sql import statements
from tests.waiting import wait_until

SECRET = "root:x: cloudlog_0123456789abcdef_secret"
OWN_BYTES = 400 << 20
"""What a process has before its statement: the libraries."""
ANSWER_BYTES = 64 << 20
"""How much more the collector may have after hostile statements: answers that were on their way."""
KINDS: Mapping[str, Sequence[str]] = {
    "files": statements.FILES,
    "writes": statements.WRITES,
    "network": statements.NETWORK,
    "settings": (*statements.SETTINGS, "SELECT no_such_column FROM logs", "SELECT '\ud800'"),
}
DEADLINE_S = 0.5
LONGEST_S = 15.0
"""For a statement with `DEADLINE_S`, its turn and its process's start, with all of a slow machine's."""


@dataclass
class Fenced:
    """A running collector, with all around it that would tell of an escape."""

    collector: Collector
    outside: Path
    tcp: socket.socket
    udp: socket.socket
    http: httpx.Client
    lines: int = 0
    peak_bytes: int = 0
    """Of the largest process of a statement."""
    rss_bytes: int = 0
    """Of the collector after its first batch."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def filled(self, text: str) -> str:
        canary, escape = self.outside / "canary", self.outside / "escape"
        return text.format(data=self.collector.data, canary=canary, escape=escape, port=self.tcp.getsockname()[1])

    def ask(self, text: str, **more: object) -> tuple[httpx.Response, float]:
        """The answer, and how long it took."""
        started_s = time.monotonic()
        body = json.dumps({"statement": self.filled(text), **more})
        answer = self.http.post("/api/v1/sql", content=body, headers={"Content-Type": "application/json"})
        return answer, time.monotonic() - started_s

    def ask_all(self, texts: Sequence[str], **more: object) -> list[tuple[httpx.Response, float]]:
        with ThreadPoolExecutor(MAX_RUNNING + 1) as pool:
            return list(pool.map(lambda text: self.ask(text, **more), texts))

    def processes(self) -> list[Path]:
        """Those of statements, below the collector."""
        found = []
        for children in Path(f"/proc/{self.collector.process.pid}/task").glob("*/children"):
            try:
                pids = children.read_text().split()
                found += [
                    p for p in map(Path("/proc").joinpath, pids) if b"statement_process" in (p / "cmdline").read_bytes()
                ]
            except OSError:  # it has ended
                continue
        return found

    def watch(self) -> None:
        """How large the processes of statements become."""
        while not self._stop.wait(0.02):
            for each in self.processes():
                self.peak_bytes = max(self.peak_bytes, resident_bytes(each))

    def stop(self) -> None:
        self._stop.set()

    def found(self, asked: Mapping[str, str]) -> int:
        answer = self.http.get("/api/v1/search", params=asked)
        assert answer.status_code == 200, answer.text
        return len(answer.json()["rows"])

    def check(self) -> None:
        """The collector answers, takes lines and finds them; nothing was read, made or called; nobody is left behind."""
        wait_until(lambda: not self.processes(), what="the end of the statements", timeout_s=5)
        self.lines += 1
        self.collector.send(b"<134>1 - compute-01 nova-api - - - line%d\n" % self.lines)
        asked = {"q": f"line{self.lines}", "since": "1h"}
        wait_until(lambda: self.found(asked) == 1, what="the line")
        assert self.http.get("/api/v1/count").json() == [{"count": self.lines}]
        assert sorted(path.name for path in self.outside.iterdir()) == ["canary", "control"]
        assert (self.outside / "canary").stat().st_atime == OLD_S
        for take in (self.tcp.accept, lambda: self.udp.recv(1)):
            with pytest.raises(BlockingIOError):
                take()
        assert not list(self.collector.data.glob("tmp/*"))
        own = resident_bytes(Path(f"/proc/{self.collector.process.pid}"))
        self.rss_bytes = self.rss_bytes or own
        assert own < self.rss_bytes + ANSWER_BYTES
        assert self.collector.process.poll() is None


OLD_S = 1_000_000_000


def resident_bytes(process: Path) -> int:
    try:
        return int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):  # it has ended
        return 0


@pytest.fixture(scope="module")
def fenced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fenced]:
    outside, data = tmp_path_factory.mktemp("outside"), tmp_path_factory.mktemp("fenced") / "data"
    for name in ("canary", "control"):  # who reads one of them changes the time of its last access
        (outside / name).write_text(SECRET)
        os.utime(outside / name, (OLD_S, time.time()))
    key = KeyFile(data).create(Wanted("operator", Role.OPERATOR))
    with ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        udp.bind(tcp.getsockname())
        tcp.setblocking(False)
        udp.setblocking(False)
        collector = stack.enter_context(Collector(data))
        headers = {"Authorization": f"Bearer {key}"}
        http = stack.enter_context(
            httpx.Client(base_url=collector.http.base_url, headers=headers, timeout=60, trust_env=False)
        )
        fenced = Fenced(collector, outside, tcp, udp, http)
        watching = threading.Thread(target=fenced.watch)
        watching.start()
        try:
            yield fenced
        finally:
            fenced.stop()
            watching.join()


def test_all_walls_of_this_system_stand(fenced: Fenced) -> None:
    answer, _ = fenced.ask("SELECT 1")
    assert answer.json()["rows"] == [[1]]
    text = fenced.http.get("/metrics").text
    for wall in WALLS:
        assert f'cloudlog_sql_walls{{wall="{wall}"}} {float(wall not in missing_here())}' in text
    fenced.check()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_select_on_logs_does_nothing(fenced: Fenced, kind: str) -> None:
    secrets = [SECRET, (fenced.collector.data / "store-key").read_text(), "sha256"]
    for text, (answer, took_s) in zip(KINDS[kind], fenced.ask_all(KINDS[kind]), strict=True):
        assert answer.status_code == 422, f"{text}: {answer.text}"
        assert not any(secret in answer.text for secret in secrets), text
        assert took_s < LONGEST_S, text
    fenced.check()


def test_what_is_deep_ends_its_own_process_at_most(fenced: Fenced) -> None:
    for text, (answer, took_s) in zip(
        statements.DEEP, fenced.ask_all(statements.DEEP, deadline_s=DEADLINE_S, max_rows=1), strict=True
    ):
        assert answer.status_code in (200, 422), f"{text:.100}: {answer.text:.300}"
        assert took_s < LONGEST_S, text[:100]
    fenced.check()


def test_what_takes_too_much_ends_in_time_and_takes_nobody_along(fenced: Fenced) -> None:
    for text, (answer, took_s) in zip(
        statements.TOO_MUCH, fenced.ask_all(statements.TOO_MUCH, deadline_s=DEADLINE_S), strict=True
    ):
        if answer.status_code == 200:  # a fast machine was done before the deadline, with more than an answer holds
            assert answer.json() | {"columns": []} == {"columns": [], "rows": [], "is_cut": True}, text
        else:
            assert answer.status_code == 422, f"{text}: {answer.text:.300}"
            assert answer.json()["code"] in ("deadline", "memory", "statement", "broken"), text
        assert took_s < LONGEST_S, text
    assert 0 < fenced.peak_bytes < OWN_BYTES + MEMORY_BYTES
    fenced.check()


def test_reading_would_have_been_noticed(fenced: Fenced) -> None:
    control = fenced.outside / "control"
    control.read_text()
    if control.stat().st_atime == OLD_S:
        pytest.skip("this file system keeps no times of access")
