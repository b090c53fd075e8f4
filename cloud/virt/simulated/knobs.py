"""Knobs by which operators and tests let steps of the simulated hypervisor fail, or take their time.

They come from nova.conf and from a file that is read at each step:

    fail = ["spawn", "spawn.disk:2", "reboot.start:25%", "destroy@7b0c9c54-31f7-4a8e-a5a6-8c3a80b4a1d2:1"]
    delay = ["spawn.boot:3.5"]
    shut_down = ["7b0c9c54-31f7-4a8e-a5a6-8c3a80b4a1d2"]
    transfer_mb_per_s = 50
    dirty_mb_per_s = {"7b0c9c54-31f7-4a8e-a5a6-8c3a80b4a1d2" = 60}

A knob is a step (steps.py), of one instance where `@UUID` follows. A failure is for ever, or so many times (until
nova-compute starts again or the knob is taken away), or by chance; a delay is in seconds. Who is in `shut_down` is
found to have shut itself down, whenever it runs. The last two are of the file alone: how fast disks and memory go to
another host, in place of nova.conf's, and how fast an instance dirties its memory meanwhile. One that does so faster
than it goes does not come to an end by itself.
"""

import threading
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from cloud.logs.emit import logger
from cloud.virt.driver import VirtError
from cloud.virt.simulated.knob import DelayKnob, FailKnob

MAX_FILE_BYTES = 65536
MAX_MB_PER_S = 1_000_000.0


@dataclass(frozen=True, slots=True)
class KnobSettings:
    """The knobs of one place."""

    fail: Sequence[FailKnob] = ()
    delay: Sequence[DelayKnob] = ()
    shut_down: frozenset[str] = frozenset()
    transfer_mb_per_s: float | None = None
    dirty_mb_per_s: Mapping[str, float] = field(default_factory=dict)
    """By uuid."""

    @classmethod
    def from_texts(cls, fail: Sequence[str], delay: Sequence[str]) -> Self:
        """ValueError, which says what is wrong, for what is no knob."""
        return cls(tuple(map(FailKnob.parse, fail)), tuple(map(DelayKnob.parse, delay)))


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    settings: KnobSettings


class Knobs:
    """All knobs; any thread may ask."""

    def __init__(
        self,
        options: KnobSettings,
        file: Path,
        *,
        wait_s: Callable[[float], object],
        chance: Callable[[], float],
    ) -> None:
        """Those of nova.conf, and those of `file`, which need not exist.

        `wait_s` waits for so many seconds, `chance` gives a number from 0 up to 1.
        """
        self.wait_s = wait_s
        self._options = options
        self._file = file
        self._chance = chance
        self._lock = threading.Lock()
        self._failed: dict[tuple[str, str], int] = {}
        """How often a knob of a place has let something fail."""
        self._said: str | None = None
        """What was last found wrong with the file."""

    def turn(self, step: str, uuid: str | None = None, *, until: threading.Event | None = None) -> None:
        """Wait as the knobs say, but not longer than until the event.

        VirtError, which names the knob, where one lets `step` of that instance fail.
        """
        places = self._places()
        for place in places:
            for delay in place.settings.delay:
                if delay.knob.is_for(step, uuid):
                    logger.bind(step=step, knob=delay.knob.text, instance=uuid).info("step waits by a knob")
                    if until is None:
                        self.wait_s(delay.delay_s)
                    else:
                        until.wait(delay.delay_s)
        for place in places:
            for fail in place.settings.fail:
                if fail.knob.is_for(step, uuid) and self._is_due(place, fail):
                    raise VirtError(f"step {step} fails by knob {fail.knob.text!r} of {place.name}")

    def shut_down(self) -> frozenset[str]:
        """The uuids of those that shut themselves down."""
        return frozenset[str]().union(*(place.settings.shut_down for place in self._places()))

    def transfer_mb_per_s(self) -> float | None:
        """As the file has it."""
        return self._read().transfer_mb_per_s

    def dirty_mb_per_s(self, uuid: str) -> float:
        return self._read().dirty_mb_per_s.get(uuid, 0.0)

    def _is_due(self, place: _Place, fail: FailKnob) -> bool:
        if fail.chance is not None:
            return self._chance() < fail.chance
        if fail.times is None:
            return True
        with self._lock:
            failed = self._failed.get((place.name, fail.knob.text), 0)
            self._failed[place.name, fail.knob.text] = min(failed + 1, fail.times)
        return failed < fail.times

    def _places(self) -> tuple[_Place, ...]:
        places = (_Place("[simulated] in nova.conf", self._options), _Place(str(self._file), self._read()))
        with self._lock:  # a knob that was taken away counts anew when it is back
            there = {(place.name, fail.knob.text) for place in places for fail in place.settings.fail}
            self._failed = {key: count for key, count in self._failed.items() if key in there}
        return places

    def _read(self) -> KnobSettings:
        """What is wrong with the file is said once, and no knob of it is turned until it is right."""
        wrong = None
        settings = KnobSettings()
        try:
            with self._file.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
            settings = _parse_file(content)
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as exc:
            wrong = str(exc)
        with self._lock:
            is_news = wrong is not None and wrong != self._said
            self._said = wrong
        if is_news:
            logger.bind(file=str(self._file), error=wrong).warning("cannot read knobs, none of them is turned")
        return settings


def _parse_file(content: bytes) -> KnobSettings:
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"it has more than {MAX_FILE_BYTES} bytes")
    values: dict[str, Any] = tomllib.loads(content.decode())
    if unknown := values.keys() - KnobSettings.__dataclass_fields__.keys():
        known = ", ".join(sorted(KnobSettings.__dataclass_fields__))
        raise ValueError(f"it has {', '.join(sorted(unknown))} where only {known} may be")
    speed, dirty = values.get("transfer_mb_per_s"), values.get("dirty_mb_per_s", {})
    if not isinstance(dirty, dict):
        raise ValueError("its dirty_mb_per_s is no table")
    return KnobSettings(
        fail=tuple(map(FailKnob.parse, _texts(values, "fail"))),
        delay=tuple(map(DelayKnob.parse, _texts(values, "delay"))),
        shut_down=frozenset(_texts(values, "shut_down")),
        transfer_mb_per_s=None if speed is None else _speed("transfer_mb_per_s", speed, least=0.001),
        dirty_mb_per_s={uuid: _speed(f"dirty_mb_per_s of {uuid}", value, least=0) for uuid, value in dirty.items()},
    )


def _texts(values: Mapping[str, Any], name: str) -> Sequence[str]:
    texts = values.get(name, [])
    if not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
        raise ValueError(f"its {name} is no list of texts")
    return texts


def _speed(name: str, value: object, *, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= MAX_MB_PER_S:
        raise ValueError(f"its {name} is no number from {least:g} to {MAX_MB_PER_S:g}")
    return float(value)
