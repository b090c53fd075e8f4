"""The level of a running service, changed for a while: it goes back by itself, and the log says both."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from loguru import logger

from cloud.logs.emit.speaker import in_same_voice

MAX_FOR_S = 24 * 3600.0

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Timer(Protocol):
    """As threading's."""

    def start(self) -> None: ...

    def cancel(self) -> None: ...


MakeTimer = Callable[[float, Callable[[], None]], Timer]


def _daemon_timer(after_s: float, call: Callable[[], None]) -> Timer:
    timer = threading.Timer(after_s, in_same_voice(call))
    timer.daemon = True
    return timer


@dataclass(frozen=True, slots=True)
class LevelState:
    """From which level up a service logs; `configured` holds again after `left_s`, None when it holds already."""

    level: str
    configured: str
    left_s: float | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Change:
    level: int
    until_s: float
    timer: Timer


class LiveLevel:
    """Of the logger that governs all of the project's lines, of those below it that have a level of their own, and of
    the handlers that their lines go through."""

    def __init__(
        self,
        governed: logging.Logger,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        make_timer: MakeTimer = _daemon_timer,
    ) -> None:
        """As configured at this moment; `clock_s` gives monotonic seconds."""
        self._logger = governed
        self._configured = governed.getEffectiveLevel()
        self._loggers = {logger: logger.level for logger in (governed, *_levelled_below(governed))}
        self._thresholds = [_Threshold(handler, governed.name) for handler in _to_be_opened(self._loggers)]
        self._clock_s = clock_s
        self._make_timer = make_timer
        self._change: _Change | None = None
        self._lock = threading.Lock()

    def state(self) -> LevelState:
        with self._lock:
            return self._state()

    def set(self, level: str, for_s: object) -> LevelState:
        """Log from `level` up for `for_s` seconds (at most a day); a later call takes the place of this one.

        ValueError for a name or a time that cannot be.
        """
        if level not in LEVELS:
            raise ValueError(f"unknown level {level!r}: expected one of {', '.join(LEVELS)}")
        if isinstance(for_s, bool) or not isinstance(for_s, int | float) or not 0 < for_s <= MAX_FOR_S:
            raise ValueError(f"cannot change the level for {for_s!r} s: more than 0 and at most {MAX_FOR_S:.0f}")
        number = logging.getLevelNamesMapping()[level]

        def revert() -> None:
            self._revert(timer)

        timer = self._make_timer(for_s, revert)
        with self._lock:
            before = self._state().level
            self._forget()
            self._change = _Change(number, self._clock_s() + for_s, timer)
            line = logger.bind(old_level=before, new_level=level, for_s=for_s)
            self._say_and_apply(line, "log level changed", number)
            timer.start()
            return self._state()

    def close(self) -> None:
        """Log as configured; let no timer outlive the service."""
        with self._lock:
            self._forget()
            self._apply(None)

    def _revert(self, timer: Timer) -> None:
        with self._lock:
            change = self._change
            if change is None or change.timer is not timer:  # it fired just as its change was replaced
                return
            self._change = None
            before = logging.getLevelName(change.level)
            line = logger.bind(old_level=before, new_level=logging.getLevelName(self._configured))
            self._say_and_apply(line, "log level is as configured again", None)

    def _forget(self) -> None:
        if self._change is not None:
            self._change.timer.cancel()
            self._change = None

    def _say_and_apply(self, line: Any, message: str, level: int | None) -> None:
        """Before a change to less, after a change to more, and as a warning where either lets no INFO pass."""
        before, after = self._logger.getEffectiveLevel(), self._configured if level is None else level
        severity = "INFO" if min(before, after) <= logging.INFO else "WARNING"
        if after > before:
            line.log(severity, message)
        self._apply(level)
        if after <= before:
            line.log(severity, message)

    def _apply(self, level: int | None) -> None:
        for governed, configured in self._loggers.items():
            governed.setLevel(configured if level is None else level)
        for threshold in self._thresholds:
            threshold.apply(level)

    def _state(self) -> LevelState:
        configured = logging.getLevelName(self._configured)
        if self._change is None:
            return LevelState(configured, configured, None)
        left_s = max(0.0, self._change.until_s - self._clock_s())
        return LevelState(logging.getLevelName(self._change.level), configured, round(left_s, 1))


class _Threshold:
    """A handler's own level, which must not swallow what was asked for; it holds on for everybody else's lines."""

    def __init__(self, handler: logging.Handler, governed: str) -> None:
        self._handler = handler
        self._configured = handler.level
        self._governed = governed

    def apply(self, level: int | None) -> None:
        """Open it down to `level`, or as configured for None. One that is open so far stays."""
        self._handler.removeFilter(self._lets_pass)
        if level is None or level >= self._configured:
            self._handler.setLevel(self._configured)
            return
        self._handler.addFilter(self._lets_pass)  # first, so that nothing slips through between the two
        self._handler.setLevel(level)

    def _lets_pass(self, record: logging.LogRecord) -> bool:
        is_ours = f"{record.name}.".startswith(f"{self._governed}.")
        return is_ours or record.levelno >= self._configured


def _levelled_below(governed: logging.Logger) -> list[logging.Logger]:
    known = list(governed.manager.loggerDict.values())  # a name that only others are below has no logger yet
    loggers = [item for item in known if isinstance(item, logging.Logger)]
    return [item for item in loggers if item.level and item.name.startswith(f"{governed.name}.")]


def _to_be_opened(governed: Iterable[logging.Logger]) -> list[logging.Handler]:
    """Of the handlers that each logger's records reach the most open ones: what is kept for worse lines stays so."""
    found: dict[logging.Handler, None] = {}
    for item in governed:
        reached = _handlers_of(item)
        lowest = min((handler.level for handler in reached), default=logging.NOTSET)
        found |= dict.fromkeys(handler for handler in reached if handler.level == lowest)
    return list(found)


def _handlers_of(governed: logging.Logger) -> list[logging.Handler]:
    """Those that its records reach, as logging walks them."""
    handlers: list[logging.Handler] = []
    current: logging.Logger | None = governed
    while current is not None:
        handlers += current.handlers
        current = current.parent if current.propagate else None
    return handlers
