"""A knob's text -> what it turns, of which instance, and how far."""

import math
from dataclasses import dataclass
from typing import Self

from cloud.virt.simulated.steps import NAMES

MAX_DELAY_S = 3600.0


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
        if step not in NAMES:
            raise ValueError(f"cannot read knob {text!r}: the steps are {', '.join(sorted(NAMES))}")
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


def _number(text: str, value: str, *, most: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number <= most:
        raise ValueError(f"cannot read knob {text!r}: {value!r} is no number from 0 to {most:g}")
    return number
