"""Time spans on a command line."""

import click
import pytest

from cloud.cli.duration import DURATION


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("90s", 90.0), ("15m", 900.0), ("2h", 7200.0), ("1d", 86400.0), ("0.5s", 0.5), ("1.5h", 5400.0)],
)
def test_number_and_unit_are_seconds(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "m", "15 m", " 15m", "15M", "-15m", "+5", "1e3", "nan", "inf", "15min", "1h30m", "1.", ".5", "1\n", "9" * 10],
)
def test_anything_else_is_told_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        DURATION.convert(text, None, None)
    assert caught.value.message == f"{text!r} is not a time span such as 90s, 15m or 2h"


def test_number_is_taken_for_seconds() -> None:
    assert DURATION.convert(900, None, None) == 900.0
