"""The body of a request -> a checked model: strict about keys since 2.1, as each version knows them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from cloud.errors import BadRequestError
from cloud.services.api.versions import V2, Version

MAX_NAME_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Since:
    """Beside the type of a field: the version that it came with."""

    version: Version


@dataclass(frozen=True, slots=True)
class Until:
    """Beside the type of a field: the version that it went with. Before that it is needed."""

    version: Version


class Body(BaseModel):
    """The root of what clients send. Keys that a version does not know are refused, in the API of 2014 passed over."""

    model_config = ConfigDict(strict=True, frozen=True, populate_by_name=False)
    _since: ClassVar[Mapping[str, Version]] = {}
    _until: ClassVar[Mapping[str, Version]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        marks = [(field.alias or name, mark) for name, field in cls.model_fields.items() for mark in field.metadata]
        cls._since = {key: mark.version for key, mark in marks if isinstance(mark, Since)}
        cls._until = {key: mark.version for key, mark in marks if isinstance(mark, Until)}

    @model_validator(mode="before")
    @classmethod
    def _with_its_versions_keys(cls, values: Any, info: ValidationInfo) -> Any:
        if not ((cls._since or cls._until) and isinstance(values, dict) and info.context):
            return values
        version = info.context["version"]
        for key, until in cls._until.items():
            if (key in values) is (version >= until):
                raise ValueError(f"{key} is needed before version {until}, and not known since")
        later = {key for key, since in cls._since.items() if key in values and version < since}
        if later and version > V2:
            raise ValueError(f"{min(later)} is not known before version {cls._since[min(later)]}")
        return {key: value for key, value in values.items() if key not in later}


Model = TypeVar("Model", bound=Body)


class BodyOf(Generic[Model]):
    """A dependency: `body: Annotated[Thing, Depends(BodyOf(Thing))]`. What does not fit is answered with 400."""

    def __init__(self, model: type[Model]) -> None:
        self.model = model

    async def __call__(self, request: Request) -> Model:
        return parse(self.model, await request.body(), request.state.version)


def parse(model: type[Model], raw: bytes, version: Version) -> Model:
    """`raw` as `version` understands it; RequestValidationError, which quotes nothing of it."""
    _refuse_nul(raw)
    extra = "ignore" if version == V2 else "forbid"
    try:
        return model.model_validate_json(raw, extra=extra, context={"version": version})  # type: ignore[arg-type]
    except ValidationError as exc:
        raise _refused(exc) from None


def _refused(exc: ValidationError) -> RequestValidationError:
    errors = exc.errors(include_url=False, include_context=False, include_input=False)
    return RequestValidationError([{**error, "msg": error["msg"].removeprefix("Value error, ")} for error in errors])


def _refuse_nul(raw: bytes) -> None:
    """BadRequestError: PostgreSQL has no text with NUL in it, so nothing that is kept may."""
    if _NUL.search(raw):
        raise BadRequestError("cannot read the body: it has the character NUL")


_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def _name(text: str, info: ValidationInfo) -> str:
    stripped = text.strip()
    if info.context and info.context["version"] > V2 and stripped != text:
        raise ValueError("a name neither begins nor ends with white space")
    if not stripped or not stripped.isprintable():
        raise ValueError("a name is made of printable characters")
    return stripped


def _whole_number(value: object) -> object:
    is_digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10
    return int(value) if isinstance(value, str) and is_digits else value


_YES = frozenset({"1", "t", "true", "on", "y", "yes"})
_NO = frozenset({"0", "f", "false", "off", "n", "no"})


def _truth(value: object) -> object:
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    return True if word in _YES else False if word in _NO else value


Name = Annotated[str, StringConstraints(max_length=MAX_NAME_LENGTH), AfterValidator(_name)]
"""What a thing is called: 1 to 255 printable characters; 2014's API strips white space, later ones refuse it."""

Text = Annotated[str, StringConstraints(max_length=MAX_NAME_LENGTH)]

WholeNumber = Annotated[int, BeforeValidator(_whole_number)]
"""Also as digits in a text, which clients send."""

Flag = Annotated[bool, BeforeValidator(_truth)]
"""Also as the words that nova takes for yes and no."""
