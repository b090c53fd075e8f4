"""What a saved search is: what to ask, of which time, and how it is shown."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from cloud.logs.query.language.compiler import compile_where
from cloud.logs.query.language.limits import MAX_TEXT_CHARS
from cloud.logs.query.language.names import FIELDS_PREFIX, MAX_NAME_CHARS, name_of
from cloud.logs.query.language.parser import parse
from cloud.logs.query.language.query import QueryError
from cloud.logs.query.time_range import FORMS, Clock, TimeRange, is_relative, read_time, rfc3339

MAX_SEARCH_NAME_CHARS = 100
MAX_DESCRIPTION_CHARS = 2000
MAX_COLUMNS = 30
MAX_TIME_CHARS = 100
EXAMPLE: Any = {
    "name": "failed migrations",
    "query": 'severity:>=err "live migration" -service:nova-api',
    "since": "24h",
    "until": None,
    "clock": "observed",
    "columns": ["time", "host", "service", "message"],
    "description": "What to look at after a night of moves.",
    "is_shared": True,
}


def _named(text: str) -> str:
    if text != text.strip() or any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in text):
        raise ValueError("a name is one line of visible characters, without space around it")
    return text


def _text(text: str) -> str:
    if any(unicodedata.category(each) == "Cs" for each in text):
        raise ValueError("half a character is none")
    return text


def _column(text: str) -> str:
    try:
        name_of(text, 1)
    except QueryError as exc:
        raise ValueError(exc.message.partition(": ")[2]) from exc
    return _text(text)


Column = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS), AfterValidator(_column)]


class SearchContent(BaseModel):
    """A search as its owner writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [EXAMPLE]})

    name: Annotated[str, AfterValidator(_named)] = Field(
        min_length=1, max_length=MAX_SEARCH_NAME_CHARS, description="Of all that its owner has saved, only this one's."
    )
    query: Annotated[str, AfterValidator(_text)] = Field(
        "", max_length=MAX_TEXT_CHARS, description="Perhaps with a pipe; an empty one wants all lines."
    )
    since: str = Field("15m", max_length=MAX_TIME_CHARS, description=f"From this moment on: {FORMS}.")
    until: str | None = Field(None, max_length=MAX_TIME_CHARS, description="Before this moment; the same forms.")
    clock: Clock = "observed"
    columns: list[Column] = Field(
        [], max_length=MAX_COLUMNS, description=f"What tables show, by the query's names; `{FIELDS_PREFIX}KEY` too."
    )
    description: Annotated[str, AfterValidator(_text)] = Field("", max_length=MAX_DESCRIPTION_CHARS)
    is_shared: bool = Field(False, description="With its projects, or where its owner sees all lines with all who do.")


class SavedSearch(SearchContent):
    """One that is kept, with whose it is and when it was changed."""

    columns: list[str] = []
    """Not looked at again: what could be saved once can be read."""
    id: str = Field(pattern=r"^[0-9a-f]{16}$")
    owner: str = Field(max_length=300)
    projects: list[str] | None = Field(None, description="The owner's, where that is a member.")
    version: int = Field(ge=1, description="Counts its changes; the ETag of the answer.")
    created_at: datetime
    updated_at: datetime
    updated_by: str = Field(max_length=300)


def checked(content: SearchContent, now: datetime) -> SearchContent:
    """The same, with moments that do not depend on `now` in full.

    `QueryError` for a query that could not be asked, `TimeError` for a time that is none or a range without room.
    """
    compile_where(parse(content.query).condition)
    since, until = (None if text is None else read_time(text, now) for text in (content.since, content.until))
    TimeRange(since, until)
    return content.model_copy(
        update={"since": _written(content.since, now), "until": content.until and _written(content.until, now)}
    )


def _written(text: str, now: datetime) -> str:
    return text.strip() if is_relative(text) else rfc3339(read_time(text, now))


def utc_now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
