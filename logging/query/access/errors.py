"""Why a request is refused before it has reached its route, or at its door."""

from collections.abc import Mapping
from typing import ClassVar


class AccessError(Exception):
    """Refused; the status and a word for programs belong to the class."""

    status: ClassVar[int]
    code: ClassVar[str]

    @property
    def headers(self) -> Mapping[str, str]:
        return {}


class UnknownCallerError(AccessError):
    """Nobody knows who is asking: no key or token, or one that is not, or no longer, good."""

    status = 401
    code = "unauthorized"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class ForbiddenError(AccessError):
    """It is known who is asking, and that one may not."""

    status = 403
    code = "forbidden"


class OtherSiteError(ForbiddenError):
    """A browser asks for a page that is not ours."""


class LongHeadError(AccessError):
    """More headers than anything here asks for."""

    status = 431
    code = "head"


class WrongStoreKeyError(ForbiddenError):
    """A guess at the key in the data directory."""


class TooManyFailuresError(AccessError):
    """This address has come with wrong keys too often."""

    status = 429
    code = "too_many_failures"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(self.retry_after_s)}


class AccessUnavailableError(AccessError):
    """What would know who is asking does not answer, so nobody gets in."""

    status = 503
    code = "access_unavailable"
