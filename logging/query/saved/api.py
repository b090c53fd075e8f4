"""`/api/v1/searches`: what somebody wants to ask again, for the web and the command line."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field

from cloud.logs.query.access.errors import ForbiddenError
from cloud.logs.query.access.principal import Principal, allowed
from cloud.logs.query.saved.errors import VersionRequiredError
from cloud.logs.query.saved.search import EXAMPLE, MAX_SEARCH_NAME_CHARS, SavedSearch, SearchContent
from cloud.logs.query.saved.searches import ADMINISTER, Searches, is_own

SHARE = "searches:share"
MAX_ETAGS_CHARS = 1000
_SAVED_EXAMPLE: Any = {
    **EXAMPLE,
    "id": "0f2b6c1d9a7e4835",
    "owner": "key night-watch",
    "projects": None,
    "version": 3,
    "created_at": "2027-01-15T12:00:00Z",
    "updated_at": "2027-01-16T08:30:00Z",
    "updated_by": "key night-watch",
    "is_own": True,
}
_CONTENTS: Any = {
    "a search": {"value": EXAMPLE},
    "a count": {"value": {"name": "errors by host", "query": "severity:>=err | count by host", "since": "1h"}},
}


class SearchAnswer(SavedSearch):
    """A saved search as the one who asks sees it. Its version is the ETag, too."""

    model_config = ConfigDict(json_schema_extra={"example": _SAVED_EXAMPLE})

    is_own: bool = Field(description="Whether it belongs to the one who asks.")


class SearchesAnswer(BaseModel):
    """One's own by name, then those that others share."""

    searches: list[SearchAnswer]

    model_config = ConfigDict(json_schema_extra={"example": {"searches": [_SAVED_EXAMPLE]}})


def _refused(status: int, code: str, detail: str, **more: Any) -> dict[int | str, dict[str, Any]]:
    example = {"detail": detail, "code": code, **more}
    return {status: {"description": detail, "content": {"application/json": {"example": example}}}}


_ABSENT = _refused(404, "not_found", "cannot find saved search 0f2b6c1d9a7e4835")
_NOT_OWN = _refused(403, "forbidden", "cannot change saved search failed migrations: it belongs to key night-watch")
_CONFLICT = _refused(409, "name_taken", "cannot save search failed migrations: key night-watch has one of that name")
_CHANGED = _refused(
    412, "changed", "cannot change saved search failed migrations: key night-watch has made it version 4"
)
_NO_VERSION = _refused(428, "version_required", 'cannot change a saved search without If-Match: "VERSION"')
_WRONG = _refused(422, "query", "cannot read query at column 6: expected a value", column=6, expected=["a value"])

Reading = Annotated[Principal, Depends(allowed("searches:read"))]
Saving = Annotated[Principal, Depends(allowed("searches:save"))]
SearchId = Annotated[str, InPath(pattern="^[0-9a-f]{16}$", description="`id` of the answers.")]
IfMatch = Annotated[
    str | None,
    Header(
        max_length=MAX_ETAGS_CHARS, description="The ETag that was read; `*` is any. Without it nothing is changed."
    ),
]


def saved_routes(data: Path) -> APIRouter:
    """The saved searches of a data directory."""
    router = APIRouter(prefix="/api/v1/searches", tags=["saved searches"])
    searches = Searches(data)

    @router.get("", response_model=SearchesAnswer)
    def list_searches(
        who: Reading,
        request: Request,
        *,
        name: Annotated[
            str | None, Query(max_length=MAX_SEARCH_NAME_CHARS, description="Only those called so.")
        ] = None,
        every: Annotated[
            bool, Query(description="Also what others keep for themselves; takes the role admin.")
        ] = False,
    ) -> Mapping[str, Any]:
        """One's own saved searches, and those that others share."""
        if every:
            request.state.action = ADMINISTER
        found = searches.visible_to(who, every=every)
        return {"searches": [_shown(each, who) for each in found if name in (None, each.name)]}

    @router.post(
        "",
        status_code=201,
        response_model=SearchAnswer,
        responses={**_CONFLICT, **_WRONG, 201: {"description": "It is kept; Location is where."}},
    )
    def create_search(who: Saving, request: Request, response: Response, content: SearchContent) -> Mapping[str, Any]:
        """Save a search. A query or a time that could not be asked is refused, with the column of the query."""
        if content.is_shared:
            _share(request, who)
        made = searches.create(who, content)
        _note(request, made)
        response.headers["Location"] = f"{request.url.path}/{made.id}"
        return _answered(response, made, who)

    @router.get("/{search_id}", response_model=SearchAnswer, responses=_ABSENT)
    def show_search(who: Reading, request: Request, response: Response, search_id: SearchId) -> Mapping[str, Any]:
        """One saved search, with its version as the ETag."""
        found = searches.find(who, search_id)
        if not (is_own(found, who) or found.is_shared):
            _administer(request, found)
        return _answered(response, found, who)

    @router.put(
        "/{search_id}",
        response_model=SearchAnswer,
        responses={**_ABSENT, **_NOT_OWN, **_CONFLICT, **_CHANGED, **_WRONG, **_NO_VERSION},
    )
    def replace_search(
        who: Saving,
        request: Request,
        response: Response,
        search_id: SearchId,
        content: SearchContent,
        if_match: IfMatch = None,
    ) -> Mapping[str, Any]:
        """Give a saved search another content, unless somebody has done so since its ETag was read."""
        before = searches.find(who, search_id)
        if not is_own(before, who):
            _administer(request, before)
        elif content.is_shared or before.is_shared:
            _share(request, who)
        made = searches.replace(who, search_id, content, _expected(if_match))
        _note(request, made)
        return _answered(response, made, who)

    @router.delete(
        "/{search_id}",
        status_code=204,
        responses={**_ABSENT, **_NOT_OWN, **_CHANGED, **_NO_VERSION, 204: {"description": "It is gone."}},
    )
    def delete_search(who: Saving, request: Request, search_id: SearchId, if_match: IfMatch = None) -> None:
        """Keep a saved search no more, unless somebody has changed it since its ETag was read."""
        before = searches.find(who, search_id)
        if not is_own(before, who):
            _administer(request, before)
        elif before.is_shared:
            _share(request, who)
        searches.delete(who, search_id, _expected(if_match))

    return router


def etag(search: SavedSearch) -> str:
    return f'"{search.version}"'


def _expected(if_match: str | None) -> Callable[[int], bool]:
    """Whether a version is one of If-Match (RFC 9110 section 13.1.1); `VersionRequiredError` without it."""
    if if_match is None:
        raise VersionRequiredError('cannot change a saved search without If-Match: "VERSION"')
    tags = {each.strip() for each in if_match.split(",")}
    return lambda version: "*" in tags or f'"{version}"' in tags


def _share(request: Request, who: Principal) -> None:
    request.state.action = SHARE
    if not who.may(SHARE):
        raise ForbiddenError(f"{who.name} may save searches, but not share them")


def _administer(request: Request, search: SavedSearch) -> None:
    """What follows is about another one's search: whether it may be done is found there, and it leaves a line."""
    request.state.action = ADMINISTER
    _note(request, search)


def _note(request: Request, search: SavedSearch) -> None:
    request.state.audit = {"search": search.name, "owner": search.owner}


def _answered(response: Response, search: SavedSearch, who: Principal) -> Mapping[str, Any]:
    response.headers["ETag"] = etag(search)
    return _shown(search, who)


def _shown(search: SavedSearch, who: Principal) -> Mapping[str, Any]:
    return {**search.model_dump(), "is_own": is_own(search, who)}
