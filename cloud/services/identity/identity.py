"""What the routes of both versions work with."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from argon2 import PasswordHasher

from cloud.db.access import AccessTable
from cloud.db.ec2_credentials import Ec2CredentialTable
from cloud.db.engine import Database
from cloud.db.projects import ProjectTable
from cloud.db.roles import RoleTable
from cloud.db.users import UserTable
from cloud.services.identity.authority import Authority
from cloud.services.identity.catalog import Catalog
from cloud.services.identity.passwords import RETRY_S, WAIT_S, Passwords
from cloud.services.identity.sign_in import SignIn
from cloud.services.identity.throttle import Throttle, ThrottledError
from cloud.services.identity.tokens import TokenSigner


@dataclass(frozen=True, slots=True)
class Settings:
    """What the configuration says."""

    token_key: bytes
    token_expiration_s: float = 3600.0
    max_password_checks: int = 2


class Turns:
    """Requests that wait to sign in do so here, where they hold no thread; who waits too long is told to come again."""

    def __init__(self, at_once: int, wait_s: float = WAIT_S) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._wait_s = wait_s

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """ThrottledError when it does not come in time."""
        try:
            async with asyncio.timeout(self._wait_s):
                await self._turns.acquire()
        except TimeoutError as exc:
            raise ThrottledError("too many are signing in", retry_after_s=RETRY_S) from exc
        try:
            yield
        finally:
            self._turns.release()


@dataclass(frozen=True, slots=True)
class Identity:
    """The parts of the service, made once."""

    users: UserTable
    projects: ProjectTable
    roles: RoleTable
    credentials: Ec2CredentialTable
    authority: Authority
    passwords: Passwords
    sign_in: SignIn
    turns: Turns
    catalog: Catalog
    now: Callable[[], datetime]


def make_identity(
    database: Database,
    settings: Settings,
    catalog: Catalog,
    *,
    now: Callable[[], datetime],
    clock_s: Callable[[], float],
    hasher: PasswordHasher | None = None,
) -> Identity:
    """The service's parts on `database`; `now` is aware, `clock_s` gives monotonic seconds."""
    users = UserTable(database, now)
    authority = Authority(AccessTable(database, now), TokenSigner(settings.token_key), now, settings.token_expiration_s)
    passwords = Passwords(settings.max_password_checks, hasher)
    return Identity(
        users=users,
        projects=ProjectTable(database, now),
        roles=RoleTable(database),
        credentials=Ec2CredentialTable(database, now),
        authority=authority,
        passwords=passwords,
        sign_in=SignIn(users, passwords, Throttle(clock_s=clock_s), authority),
        turns=Turns(settings.max_password_checks),
        catalog=catalog,
        now=now,
    )
