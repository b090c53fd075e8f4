"""What requests bring, as both versions of the API take it: texts that can be stored, and types as they are written."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from cloud.domain.identity import is_name
from cloud.domain.service import MAX_TEXT_LENGTH
from cloud.services.identity.passwords import MAX_PASSWORD_LENGTH


class Body(BaseModel):
    """Keys that are not known are ignored: clients of all years send some."""

    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)

    def __repr_args__(self) -> Sequence[tuple[str, object]]:
        """Nothing: a traceback may show a body, and a body may hold a password."""
        return ()


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"a name is 1 to {MAX_TEXT_LENGTH} printable characters")
    return text


def _description(text: str) -> str:
    if len(text) > MAX_TEXT_LENGTH or not all(char.isprintable() or char in "\n\t" for char in text):
        raise ValueError(f"a description is at most {MAX_TEXT_LENGTH} printable characters")
    return text


Name = Annotated[str, AfterValidator(_name)]
Description = Annotated[str, AfterValidator(_description)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PASSWORD_LENGTH)]
Claimed = Annotated[str, StringConstraints(max_length=MAX_TEXT_LENGTH)]
"""A name or an id that somebody says to have; it may be none."""
TokenText = Annotated[str, StringConstraints(max_length=MAX_PASSWORD_LENGTH)]
