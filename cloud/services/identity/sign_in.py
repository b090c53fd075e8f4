"""Signing in: what somebody claims to be -> a session, or a refusal that does not tell who exists."""

from dataclasses import dataclass, field

from cloud.db.users import SignInRecord, UserTable
from cloud.domain.identity import User
from cloud.errors import UnauthorizedError
from cloud.logs.emit import logger
from cloud.services.identity.authority import NO_SUCH_TOKEN, Authority, Scope, Session
from cloud.services.identity.passwords import Passwords
from cloud.services.identity.throttle import Throttle, ThrottledError
from cloud.services.identity.tokens import PASSWORD, TOKEN

WRONG = "the user or the password is wrong"


@dataclass(frozen=True, slots=True)
class Claim:
    """Who somebody claims to be, by id or else by name, and from where."""

    password: str = field(repr=False)
    peer: str
    user_id: str | None = None
    user_name: str | None = None
    is_of_our_domain: bool = True


class SignIn:
    """Threads share it. Every refusal has its line in the log, with the reason that the client is not told."""

    def __init__(self, users: UserTable, passwords: Passwords, throttle: Throttle, authority: Authority) -> None:
        self._users = users
        self._passwords = passwords
        self._throttle = throttle
        self._authority = authority

    def by_password(self, claim: Claim, scope: Scope, *, uses_default_project: bool = False) -> Session:
        """UnauthorizedError, or ThrottledError after too many wrong passwords.

        Without a scope, `uses_default_project` gives the user's default project if it can be had.
        """
        user = self.check(claim).user
        if uses_default_project and scope.is_empty and user.default_project_id is not None:
            try:
                session = self._authority.issue(user, Scope(user.default_project_id), (PASSWORD,))
            except UnauthorizedError:
                session = self._issue(user, scope, claim.peer)
        else:
            session = self._issue(user, scope, claim.peer)
        _say_signed_in(session, claim.peer, PASSWORD)
        return session

    def by_token(self, text: str, scope: Scope, peer: str) -> Session:
        """A token for another project, good no longer than the one it comes from. UnauthorizedError."""
        old = self._authority.session(text)
        if old is None:
            logger.bind(peer=peer, reason="bad token").warning("sign-in refused")
            raise UnauthorizedError(NO_SUCH_TOKEN)
        methods = tuple(dict.fromkeys((*old.token.methods, TOKEN)))
        try:
            new = self._authority.issue(old.access.user, scope, methods, expires_at=old.token.expires_at)
        except UnauthorizedError:
            _say_refused(old.access.user, peer, "no role in the project")
            raise
        _say_signed_in(new, peer, TOKEN)
        return new

    def check(self, claim: Claim) -> SignInRecord:
        """Who has shown to be who it is; UnauthorizedError, ThrottledError."""
        found = None
        if claim.is_of_our_domain:
            found = self._users.sign_in_record(user_id=claim.user_id, name=claim.user_name)
        # By the id where there is one: who is asked for by name and by id shares the guesses.
        guessed = found.user.id if found else claim.user_id or claim.user_name or ""
        try:
            self._throttle.check(guessed, claim.peer)
            is_right = self._passwords.matches(found.password_hash if found else None, claim.password)
        except ThrottledError:
            _say_refused(found.user if found else None, claim.peer, "too many wrong passwords")
            raise
        if found is not None and is_right and found.user.is_enabled:
            self._throttle.succeeded(guessed, claim.peer)
            return found
        self._throttle.failed(guessed, claim.peer)
        reason = "unknown user" if found is None else "user is disabled" if is_right else "wrong password"
        _say_refused(found.user if found else None, claim.peer, reason)
        raise UnauthorizedError(WRONG)

    def _issue(self, user: User, scope: Scope, peer: str) -> Session:
        try:
            return self._authority.issue(user, scope, (PASSWORD,))
        except UnauthorizedError:
            _say_refused(user, peer, "no role in the project")
            raise


def _say_signed_in(session: Session, peer: str, method: str) -> None:
    caller = session.caller
    logger.bind(
        user=caller.user_id, project=caller.project_id, peer=peer, method=method, audit_id=session.token.audit_id
    ).info("signed in")


def _say_refused(user: User | None, peer: str, reason: str) -> None:
    # Never the name that was typed: people type passwords where the name belongs.
    logger.bind(user=user.id if user else None, peer=peer, reason=reason).warning("sign-in refused")
