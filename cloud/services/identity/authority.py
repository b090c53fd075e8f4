"""Tokens as they are issued, looked at and ended: what they say, and what the database says of it by now."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cloud.db.access import AccessTable
from cloud.domain.caller import Caller
from cloud.domain.identity import Access, User
from cloud.errors import UnauthorizedError
from cloud.services.identity.tokens import Token, TokenSigner, new_audit_id

NO_SUCH_TOKEN = "the token is not, or no longer, good"  # noqa: S105 - a message


@dataclass(frozen=True, slots=True)
class Scope:
    """The project that a token is wanted for, by its id or else by its name."""

    project_id: str | None = None
    project_name: str | None = None

    @property
    def is_empty(self) -> bool:
        return self.project_id is None and self.project_name is None


@dataclass(frozen=True, slots=True)
class Session:
    """A good token and what it opens."""

    text: str = field(repr=False)
    token: Token
    access: Access

    @property
    def caller(self) -> Caller:
        project = self.access.project
        return Caller(
            user_id=self.access.user.id,
            user_name=self.access.user.name,
            project_id=project.id if project else None,
            project_name=project.name if project else None,
            roles=frozenset(role.name for role in self.access.roles),
            expires_at=self.token.expires_at,
        )


class Authority:
    """Threads share it. Raises DatabaseUnavailableError as the tables do."""

    def __init__(
        self, access: AccessTable, signer: TokenSigner, now: Callable[[], datetime], lifetime_s: float
    ) -> None:
        self._access = access
        self._signer = signer
        self._now = now
        self._lifetime = timedelta(seconds=lifetime_s)

    def issue(
        self, user: User, scope: Scope, methods: tuple[str, ...], *, expires_at: datetime | None = None
    ) -> Session:
        """A token for `user`, who has just shown to be that, good until `expires_at` or for the usual time.

        UnauthorizedError when the user has no role in the project, or may no longer sign in.
        """
        project_id = scope.project_id
        if project_id is None and scope.project_name is not None:
            project_id = self._access.project_id_of(scope.project_name)
        access = None
        if scope.is_empty or project_id is not None:
            access = self._access.of(user.id, project_id)
        if access is None or access.user.token_epoch != user.token_epoch:
            raise UnauthorizedError("the user has no role in that project, or there is no such project")
        now = self._now()
        token = Token(
            user_id=user.id,
            user_epoch=user.token_epoch,
            project_id=project_id,
            project_epoch=access.project.token_epoch if access.project else 0,
            methods=methods,
            issued_at=now,
            expires_at=(expires_at or now + self._lifetime).replace(microsecond=0),
            audit_id=new_audit_id(),
        )
        return Session(self._signer.sign(token), token, access)

    def session(self, text: str) -> Session | None:
        """What a token's text opens; None when it is no token of ours, has expired, or was ended."""
        token = self._signer.read(text)
        if token is None or token.expires_at <= self._now():
            return None
        access = self._access.of(token.user_id, token.project_id, audit_id=token.audit_id)
        if access is None or access.user.token_epoch != token.user_epoch:
            return None
        if access.project is not None and access.project.token_epoch != token.project_epoch:
            return None
        return Session(text, token, access)

    def end(self, session: Session) -> None:
        """Nobody gets in with that token any more."""
        self._access.revoke(session.token.audit_id, session.token.expires_at)

    def forget_expired(self) -> None:
        """Drop what is known of ended tokens that would have expired by now."""
        self._access.forget_expired()
