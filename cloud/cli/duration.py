"""A time span on a command line: 90s, 15m, 2h, 1d."""

import re
from typing import Any

import click

_SPAN = re.compile(r"(?P<number>\d{1,9}(?:\.\d{1,3})?)(?P<unit>[smhd]?)")
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Duration(click.ParamType[float]):
    """Seconds, from a number and a unit; seconds where none is given."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        match = _SPAN.fullmatch(value)
        if match is None:
            self.fail(f"{value!r} is not a time span such as 90s, 15m or 2h", param, ctx)
        return float(match["number"]) * _SECONDS[match["unit"]]


DURATION = Duration()
