"""Knobs by which operators and tests let steps of the simulated hypervisor fail, or take their time.

They come from nova.conf and from a file that is read at each step:

    fail = ["spawn", "spawn.disk:2", "reboot.start:25%", "destroy@7b0c9c54-31f7-4a8e-a5a6-8c3a80b4a1d2:1"]
    delay = ["spawn.boot:3.5"]
    shut_down = ["7b0c9c54-31f7-4a8e-a5a6-8c3a80b4a1d2"]

A knob is a step, of one instance where `@UUID` follows. A failure is for ever, or so many times (until nova-compute
starts again or the knob is taken away), or by chance; a delay is in seconds. Who is in `shut_down` is found to have
shut itself down, whenever it runs.
"""

import math
import threading
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cloud.logs.emit import logger
from cloud.virt.driver import VirtError

STEPS = {
    "resources": (),
    "instances": (),
    "spawn": ("disk", "network", "boot"),
    "destroy": ("stop", "disk"),
    "reboot": ("stop", "start"),
    "power_off": (),
    "power_on": (),
    "console_output": (),
    "snapshot": ("copy",),
}
"""Of each method the steps, in order; its own name is a step before them."""
MAX_FILE_BYTES = 65536
MAX_DELAY_S = 3600.0

_NAMES = frozenset(STEPS) | {f"{method}.{step}" for method, steps in STEPS.items() for step in steps}


@dataclass(frozen=True, slots=True)
class Knob:
    """One entry, as it was written; `value` is what stands behind its colon."""

    text: str
    step: str
    uuid: str | None
    value: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError, which says what is wrong, for what is no knob."""
        name, has_value, value = text.partition(":")
        step, has_uuid, uuid = name.partition("@")
        if step not in _NAMES:
            raise ValueError(f"cannot read knob {text!r}: the steps are {', '.join(sorted(_NAMES))}")
        if (has_uuid and not uuid) or (has_value and not value):
            raise ValueError(f"cannot read knob {text!r}: nothing follows its @ or its colon")
        return cls(text, step, uuid or None, value or None)

    def is_for(self, step: str, uuid: str | None) -> bool:
        return self.step == step and self.uuid in (None, uuid)


@dataclass(frozen=True, slots=True)
class FailKnob:
    """Lets a step fail: `times` often, with `chance` between 0 and 1 each time; None: always."""

    knob: Knob
    times: int | None = None
    chance: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError, which says what is wrong, for what is no such knob."""
        knob = Knob.parse(text)
        match knob.value:
            case None:
                return cls(knob)
            case value if value.isdecimal() and len(value) < 10:
                return cls(knob, times=int(value))
            case value if value.endswith("%"):
                return cls(knob, chance=_number(text, value.removesuffix("%"), most=100.0) / 100)
        raise ValueError(f"cannot read knob {text!r}: a number of times or per cent follows its colon")


@dataclass(frozen=True, slots=True)
class DelayKnob:
    """Lets a step take so long."""

    knob: Knob
    delay_s: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError, which says what is wrong, for what is no such knob."""
        knob = Knob.parse(text)
        if knob.value is None:
            raise ValueError(f"cannot read knob {text!r}: seconds follow its colon")
        return cls(knob, _number(text, knob.value, most=MAX_DELAY_S))


@dataclass(frozen=True, slots=True)
class KnobSettings:
    """The knobs of one place."""

    fail: Sequence[FailKnob] = ()
    delay: Sequence[DelayKnob] = ()
    shut_down: frozenset[str] = frozenset()

    @classmethod
    def from_texts(cls, fail: Sequence[str], delay: Sequence[str], shut_down: Sequence[str] = ()) -> Self:
        """ValueError, which says what is wrong, for what is no knob."""
        return cls(tuple(map(FailKnob.parse, fail)), tuple(map(DelayKnob.parse, delay)), frozenset(shut_down))


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
        self._options = options
        self._file = file
        self._wait_s = wait_s
        self._chance = chance
        self._lock = threading.Lock()
        self._failed: dict[tuple[str, str], int] = {}
        """How often a knob of a place has let something fail."""
        self._said: str | None = None
        """What was last found wrong with the file."""

    def turn(self, step: str, uuid: str | None = None) -> None:
        """Wait as the knobs say; VirtError, which names the knob, where one lets `step` of that instance fail."""
        places = self._places()
        for place in places:
            for delay in place.settings.delay:
                if delay.knob.is_for(step, uuid):
                    self._wait_s(delay.delay_s)
        for place in places:
            for fail in place.settings.fail:
                if fail.knob.is_for(step, uuid) and self._is_due(place, fail):
                    raise VirtError(f"step {step} fails by knob {fail.knob.text!r} of {place.name}")

    def shut_down(self) -> frozenset[str]:
        """The uuids of those that shut themselves down."""
        return frozenset[str]().union(*(place.settings.shut_down for place in self._places()))

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
    if unknown := values.keys() - {"fail", "delay", "shut_down"}:
        raise ValueError(f"it has {', '.join(sorted(unknown))} where only fail, delay and shut_down may be")
    for name, texts in values.items():
        if not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
            raise ValueError(f"its {name} is no list of texts")
    return KnobSettings.from_texts(values.get("fail", ()), values.get("delay", ()), values.get("shut_down", ()))


def _number(text: str, value: str, *, most: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number <= most:
        raise ValueError(f"cannot read knob {text!r}: {value!r} is no number from 0 to {most:g}")
    return number
