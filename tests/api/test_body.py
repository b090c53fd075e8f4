"""What of a JSON body fits a model, in which version."""

from typing import Annotated, Any

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import Field

from cloud.errors import BadRequestError
from cloud.services.api.body import Body, Flag, Name, Since, Text, Until, WholeNumber, parse
from cloud.services.api.versions import V2, V2_1, V2_18, V2_19, V2_30, Version
from cloud.web.app import validation_message


class Inner(Body):
    size: WholeNumber = 0
    is_big: Flag = Field(False, alias="isBig")


class Thing(Body):
    name: Name
    inner: Inner = Field(default_factory=Inner)
    note: Annotated[Text | None, Since(V2_19)] = None


def test_what_fits_is_read() -> None:
    thing = parse(Thing, b'{"name": "a", "inner": {"size": "12", "isBig": "Yes"}, "note": "n"}', V2_30)
    assert thing == Thing(name="a", inner=Inner(size=12, isBig=True), note="n")


@pytest.mark.parametrize("version", [V2_19, V2_30])
def test_a_key_is_known_from_its_version_on(version: Version) -> None:
    assert parse(Thing, b'{"name": "a", "note": "n"}', version).note == "n"


@pytest.mark.parametrize("version", [V2_1, V2_18])
def test_a_later_key_is_refused_before_its_version(version: Version) -> None:
    with pytest.raises(RequestValidationError) as caught:
        parse(Thing, b'{"name": "a", "note": "n"}', version)
    assert validation_message(caught.value) == "invalid input for the body: note is not known before version 2.19"


class Move(Body):
    is_shared: Annotated[Flag, Until(V2_19)] = Field(False, alias="isShared")


@pytest.mark.parametrize("version", [V2, V2_1, V2_18])
def test_a_key_that_went_with_a_version_is_needed_before_it(version: Version) -> None:
    assert parse(Move, b'{"isShared": true}', version).is_shared
    with pytest.raises(RequestValidationError) as caught:
        parse(Move, b"{}", version)
    message = "invalid input for the body: isShared is needed before version 2.19, and not known since"
    assert validation_message(caught.value) == message


@pytest.mark.parametrize("version", [V2_19, V2_30])
def test_a_key_that_went_with_a_version_is_refused_since(version: Version) -> None:
    assert not parse(Move, b"{}", version).is_shared
    with pytest.raises(RequestValidationError):
        parse(Move, b'{"isShared": true}', version)


@pytest.mark.parametrize(
    "raw", [b'{"name": "a", "note": 7}', b'{"name": "a", "inner": {"new": 1}}', b'{"name": "a", "new": 1}']
)
def test_2014s_api_passes_over_what_it_does_not_know(raw: bytes) -> None:
    assert parse(Thing, raw, V2) == Thing(name="a")
    with pytest.raises(RequestValidationError):
        parse(Thing, raw, V2_1)


@pytest.mark.parametrize(
    ("inner", "read"),
    [
        ({"size": 3}, (3, False)),
        ({"size": "003"}, (3, False)),
        ({"isBig": True}, (0, True)),
        ({"isBig": "ON"}, (0, True)),
        ({"isBig": "off"}, (0, False)),
    ],
)
def test_numbers_and_truths_come_in_several_forms(inner: dict[str, Any], read: tuple[int, bool]) -> None:
    raw = Thing.model_validate({"name": "a", "inner": inner}).inner
    assert (raw.size, raw.is_big) == read


@pytest.mark.parametrize(
    "inner",
    [
        {"size": "3.5"},
        {"size": "-3"},
        {"size": "٣"},
        {"size": True},
        {"size": 3.0},
        {"isBig": "maybe"},
        {"isBig": 1},
        {"isBig": None},
    ],
)
def test_others_are_refused(inner: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="inner"):
        Thing.model_validate({"name": "a", "inner": inner})


@pytest.mark.parametrize(
    ("raw", "is_refused"),
    [
        (b'{"name": "a\\u0000"}', True),
        (b'{"name": "a\\\\\\u0000"}', True),
        (b'{"name": "a\\\\u0000"}', False),  # a backslash, and five letters
    ],
)
def test_nul_is_refused_wherever_it_stands(raw: bytes, is_refused: bool) -> None:
    if is_refused:
        with pytest.raises(BadRequestError, match="NUL"):
            parse(Thing, raw, V2)
    else:
        assert parse(Thing, raw, V2).name == "a\\u0000"
