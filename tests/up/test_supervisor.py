"""Programs are started stage by stage, started again when they end, and stopped in time."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloud.up.process import ProcessError, start_process
from cloud.up.supervisor import STOP_TIMEOUTS_S, Program, Stage, Supervisor
from tests.waiting import wait_until

WAITS = "import signal; print('up', flush=True); signal.pause()"
IGNORES = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITS}"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Bench:
    """A supervisor whose clock we move, and what it tells."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Clock()
        self.told: list[str] = []
        self.supervisor = Supervisor(self.tell, self.clock)

    def tell(self, program: Program, text: str) -> None:
        self.told.append(f"{program} {text}")

    def program(self, name: str, code: str = WAITS, *, stage: Stage = Stage.SERVICE, waits: bool = True) -> Program:
        output = self.directory / f"{name}.txt"
        return Program(
            name,
            "a",
            stage,
            lambda: [sys.executable, "-c", code],
            output,
            is_ready=(lambda: b"up" in output.read_bytes()) if waits else lambda: True,
        )

    def watch_after(self, seconds: float) -> None:
        self.clock.now_s += seconds
        self.supervisor.watch()

    def pid(self, name: str) -> int | None:
        return {status.program.name: status.pid for status in self.supervisor.statuses()}[name]

    def kill(self, name: str) -> None:
        pid = self.pid(name)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.pid(name) is None, what="the kill to be noticed")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.supervisor.stop()


def is_running(pid: int | None) -> bool:
    return pid is not None and Path(f"/proc/{pid}").exists()


def test_start_returns_when_all_are_ready(bench: Bench) -> None:
    bench.supervisor.start([bench.program("one"), bench.program("two")], 20)
    assert [(str(item.program), item.restarts) for item in bench.supervisor.statuses()] == [
        ("one on a", 0),
        ("two on a", 0),
    ]
    assert is_running(bench.pid("one"))
    assert bench.told == []


def test_program_that_ends_before_it_is_ready_is_told_with_its_words(bench: Bench) -> None:
    with pytest.raises(ProcessError, match=r"^bad on a ended with 3: no such file$"):
        bench.supervisor.start([bench.program("bad", "import sys; print('no such file'); sys.exit(3)")], 20)


def test_program_that_is_not_ready_in_time_is_told(bench: Bench, tmp_path: Path) -> None:
    def is_ready() -> bool:
        bench.clock.now_s += 1
        return False

    slow = replace(bench.program("slow"), is_ready=is_ready)
    with pytest.raises(ProcessError, match=rf"^slow on a is not up after 5 s: see {tmp_path}/slow.txt$"):
        bench.supervisor.start([slow], 5)


def test_program_that_does_not_exist_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.up.process.shutil.which", lambda _name: None)  # setpriv would start
    with pytest.raises(ProcessError, match=r"^cannot start x: .*No such file or directory: '/nonexistent'$"):
        start_process("x", ["/nonexistent"], tmp_path / "x.txt")


def test_program_that_dies_is_named_and_started_again_when_it_is_due(bench: Bench, tmp_path: Path) -> None:
    bench.supervisor.start([bench.program("one")], 20)
    bench.kill("one")
    bench.supervisor.watch()
    bench.watch_after(0.4)
    assert bench.told == [f"one on a was killed by SIGKILL; again in 0.5 s, see {tmp_path}/one.txt"]
    bench.watch_after(0.1)
    assert bench.told[1:] == ["one on a started again"]
    assert is_running(bench.pid("one"))
    assert bench.supervisor.statuses()[0].restarts == 1


def test_pause_grows_with_each_end_and_begins_anew_after_a_steady_minute(bench: Bench) -> None:
    bench.supervisor.start([bench.program("one")], 20)
    for ran_s in (1, 1, 1, 1, 1, 1, 1, 60, 1):
        bench.clock.now_s += ran_s
        bench.kill("one")
        bench.supervisor.watch()
        bench.watch_after(30)
    pauses = [line.split("again in ")[1].split(",")[0] for line in bench.told if "again in" in line]
    assert pauses == ["0.5 s", "1 s", "2 s", "5 s", "10 s", "30 s", "30 s", "0.5 s", "1 s"]


def test_pause_does_not_grow_where_whatever_has_run_is_steady(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    supervisor = bench.supervisor = Supervisor(bench.tell, bench.clock, steady_s=0.0)
    try:
        supervisor.start([bench.program("one")], 20)
        for _ in range(3):
            bench.kill("one")
            supervisor.watch()
            bench.watch_after(0.5)
    finally:
        supervisor.stop()
    assert [line.split("again in ")[1].split(",")[0] for line in bench.told if "again in" in line] == ["0.5 s"] * 3


def test_program_that_cannot_be_prepared_is_tried_again(bench: Bench, tmp_path: Path) -> None:
    failures = [OSError("no space left")]

    def prepare() -> None:
        if bench.told and failures:
            raise failures.pop()

    program = Program("one", None, Stage.BROKER, lambda: [sys.executable, "-c", WAITS], tmp_path / "one.txt", prepare)
    bench.supervisor.start([program], 20)
    bench.kill("one")
    bench.supervisor.watch()
    bench.watch_after(0.5)
    assert bench.told[1] == f"one no space left; again in 1 s, see {tmp_path}/one.txt"
    bench.watch_after(1)
    assert bench.told[2] == "one started again"


def test_stop_ends_each_stage_in_turn_from_the_last_to_the_first(bench: Bench, tmp_path: Path) -> None:
    order = tmp_path / "order.txt"
    says = f"import signal, sys\ndef end(*_):\n open({str(order)!r}, 'a').write('%s ')\n sys.exit()\nsignal.signal(15, end)\n{WAITS}"
    stages = [Stage.BROKER, Stage.VIEWER, Stage.COLLECTOR, Stage.SERVICE, Stage.RSYSLOGD]
    programs = [bench.program(stage.name, says % stage.name, stage=stage) for stage in stages]
    bench.supervisor.start(programs, 20)
    bench.supervisor.stop()
    assert order.read_text().split() == ["VIEWER", "SERVICE", "BROKER", "RSYSLOGD", "COLLECTOR"]
    assert bench.supervisor.statuses() == ()


def test_stop_takes_no_longer_than_it_may_and_leaves_nobody(tmp_path: Path) -> None:
    told: list[str] = []
    supervisor = Supervisor(lambda program, text: told.append(f"{program} {text}"))
    bench = Bench(tmp_path)
    bench.supervisor = supervisor
    supervisor.start([bench.program(name, IGNORES, stage=Stage.BROKER) for name in ("one", "two", "three")], 20)
    pids = [status.pid for status in supervisor.statuses()]
    started_s = time.monotonic()
    supervisor.stop()
    assert 0.3 <= time.monotonic() - started_s < 1.3  # one stage has its 0.3 s for all together
    assert not any(map(is_running, pids))
    supervisor.stop()
    assert told == []


def test_all_stages_together_have_five_seconds() -> None:
    assert sum(STOP_TIMEOUTS_S.values()) == pytest.approx(4.9)
    assert set(STOP_TIMEOUTS_S) == set(Stage)


def test_one_that_was_stopped_alone_is_not_started_again_until_asked(bench: Bench) -> None:
    one, two = bench.program("one"), bench.program("two")
    bench.supervisor.start([one, two], 20)
    pid = bench.pid("one")
    bench.supervisor.stop_one(one, 20)
    assert not is_running(pid)
    bench.watch_after(60)
    assert [item.program.name for item in bench.supervisor.statuses()] == ["two"]
    bench.supervisor.start([one], 20)
    assert is_running(bench.pid("one"))


def test_those_that_are_killed_do_not_hear_of_it_and_are_not_started_again_until_asked(bench: Bench) -> None:
    deaf, gone, other = bench.program("deaf", IGNORES), bench.program("gone"), bench.program("other")
    bench.supervisor.start([deaf, gone, other], 20)
    pids = [bench.pid("deaf"), bench.pid("gone")]
    bench.kill("gone")
    bench.supervisor.kill([deaf, gone, bench.program("never there")])
    assert not any(map(is_running, pids))
    bench.watch_after(60)
    assert [item.program.name for item in bench.supervisor.statuses()] == ["other"]
    assert bench.told == []
    bench.supervisor.start([deaf], 20)
    assert is_running(bench.pid("deaf"))


def test_stage_that_is_stopped_ends_alone_is_not_started_again_and_is_killed_when_late(bench: Bench) -> None:
    programs = [bench.program("broker", stage=Stage.BROKER), bench.program("api"), bench.program("late", IGNORES)]
    bench.supervisor.start(programs, 20)
    assert not bench.supervisor.stop_stage(Stage.SERVICE, 0.3)
    bench.watch_after(100)
    assert [status.program.name for status in bench.supervisor.statuses()] == ["broker"]
    assert bench.pid("broker") is not None
    assert bench.supervisor.stop_stage(Stage.BROKER, 20)
    assert bench.supervisor.statuses() == ()


def test_programs_are_out_of_reach_of_our_terminals_ctrl_c(bench: Bench) -> None:
    bench.supervisor.start([bench.program("one")], 20)
    pid = bench.pid("one")
    assert pid is not None
    assert os.getsid(pid) == pid != os.getsid(0)


def test_argument_lists_are_as_given(bench: Bench) -> None:
    bench.supervisor.start([bench.program("one")], 20)
    command: Callable[[], bytes] = Path(f"/proc/{bench.pid('one')}/cmdline").read_bytes
    assert command().split(b"\0")[1:-1] == [b"-c", WAITS.encode()]
