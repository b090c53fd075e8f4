"""A level changed for a while: which lines pass, on which handlers, and how it goes back."""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from loguru import logger

from cloud.logs.emit.live_level import LiveLevel
from tests.waiting import wait_until

NAME = "lively"


@dataclass
class FakeTimer:
    after_s: float
    fire: Callable[[], None]
    is_started: bool = False
    is_cancelled: bool = False

    def start(self) -> None:
        self.is_started = True

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class Time:
    now_s: float = 1000.0
    timers: list[FakeTimer] = field(default_factory=list)

    def clock_s(self) -> float:
        return self.now_s

    def make_timer(self, after_s: float, call: Callable[[], None]) -> FakeTimer:
        self.timers.append(FakeTimer(after_s, call))
        return self.timers[-1]

    def pass_by(self, seconds: float) -> None:
        """What is due fires, unless it was cancelled."""
        self.now_s += seconds
        for timer in self.timers:
            if timer.is_started and not timer.is_cancelled and timer.after_s <= seconds:
                timer.fire()


class Kept(logging.Handler):
    """Keeps the messages that reach it."""

    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(f"{record.levelname} {record.getMessage()}")


@pytest.fixture
def governed() -> Iterator[logging.Logger]:
    """A logger that stands for `nova`, configured to INFO; it and all below it are as new at the end."""
    governed = logging.getLogger(NAME)
    governed.setLevel(logging.INFO)
    governed.propagate = False
    yield governed
    for name in (NAME, f"{NAME}.rpc", f"{NAME}.virt", f"{NAME}ly"):
        left = logging.getLogger(name)
        left.setLevel(logging.NOTSET)
        left.propagate = True
        for handler in left.handlers[:]:
            left.removeHandler(handler)


@pytest.fixture
def said(governed: logging.Logger) -> Iterator[list[str]]:
    """What is said of the change itself, with the governed logger's level at that moment."""
    lines: list[str] = []

    def take(message: Any) -> None:
        record = message.record
        fields = " ".join(f"{key}={value}" for key, value in record["extra"].items())
        shows = governed.isEnabledFor(record["level"].no)
        lines.append(f"{record['level'].name} {record['message']} {fields} {'shown' if shows else 'hidden'}")

    logger.remove()
    sink = logger.add(take, level=0, catch=False)
    yield lines
    logger.remove(sink)


def live(governed: logging.Logger, time: Time) -> LiveLevel:
    return LiveLevel(governed, clock_s=time.clock_s, make_timer=time.make_timer)


def speak(name: str = NAME) -> None:
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger(name).log(level, name)


def test_more_is_logged_for_a_while_and_then_as_before(governed: logging.Logger, said: list[str]) -> None:
    handler, time = Kept(), Time()
    governed.handlers[:] = [handler]  # without pytest's own
    level = live(governed, time)
    assert level.state().as_dict() == {"level": "INFO", "configured": "INFO", "left_s": None}
    assert level.set("DEBUG", 900).as_dict() == {"level": "DEBUG", "configured": "INFO", "left_s": 900.0}
    time.pass_by(600)
    assert level.state().left_s == 300.0
    speak()
    time.pass_by(900)
    speak()
    assert handler.messages == [
        *("DEBUG lively", "INFO lively", "WARNING lively", "ERROR lively"),
        *("INFO lively", "WARNING lively", "ERROR lively"),
    ]
    assert level.state().as_dict() == {"level": "INFO", "configured": "INFO", "left_s": None}
    assert said == [
        "INFO log level changed old_level=INFO new_level=DEBUG for_s=900 shown",
        "INFO log level is as configured again old_level=DEBUG new_level=INFO shown",
    ]


def test_change_to_less_is_said_while_it_still_shows(governed: logging.Logger, said: list[str]) -> None:
    time = Time()
    level = live(governed, time)
    level.set("ERROR", 60)
    time.pass_by(60)
    assert said == [
        "INFO log level changed old_level=INFO new_level=ERROR for_s=60 shown",
        "INFO log level is as configured again old_level=ERROR new_level=INFO shown",
    ]


def test_change_between_levels_that_hide_info_is_a_warning(governed: logging.Logger, said: list[str]) -> None:
    governed.setLevel(logging.WARNING)
    time = Time()
    level = live(governed, time)
    level.set("ERROR", 60)
    time.pass_by(60)
    assert said == [
        "WARNING log level changed old_level=WARNING new_level=ERROR for_s=60 shown",
        "WARNING log level is as configured again old_level=ERROR new_level=WARNING shown",
    ]


def test_configured_level_may_be_asked_for_too(governed: logging.Logger, said: list[str]) -> None:
    time = Time()
    level = live(governed, time)
    assert level.set("INFO", 60).as_dict() == {"level": "INFO", "configured": "INFO", "left_s": 60.0}
    time.pass_by(60)
    assert level.state().left_s is None
    assert len(said) == 2


def test_later_change_takes_the_place_of_the_first(governed: logging.Logger, said: list[str]) -> None:
    time = Time()
    level = live(governed, time)
    level.set("DEBUG", 60)
    level.set("WARNING", 600)
    assert time.timers[0].is_cancelled
    time.pass_by(60)
    assert level.state().as_dict() == {"level": "WARNING", "configured": "INFO", "left_s": 540.0}
    time.pass_by(600)
    assert governed.level == logging.INFO
    assert said[1] == "INFO log level changed old_level=DEBUG new_level=WARNING for_s=600 shown"


@pytest.mark.parametrize("later_s", [0.0, 30.0, 1000.0])
def test_timer_that_fired_just_as_its_change_was_replaced_ends_nothing(
    governed: logging.Logger, said: list[str], later_s: float
) -> None:
    time = Time()
    level = live(governed, time)
    level.set("DEBUG", 60)
    level.set("ERROR", 30)
    time.now_s += later_s
    time.timers[0].fire()
    assert level.state().level == "ERROR"
    time.timers[1].fire()
    time.timers[1].fire()
    assert level.state().level == "INFO"
    assert len(said) == 3


def test_logger_below_with_a_level_of_its_own_follows_and_gets_it_back(
    governed: logging.Logger, said: list[str]
) -> None:
    handler, time = Kept(), Time()
    governed.handlers[:] = [handler]  # without pytest's own
    logging.getLogger(f"{NAME}.rpc").setLevel(logging.ERROR)
    logging.getLogger(f"{NAME}.virt").setLevel(logging.DEBUG)
    logging.getLogger(f"{NAME}ly").setLevel(logging.ERROR)  # another's, whose name only begins alike
    level = live(governed, time)
    level.set("WARNING", 60)
    speak(f"{NAME}.rpc")
    speak(f"{NAME}.virt")
    assert handler.messages == [
        *("WARNING lively.rpc", "ERROR lively.rpc"),
        *("WARNING lively.virt", "ERROR lively.virt"),
    ]
    assert logging.getLogger(f"{NAME}ly").level == logging.ERROR
    time.pass_by(60)
    assert logging.getLogger(f"{NAME}.rpc").level == logging.ERROR
    assert logging.getLogger(f"{NAME}.virt").level == logging.DEBUG


def test_handlers_own_threshold_does_not_swallow_what_was_asked_for(governed: logging.Logger, said: list[str]) -> None:
    handler, time = Kept(logging.WARNING), Time()
    governed.handlers[:] = [handler]  # without pytest's own
    level = live(governed, time)
    level.set("DEBUG", 60)
    speak()
    time.pass_by(60)
    speak()
    assert handler.messages == [
        *("DEBUG lively", "INFO lively", "WARNING lively", "ERROR lively"),
        *("WARNING lively", "ERROR lively"),
    ]
    assert handler.filters == []


def test_handler_that_is_kept_for_worse_lines_stays_so(governed: logging.Logger, said: list[str]) -> None:
    every, errors, time = Kept(), Kept(logging.ERROR), Time()
    governed.handlers[:] = [every, errors]
    live(governed, time).set("DEBUG", 60)
    speak()
    assert every.messages == ["DEBUG lively", "INFO lively", "WARNING lively", "ERROR lively"]
    assert errors.messages == ["ERROR lively"]


def test_handler_shared_with_root_is_opened_for_our_lines_alone(governed: logging.Logger, said: list[str]) -> None:
    shared, time, root = Kept(logging.WARNING), Time(), logging.getLogger()
    others = logging.getLogger(f"{NAME}ly")
    others.setLevel(logging.DEBUG)
    before = root.handlers[:]
    root.handlers[:], governed.handlers[:] = [shared], []
    governed.propagate = True
    try:
        level = live(governed, time)
        level.set("DEBUG", 60)
        speak()
        speak(f"{NAME}ly")
        time.pass_by(60)
        speak()
    finally:
        root.handlers[:] = before
    assert shared.messages == [
        *("DEBUG lively", "INFO lively", "WARNING lively", "ERROR lively"),
        *("WARNING livelyly", "ERROR livelyly"),
        *("WARNING lively", "ERROR lively"),
    ]


def test_logger_without_a_level_of_its_own_has_none_again_afterwards(governed: logging.Logger, said: list[str]) -> None:
    governed.setLevel(logging.NOTSET)
    governed.propagate = True
    time, root = Time(), logging.getLogger()
    before = root.level
    root.setLevel(logging.WARNING)
    try:
        level = live(governed, time)
        assert level.state().configured == "WARNING"
        level.set("DEBUG", 60)
        time.pass_by(60)
    finally:
        root.setLevel(before)
    assert governed.level == logging.NOTSET


def test_close_leaves_the_configured_level_and_no_timer(governed: logging.Logger, said: list[str]) -> None:
    time = Time()
    level = live(governed, time)
    level.set("ERROR", 60)
    level.close()
    assert time.timers[0].is_cancelled
    assert governed.level == logging.INFO
    time.timers[0].fire()
    assert len(said) == 1


@pytest.mark.parametrize(
    ("level", "for_s", "complaint"),
    [
        ("debug", 60, "unknown level 'debug': expected one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("", 60, "unknown level ''"),
        (10, 60, "unknown level 10"),
        (["DEBUG"], 60, "unknown level "),
        (None, 60, "unknown level None"),
        ("DEBUG", 0, "cannot change the level for 0 s: more than 0 and at most 86400"),
        ("DEBUG", -1, "cannot change the level for -1 s"),
        ("DEBUG", 86401, "cannot change the level for 86401 s"),
        ("DEBUG", float("nan"), "cannot change the level for nan s"),
        ("DEBUG", float("inf"), "cannot change the level for inf s"),
        ("DEBUG", 10**400, "cannot change the level for 1000"),
        ("DEBUG", True, "cannot change the level for True s"),
        ("DEBUG", "60", "cannot change the level for '60' s"),
        ("DEBUG", None, "cannot change the level for None s"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    governed: logging.Logger, said: list[str], level: Any, for_s: object, complaint: str
) -> None:
    time = Time()
    with pytest.raises(ValueError, match=r"^" + complaint.replace("[", r"\[")):
        live(governed, time).set(level, for_s)
    assert (governed.level, time.timers, said) == (logging.INFO, [], [])


def test_real_timer_takes_it_back(governed: logging.Logger, said: list[str]) -> None:
    level = LiveLevel(governed)
    level.set("DEBUG", 0.05)
    wait_until(lambda: level.state().left_s is None)
    assert governed.level == logging.INFO


def test_changes_from_many_threads_leave_one_timer_and_end_as_configured(
    governed: logging.Logger, said: list[str]
) -> None:
    level = LiveLevel(governed)

    def change(name: str) -> None:
        for _ in range(20):
            level.set(name, 0.002)

    threads = [threading.Thread(target=change, args=[name]) for name in ("DEBUG", "WARNING", "ERROR")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    wait_until(lambda: level.state().left_s is None)
    assert governed.level == logging.INFO
