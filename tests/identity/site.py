"""An identity service with users whose passwords are known."""

from collections.abc import MutableMapping
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self

import httpx
from argon2 import PasswordHasher
from starlette.types import Receive, Send

from cloud.db.engine import Database
from cloud.db.users import NewUser
from cloud.domain.identity import Assignment, Project, Role, User
from cloud.services.identity.app import make_identity_app
from cloud.services.identity.catalog import Catalog, Endpoint
from cloud.services.identity.identity import Settings, make_identity
from cloud.web.server import App, HttpServer, Listen

KEY = bytes(range(32))
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Argon2 that takes no time: what it costs to guess is not what these tests are about."""
ENDPOINTS = (
    Endpoint("compute", "nova", "http://cloud:8774/v2/%(tenant_id)s"),
    Endpoint("volume", "cinder", ""),
    Endpoint("image", "glance", "http://cloud:9292"),
)
PUBLIC_URL = "http://cloud:5000"


class Now(Protocol):
    def __call__(self) -> datetime: ...


class Seconds:
    """A monotonic clock, which stands until a test moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Front:
    """A server for one site after the other: to stop one takes longer than most tests do."""

    def __init__(self) -> None:
        self._app: App | None = None

        async def serve(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":  # each site ends before this does
                return
            if self._app is None:
                raise RuntimeError("cannot answer a request: no test runs")
            await self._app(scope, receive, send)

        self.server = HttpServer(serve, Listen("127.0.0.1", 0))

    def show(self, app: App | None) -> None:
        """Have `app` answer from now on; None: nobody."""
        self._app = app

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.server.stop()


class Site:
    """`admin` is admin in project `admin`; `alice` is member of `red`, `bob` of `blue`. Passwords are the names, -pw."""

    def __init__(
        self, database: Database, now: Now, *, hasher: PasswordHasher = CHEAP, front: Front | None = None
    ) -> None:
        """`front` stands already; without it the site has a server of its own."""
        self.seconds = Seconds()
        catalog = Catalog("RegionOne", ENDPOINTS, lambda: PUBLIC_URL)
        self.identity = make_identity(database, Settings(KEY), catalog, now=now, clock_s=self.seconds, hasher=hasher)
        app = make_identity_app(self.identity, PUBLIC_URL)
        self._front = front
        if front is not None:
            front.show(app)
        self.server = HttpServer(app, Listen("127.0.0.1", 0)) if front is None else front.server
        self.http = httpx.Client(base_url=self.server.url, trust_env=False, timeout=20)
        self.roles = {name: self.identity.roles.create(name) for name in ("admin", "member")}
        self.projects = {
            name: self.identity.projects.create(name, f"the {name} one") for name in ("admin", "red", "blue")
        }
        self.users: dict[str, User] = {}
        self.user("admin", "admin", "admin")
        self.user("alice", "red", "member")
        self.user("bob", "blue", "member")

    def user(self, name: str, project: str | None = None, role: str = "member", *, is_enabled: bool = True) -> User:
        """A new user, with a role in a project if given."""
        new = NewUser(name, self.identity.passwords.hash(f"{name}-pw"), is_enabled=is_enabled)
        self.users[name] = self.identity.users.create(new)
        if project is not None:
            self.give(name, project, role)
        return self.users[name]

    def give(self, user: str, project: str, role: str) -> None:
        if role not in self.roles:
            self.roles[role] = self.identity.roles.create(role)
        self.identity.roles.assign(self.assignment(user, project, role))

    def assignment(self, user: str, project: str, role: str) -> Assignment:
        return Assignment(self.users[user].id, self.projects[project].id, self.roles[role].id)

    def project(self, name: str) -> Project:
        return self.projects[name]

    def role(self, name: str) -> Role:
        return self.roles[name]

    def sign_in(self, name: str, project: str | None = None, password: str | None = None) -> httpx.Response:
        """What v2.0 answers."""
        auth: dict[str, Any] = {"passwordCredentials": {"username": name, "password": password or f"{name}-pw"}}
        if project is not None:
            auth["tenantName"] = project
        return self.http.post("/v2.0/tokens", json={"auth": auth})

    def token(self, name: str, project: str | None = None) -> str:
        answer = self.sign_in(name, project)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access"]["token"]["id"])

    def ask(self, method: str, path: str, token: str, body: object = None, **headers: str) -> httpx.Response:
        """What is answered to who has `token`."""
        sent = {"X-Auth-Token": token, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.http.request(method, path, json=body, headers=sent)

    def is_good(self, token: str) -> bool:
        """Whether the token gets in."""
        answer = self.ask("GET", "/v3/auth/tokens?nocatalog", token, X_Subject_Token=token)
        assert answer.status_code in (200, 401), answer.text
        return answer.status_code == 200

    def __enter__(self) -> Self:
        if self._front is None:
            self.server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.http.close()
        if self._front is None:
            self.server.stop()
        else:
            self._front.show(None)
