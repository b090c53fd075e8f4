"""Users of the cloud ask the collector with their tokens, which the real identity service judges."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from cloud.cli.log_identity import CloudIdentity
from cloud.db.engine import open_database
from cloud.db.schema import sync
from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.http import Door
from cloud.logs.query.access.identity import Identity
from cloud.logs.query.access.roles import Role
from cloud.web import auth
from tests.collector.batches import table_of
from tests.db.conftest import LIMITS
from tests.identity.site import Site
from tests.query.serving import Served

ROLES = {"admin": Role.ADMIN, "log-operator": Role.OPERATOR, "log-reader": Role.READER}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with open_database(f"sqlite:///{tmp_path}/identity.db", LIMITS) as database:
        sync(database)
        with Site(database, lambda: datetime.now(UTC)) as site:
            yield site


@contextmanager
def collector(tmp_path: Path, url: str, *lines: bytes) -> Iterator[httpx.Client]:
    store = DuckDbStore(tmp_path / "data")
    store.append(table_of(*lines or [b"<134>1 - compute-01 nova-api - - - one"]))
    door = Door(identity=Identity(CloudIdentity(url), ROLES))
    with Served(store, door=door) as served, httpx.Client(base_url=served.url, trust_env=False, timeout=20) as http:
        yield http
    store.close()


def status(http: httpx.Client, token: str, path: str = "/api/v1/rows") -> int:
    return http.get(path, headers={"X-Auth-Token": token}).status_code


def test_a_user_has_the_best_of_its_roles_here(site: Site, tmp_path: Path) -> None:
    site.give("alice", "red", "log-reader")
    site.give("bob", "blue", "log-operator")
    site.give("bob", "blue", "log-reader")
    with collector(tmp_path, site.server.url) as http:
        closing = {"host": "h", "start": "s", "gaps": []}
        for name, project, expected in (
            ("alice", "red", (200, 200, 403, 403)),
            ("bob", "blue", (200, 200, 200, 403)),
            ("admin", "admin", (200, 200, 200, 200)),
        ):
            headers = {"X-Auth-Token": site.token(name, project)}
            found = (
                http.get("/api/v1/rows", headers=headers).status_code,
                http.get("/metrics", headers=headers).status_code,
                http.post("/api/v1/runs/waive", headers=headers, json=closing).status_code,
                http.get("/api/v1/store/stats", headers=headers).status_code,
            )
            assert found == expected, name


def test_a_user_without_a_role_here_sees_the_lines_of_its_project(site: Site, tmp_path: Path) -> None:
    lines = [
        b'<134>1 - c nova-api - - - @cee: {"message": "%s", "project": "%s"}'
        % (name.encode(), site.project(name).id.encode())
        for name in ("red", "blue")
    ]
    with collector(tmp_path, site.server.url, *lines) as http:
        for name, project in (("alice", "red"), ("bob", "blue")):
            headers = {"Authorization": f"Bearer {site.token(name, project)}"}
            assert [row["message"] for row in http.get("/api/v1/rows", headers=headers).json()] == [project]
        nowhere = http.get("/api/v1/rows", headers={"X-Auth-Token": site.token("alice")})
        assert nowhere.status_code == 403
        assert "a token for a project is needed" in nowhere.json()["detail"]


def test_a_token_that_was_revoked_is_good_no_longer_than_what_is_kept_of_it(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "KEPT_S", 0.0)
    with collector(tmp_path, site.server.url) as http:
        token = site.token("alice", "red")
        assert status(http, token) == 200
        site.ask("DELETE", f"/v2.0/tokens/{token}", token)
        assert status(http, token) == 401


@pytest.mark.parametrize("token", ["", "x", "gAAAAAB" + "x" * 150, "x" * 5000, "a\tb", "cloudlog_x"])
def test_what_is_no_token_gets_nobody_in(site: Site, tmp_path: Path, token: str) -> None:
    with collector(tmp_path, site.server.url) as http:
        assert status(http, token) == 401
        assert status(http, token, "/readyz") == 200


def test_while_the_identity_service_is_away_nobody_new_gets_in(site: Site, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with collector(tmp_path, f"http://127.0.0.1:{port}") as http:
        refused = http.get("/api/v1/rows", headers={"X-Auth-Token": site.token("admin", "admin")})
        assert (refused.status_code, refused.json()["code"]) == (503, "access_unavailable")
        assert "cannot ask the identity service who asks" in refused.json()["detail"]
        assert http.get("/api/v1/rows").status_code == 401
        assert http.get("/readyz").status_code == 200


def test_a_user_begins_a_session_with_a_password(site: Site, tmp_path: Path) -> None:
    site.give("alice", "red", "log-reader")
    with collector(tmp_path, site.server.url) as http:
        for wrong in (
            {"user": "alice", "password": "wrong", "project": "red"},
            {"user": "alice", "password": "alice-pw", "project": "nowhere"},
        ):
            assert http.post("/api/v1/session", json=wrong).status_code == 401, wrong
        good = {"user": "alice", "password": "alice-pw", "project": "red"}
        assert http.post("/api/v1/session", json=good).json()["signed_in"]["role"] == "reader"
        assert http.get("/api/v1/rows").status_code == 200
