"""The identity service: HTTP in front, users and projects in the database behind."""

import time
from datetime import UTC, datetime
from pathlib import Path

from cloud.services.identity.app import make_identity_app
from cloud.services.identity.authority import Authority
from cloud.services.identity.catalog import Catalog
from cloud.services.identity.identity import Settings, make_identity
from cloud.services.identity.options import configured_endpoints, configured_public_url
from cloud.services.identity.token_key import TokenKeyError, token_key
from cloud.services.manager import Manager, ManagerError, Parts
from cloud.web.server import HttpServer, HttpServerError, Listen


class IdentityManager(Manager):
    """Serves from start to stop, and forgets ended tokens when they would have expired."""

    def __init__(self, server: HttpServer, authority: Authority) -> None:
        self._server = server
        self._authority = authority

    @property
    def url(self) -> str:
        """Where it listens, without a version."""
        return self._server.url

    def start(self) -> None:
        self._server.start()

    def report(self) -> None:
        self._authority.forget_expired()

    def stop(self) -> None:
        self._server.stop()


def make_manager(parts: Parts) -> IdentityManager:
    """The manager as `parts.conf` says, whose port is taken; ManagerError when it cannot be, or there is no key."""
    if parts.database is None:
        raise ValueError("identity needs a database")
    conf, group = parts.conf, parts.conf.identity
    public_url = configured_public_url(conf)
    listen = Listen(
        group.listen,
        group.port,
        Path(group.certificate) if group.certificate else None,
        Path(group.key) if group.key else None,
    )
    catalog = Catalog(group.region, configured_endpoints(conf), lambda: public_url or server.url)
    try:
        settings = Settings(token_key(Path(group.token_key_file)), group.token_expiration_s, group.max_password_checks)
        identity = make_identity(
            parts.database, settings, catalog, now=lambda: datetime.now(UTC), clock_s=time.monotonic
        )
        server = HttpServer(make_identity_app(identity, public_url), listen)
    except (TokenKeyError, HttpServerError) as exc:
        raise ManagerError(str(exc)) from exc
    return IdentityManager(server, identity.authority)
