"""Users as they come, change and go, the same for both versions of the API; each change has its line in the log."""

import secrets
from dataclasses import dataclass, field

from fastapi import Request

from cloud.db.users import NewUser, UserChange
from cloud.domain.caller import MEMBER
from cloud.domain.identity import User
from cloud.logs.emit import logger
from cloud.services.identity.identity import Identity
from cloud.services.identity.peer import peer_of
from cloud.services.identity.sign_in import Claim


@dataclass(frozen=True, slots=True)
class Account:
    """A user as an admin wants it; one without a password cannot sign in until there is one."""

    name: str
    password: str | None = field(repr=False)
    email: str | None
    is_enabled: bool
    default_project_id: str | None
    is_member_of_default_project: bool


def create_account(identity: Identity, account: Account) -> User:
    """ConflictError when the name is taken, NotFoundError when there is no such project."""
    user = identity.users.create(
        NewUser(
            name=account.name,
            password_hash=identity.passwords.hash(account.password or secrets.token_urlsafe()),
            email=account.email,
            is_enabled=account.is_enabled,
            default_project_id=account.default_project_id,
            role_name=MEMBER if account.is_member_of_default_project else None,
        )
    )
    logger.bind(subject=user.id).info("user created")
    return user


def change_account(identity: Identity, user_id: str, change: UserChange, password: str | None = None) -> User:
    """NotFoundError, ConflictError. A new password, and being disabled, end all tokens of the user."""
    user = identity.users.update(user_id, change)
    logger.bind(subject=user.id, is_enabled=user.is_enabled).info("user changed")
    return user if password is None else reset_password(identity, user_id, password)


def reset_password(identity: Identity, user_id: str, password: str) -> User:
    """By an admin. NotFoundError."""
    user = identity.users.set_password(user_id, identity.passwords.hash(password))
    logger.bind(subject=user.id).info("password changed")
    return user


def change_own_password(identity: Identity, request: Request, user_id: str, old: str, new: str) -> User:
    """By the user. Guesses of the old password count as guesses at signing in: UnauthorizedError, ThrottledError."""
    record = identity.sign_in.check(Claim(old, peer_of(request), user_id=user_id))
    user = identity.users.set_password(user_id, identity.passwords.hash(new), expected_hash=record.password_hash)
    logger.bind(subject=user.id).info("password changed")
    return user


def delete_account(identity: Identity, user_id: str) -> None:
    """NotFoundError."""
    identity.users.delete(user_id)
    logger.bind(subject=user_id).info("user deleted")
