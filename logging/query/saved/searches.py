"""The saved searches of a data directory, and who may see and change which."""

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cloud.logs.query.access.errors import ForbiddenError
from cloud.logs.query.access.principal import Principal
from cloud.logs.query.data_file import changing, replace, version_of
from cloud.logs.query.saved.errors import (
    ChangedMeanwhileError,
    NameTakenError,
    SearchAbsentError,
    SearchFileError,
    TooManySearchesError,
)
from cloud.logs.query.saved.search import SavedSearch, SearchContent, checked, utc_now

SEARCHES = "searches.json"
MAX_SEARCHES = 2000
MAX_BYTES = 8 << 20
MAX_OWN = 100
MAX_OWN_BYTES = 512 << 10
MEMBERS_PART = 2
"""All members together have one of so many parts, so that they cannot keep the others out."""
MAX_FILE_BYTES = MAX_BYTES + (1 << 20)
ADMINISTER = "searches:administer"


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int = Field(1, ge=1, le=1)
    searches: list[SavedSearch] = Field(max_length=MAX_SEARCHES)

    @model_validator(mode="after")
    def _differ(self) -> "_Content":
        if len({each.id for each in self.searches}) < len(self.searches):
            raise ValueError("two searches have the same id")
        return self


class Searches:
    """Any number of threads, of one collector."""

    def __init__(self, data: Path, now: Callable[[], datetime] = utc_now) -> None:
        self._path = data / SEARCHES
        self._now = now
        self._lock = threading.Lock()
        self._version: object = ()
        self._known: Mapping[str, SavedSearch] = {}

    def visible_to(self, who: Principal, *, every: bool = False) -> Sequence[SavedSearch]:
        """Those of `who`, then those shared with it, each by name; with `every` all, for an administrator."""
        if every and not who.may(ADMINISTER):
            raise ForbiddenError(f"{who.name} may not see what others keep for themselves")
        with self._lock:
            found = [each for each in self._read().values() if every or is_own(each, who) or _is_shared(each, who)]
        return sorted(found, key=lambda each: (not is_own(each, who), each.name.casefold(), each.owner, each.id))

    def find(self, who: Principal, search_id: str) -> SavedSearch:
        """One that `who` may see, which an administrator may whosever it is; `SearchAbsentError`."""
        with self._lock:
            return self._find(self._read(), who, search_id)

    def create(self, who: Principal, content: SearchContent) -> SavedSearch:
        """A new one of `who`; errors as those of `checked`, and `NameTakenError`, `TooManySearchesError`."""
        now = self._now()
        wanted = checked(content, now)
        with self._changing() as searches:
            made = SavedSearch(
                **dict(wanted),
                id=secrets.token_hex(8),
                owner=who.name,
                projects=None if who.project_ids is None else list(who.project_ids),
                version=1,
                created_at=now,
                updated_at=now,
                updated_by=who.name,
            )
            _require_name(searches, made)
            searches[made.id] = made
            _require_room(searches.values(), made)
        return made

    def replace(
        self, who: Principal, search_id: str, content: SearchContent, is_expected: Callable[[int], bool]
    ) -> SavedSearch:
        """The same with another content; `ChangedMeanwhileError` where the version is none that is expected."""
        now = self._now()
        wanted = checked(content, now)
        with self._changing() as searches:
            before = self._changeable(searches, who, search_id, is_expected)
            fields = {**dict(before), **dict(wanted)}
            made = SavedSearch(
                **{**fields, "version": before.version + 1, "updated_at": now, "updated_by": who.name},
            )
            _require_name(searches, made)
            searches[search_id] = made
            _require_room(searches.values(), made)
        return made

    def delete(self, who: Principal, search_id: str, is_expected: Callable[[int], bool]) -> SavedSearch:
        """Keep one no more."""
        with self._changing() as searches:
            found = self._changeable(searches, who, search_id, is_expected)
            del searches[search_id]
        return found

    def _find(self, searches: Mapping[str, SavedSearch], who: Principal, search_id: str) -> SavedSearch:
        found = searches.get(search_id)
        if found is None or not (is_own(found, who) or _is_shared(found, who) or who.may(ADMINISTER)):
            raise SearchAbsentError(f"cannot find saved search {search_id}")
        return found

    def _changeable(
        self, searches: Mapping[str, SavedSearch], who: Principal, search_id: str, is_expected: Callable[[int], bool]
    ) -> SavedSearch:
        found = self._find(searches, who, search_id)
        if not (is_own(found, who) or who.may(ADMINISTER)):
            raise ForbiddenError(f"cannot change saved search {found.name}: it belongs to {found.owner}")
        if not is_expected(found.version):
            raise ChangedMeanwhileError(
                f"cannot change saved search {found.name}: {found.updated_by} has made it version {found.version}"
            )
        return found

    def _read(self) -> Mapping[str, SavedSearch]:
        version = version_of(self._path)
        if version != self._version:
            self._known, self._version = _content_of(self._path), version
        return self._known

    @contextmanager
    def _changing(self) -> Iterator[dict[str, SavedSearch]]:
        """The searches, to be changed in place: written when the context is left without an error."""
        with self._lock:
            try:
                with changing(self._path.parent):
                    searches = dict(self._read())
                    yield searches
                    replace(self._path, _Content(searches=list(searches.values())).model_dump_json() + "\n")
            except OSError as exc:
                raise SearchFileError(f"cannot change saved searches {self._path}: {exc}") from exc


def is_own(search: SavedSearch, who: Principal) -> bool:
    """Whether it is what `who` saved, as a member in the projects that it is in now."""
    return search.owner == who.name and (who.project_ids is None or _is_within(search, who.project_ids))


def _is_shared(search: SavedSearch, who: Principal) -> bool:
    if not search.is_shared:
        return False
    return search.projects is None if who.project_ids is None else _is_within(search, who.project_ids)


def _is_within(search: SavedSearch, project_ids: Sequence[str]) -> bool:
    return search.projects is not None and set(search.projects) <= set(project_ids)


def _require_name(searches: Mapping[str, SavedSearch], made: SavedSearch) -> None:
    for each in searches.values():
        if each.id != made.id and (each.name, each.owner, each.projects) == (made.name, made.owner, made.projects):
            raise NameTakenError(f"cannot save search {made.name}: {made.owner} has one of that name")


def _require_room(searches: Iterable[SavedSearch], made: SavedSearch) -> None:
    kept = [(each, len(each.model_dump_json().encode())) for each in searches]
    own = [size for each, size in kept if (each.owner, each.projects) == (made.owner, made.projects)]
    if len(own) > MAX_OWN or sum(own) > MAX_OWN_BYTES:
        raise TooManySearchesError(
            f"cannot save search {made.name}: {made.owner} may have {MAX_OWN} of {MAX_OWN_BYTES} bytes in all"
        )
    beside = [size for each, size in kept if made.projects is None or each.projects is not None]
    part = 1 if made.projects is None else MEMBERS_PART
    if len(beside) > MAX_SEARCHES // part or sum(beside) > MAX_BYTES // part:
        raise TooManySearchesError(f"cannot save search {made.name}: no more are kept here, delete some")


def _content_of(path: Path) -> Mapping[str, SavedSearch]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
        if len(text) > MAX_FILE_BYTES:
            raise SearchFileError(f"cannot read saved searches {path}: more than {MAX_FILE_BYTES} bytes")
        return {each.id: each for each in _Content.model_validate_json(text).searches}
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise SearchFileError(f"cannot read saved searches {path}: {exc}") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise SearchFileError(f"cannot read saved searches {path}: {place}: {first['msg']}") from exc
