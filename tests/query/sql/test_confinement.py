"""The walls around the process of a statement, each by itself: what it could not do is not left to the check before."""

import json
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from loguru import logger
from prometheus_client import CollectorRegistry, Gauge

from cloud.logs.query.sql import confinement
from cloud.logs.query.sql.confinement import LANDLOCK, LIMITS, SYSTEM_CALLS, Confinement, missing_here
from cloud.logs.query.sql.standing import Standing
from cloud.logs.query.sql.walls import landlock, limits, system_calls
from cloud.logs.query.sql.walls.errors import WallError
from tests.query.sql import statements

ROOT = Path(__file__).parents[3]
SECRET = "cloudlog_0123456789abcdef_secret"
DUCKDB = "duckdb"
needs = {
    wall: pytest.mark.skipif(wall in missing_here(), reason=f"no {wall} here") for wall in (LANDLOCK, SYSTEM_CALLS)
}


@dataclass(frozen=True)
class Outside:
    """What is to be left alone, and would tell."""

    directory: Path
    tcp: socket.socket
    udp: socket.socket
    unix: socket.socket

    @property
    def port(self) -> int:
        return int(self.tcp.getsockname()[1])

    def filled(self, texts: Sequence[str]) -> list[str]:
        canary, escape = self.directory / "secret", self.directory / "escape"
        return [text.format(data=self.directory, canary=canary, escape=escape, port=self.port) for text in texts]

    def touched(self) -> set[str]:
        """What was made here, and which of the sockets have seen somebody."""
        found = {path.name for path in self.directory.iterdir()} - {"keys.json", "store-key", "secret", "kept", "unix"}
        for name, each in (("tcp", self.tcp), ("udp", self.udp), ("unix", self.unix)):
            if select.select([each], [], [], 0)[0]:
                found.add(name)
        return found


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    for name in ("keys.json", "store-key", "secret"):
        (tmp_path / name).write_text(SECRET)
    with ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        udp.bind(tcp.getsockname())
        unix.bind(str(tmp_path / "unix"))
        unix.listen()
        for each in (tcp, udp, unix):
            each.setblocking(False)
        yield Outside(tmp_path, tcp, udp, unix)


OTHERS = (
    "SELECT * FROM read_text('/proc/self/environ')",
    "SELECT * FROM read_text('/dev/stdin')",
    "COPY (SELECT 1) TO '/dev/stderr'",
    "SET enable_external_access = true",
    "SET GLOBAL lock_configuration = false",
    "SET temp_directory = '{escape}'",
)
UNCHECKED = sorted(
    (*statements.FILES, *statements.WRITES, *statements.NETWORK, *OTHERS), key=lambda text: "enable_logging" in text
)
"""Logging into a file comes last: no statement behind it does anything any more, so nothing of them would be seen."""


def run(walls: Sequence[str], texts: Sequence[str]) -> list[str]:
    """What each statement gave; one that ends its process has `ended`, and the next ones go on in another."""
    given: list[str] = []
    while len(given) < len(texts):
        done = subprocess.run(
            [sys.executable, "-m", "tests.query.sql.unchecked", *walls],
            input=json.dumps(texts[len(given) :]).encode(),
            capture_output=True,
            cwd=ROOT,
            timeout=60,
            check=False,
        )
        given += [json.loads(line) for line in done.stdout.splitlines()]
        if done.returncode:
            given.append("ended")
    return given


@pytest.mark.parametrize(
    "wall",
    [
        DUCKDB,
        LIMITS,
        pytest.param(LANDLOCK, marks=needs[LANDLOCK]),
        pytest.param(SYSTEM_CALLS, marks=needs[SYSTEM_CALLS]),
    ],
)
def test_what_was_not_checked_reads_no_file_writes_none_and_reaches_nobody(outside: Outside, wall: str) -> None:
    texts = outside.filled(UNCHECKED)
    walls = [DUCKDB, LIMITS] if wall == DUCKDB else [wall]  # it alone leaves a hole: logging into a file
    given = run(walls, texts)
    assert len(given) == len(texts)
    for text, answer in zip(texts, given, strict=True):
        assert SECRET not in answer, text
        assert "PATH=" not in answer, text
    if wall == LIMITS:  # a directory takes no descriptor: this is what the other walls are for
        (outside.directory / "escape").rmdir()
    assert outside.touched() == set()
    if wall == DUCKDB:
        refused = dict(zip(texts, given, strict=True))
        for text in outside.filled(OTHERS):
            assert "Exception" in refused[text], f"{text}: {refused[text]}"


def test_without_any_wall_it_would(outside: Outside) -> None:
    texts = outside.filled(
        ["SELECT * FROM read_text('{canary}')", "COPY (SELECT 1) TO '{escape}'", "ATTACH '{data}/new.duckdb' AS x"]
    )
    read, *_ = run([], texts)
    assert SECRET in read
    assert outside.touched() == {"escape", "new.duckdb"}


OF_LIMITS = {"open", "list", "create", "write", "pipe", "tcp", "udp", "unix", "memory", "of another thread"}
OF_LANDLOCK = {"open", "list", "create", "remove", "run", "of another thread"}
OF_SYSTEM_CALLS = {
    *("open", "list", "look", "create", "remove", "pipe", "tcp", "udp", "unix", "code", "signal", "thread", "fork"),
    *("run", "of another thread"),
}


def of_this_landlock() -> set[str]:
    version = landlock.version()
    return OF_LANDLOCK | ({"tcp"} if version >= 4 else set()) | ({"signal"} if version >= 6 else set())


def refused(outside: Outside, *walls: str) -> set[str]:
    (outside.directory / "removed").touch()
    done = subprocess.run(
        [sys.executable, "-m", "tests.query.sql.tries", *walls, str(outside.directory), str(outside.port)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return set(done.stdout.splitlines())


def test_limits_leave_no_descriptor_no_byte_and_no_memory(outside: Outside) -> None:
    assert refused(outside, LIMITS) >= OF_LIMITS
    assert outside.touched() <= {"removed"}
    assert (outside.directory / "kept").read_bytes() == b""


@needs[LANDLOCK]
def test_landlock_leaves_no_file_no_program_and_no_tcp(outside: Outside) -> None:
    assert refused(outside, LANDLOCK) == of_this_landlock()
    assert outside.touched() <= {"removed", "tcp", "udp", "unix"} - {"tcp" if landlock.version() >= 4 else ""}


@needs[SYSTEM_CALLS]
def test_system_calls_leave_nothing_but_to_compute_and_to_answer_in_all_threads(outside: Outside) -> None:
    assert refused(outside, SYSTEM_CALLS) == OF_SYSTEM_CALLS
    assert outside.touched() == {"removed"}


def test_without_walls_all_of_it_is_done(outside: Outside) -> None:
    assert refused(outside) == set()
    assert outside.touched() == {"new", "other", "tcp", "udp", "unix"}


def test_cpu_is_bounded() -> None:
    text = "from cloud.logs.query.sql.walls import limits\nlimits.put_up(1 << 28, 1)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, timeout=60, check=False)
    assert done.returncode < 0


def absent() -> int:
    raise WallError("too old")


def test_a_wall_that_this_system_has_not_is_said_and_the_others_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", absent)
    monkeypatch.setattr(system_calls, "_LIBRARY", "libnothing.so.0")
    assert missing_here()[LANDLOCK] == "too old"
    assert "cannot load libnothing.so.0 (Debian: libseccomp2)" in missing_here()[SYSTEM_CALLS]
    limited: list[int] = []
    monkeypatch.setattr(limits, "put_up", lambda memory_bytes, cpu_s: limited.extend((memory_bytes, cpu_s)))
    confined = Confinement()
    confined.begin()
    confined.finish(5, 7, lambda: limited.append(0))
    assert limited == [0, 5, 7]
    assert confined.missing == missing_here()
    assert list(Path("/").iterdir())  # nothing was put up in this process


def test_it_is_said_once_which_walls_stand_and_a_metric_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 7)
    monkeypatch.setattr(system_calls, "look", lambda: None)
    registry = CollectorRegistry()
    lines: list[str] = []
    number = logger.add(lambda message: lines.append(f"{message.record['message']} {message.record['extra']}"))
    standing = Standing(Gauge("walls", "", ("wall",), registry=registry))
    for _ in range(3):
        standing.note({})
    assert lines == ["walls around SQL statements {'walls': 'limits, landlock, system_calls'}"]
    for _ in range(3):
        standing.note({LANDLOCK: "forbidden"})
    logger.remove(number)
    assert lines[1:] == [
        "walls around SQL statements {'walls': 'limits, system_calls'}",
        "a wall around SQL statements is missing {'wall': 'landlock', 'cause': 'forbidden'}",
    ]
    shown = {wall: registry.get_sample_value("walls", {"wall": wall}) for wall in confinement.WALLS}
    assert shown == {LIMITS: 1, LANDLOCK: 0, SYSTEM_CALLS: 1}
