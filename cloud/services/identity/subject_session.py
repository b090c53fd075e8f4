"""A token that a request is about, beside the one that it is made with."""

from fastapi import Request

from cloud.errors import NotFoundError
from cloud.logs.emit import logger
from cloud.policy.rules import is_allowed, require
from cloud.policy.table import POLICY
from cloud.services.identity.authority import Session
from cloud.services.identity.identity import Identity


def session_to_look_at(identity: Identity, request: Request, text: str, *, project_id: str | None = None) -> Session:
    """The session of token `text`, and only if it is for `project_id` where that is given.

    A token may look at itself, admins at all. ForbiddenError, NotFoundError for one that is not good.
    """
    own: Session = request.state.session
    if text == own.text:
        session: Session | None = own
    else:
        require(POLICY, "identity:tokens:validate:any", own.caller)
        session = identity.authority.session(text)
    if session is None or project_id not in (None, session.token.project_id):
        raise _no_such_token()
    return session


def session_to_end(identity: Identity, request: Request, text: str) -> None:
    """End token `text`: one's own, admins all. NotFoundError for one that is not good, or not one's own."""
    own: Session = request.state.session
    session = own if text == own.text else identity.authority.session(text)
    if session is None:
        raise _no_such_token()
    is_own = session.token.user_id == own.token.user_id
    if not is_own and not is_allowed(POLICY, "identity:tokens:revoke:any", own.caller):
        raise _no_such_token()
    identity.authority.end(session)
    logger.bind(audit_id=session.token.audit_id, subject=session.token.user_id).info("token revoked")


def _no_such_token() -> NotFoundError:
    return NotFoundError("cannot find the token: it is not, or no longer, good")
