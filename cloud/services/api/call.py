"""One call of the API: who asks, in which version, and what it is answered from."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from cloud.domain.caller import Caller
from cloud.policy.rules import is_allowed, require
from cloud.policy.table import POLICY
from cloud.services.api.parts import ApiParts
from cloud.services.api.versions import Version


@dataclass(frozen=True, slots=True)
class Call:
    """Endpoints take it as `call: TheCall`."""

    caller: Caller
    version: Version
    parts: ApiParts
    base_url: str
    """Where clients reach us, without a path."""
    prefix: str
    """What stands before a resource in the path that was asked for, such as `/v2/PROJECT`."""
    project_path: str
    """The same without the version: what a bookmark has."""

    @property
    def project_id(self) -> str:
        """The caller's project, which the frame has made sure of."""
        return self.caller.project_id or ""

    @property
    def seen_project(self) -> str | None:
        """The project whose things may be seen: None, for all, where an admin asks."""
        return None if self.caller.is_admin else self.project_id

    def require(self, action: str, project_id: str | None = None) -> None:
        """ForbiddenError unless the policy allows `action` on what belongs to `project_id`, by default the caller's."""
        require(POLICY, action, self.caller, self.project_id if project_id is None else project_id)

    def is_allowed(self, action: str, project_id: str | None = None) -> bool:
        return is_allowed(POLICY, action, self.caller, self.project_id if project_id is None else project_id)

    def url(self, *parts: str) -> str:
        """The address of a thing, as `url("servers", uuid)`."""
        return "/".join((f"{self.base_url}{self.prefix}", *parts))

    def bookmark(self, *parts: str) -> str:
        """Its address for good, without a version."""
        return "/".join((f"{self.base_url}{self.project_path}", *parts))

    def links(self, *parts: str) -> list[dict[str, str]]:
        """Both, as every thing carries them."""
        return [
            {"href": self.url(*parts), "rel": "self"},
            {"href": self.bookmark(*parts), "rel": "bookmark"},
        ]


async def call_of(request: Request) -> Call:
    """The call that the frame has let in."""
    state = request.state
    parts: ApiParts = request.app.state.parts
    base_url = parts.conf.osapi_compute_link_prefix or f"{request.url.scheme}://{request.url.netloc}"
    return Call(
        caller=state.caller,
        version=state.version,
        parts=parts,
        base_url=base_url.rstrip("/"),
        prefix=state.prefix,
        project_path=state.project_path,
    )


TheCall = Annotated[Call, Depends(call_of)]
