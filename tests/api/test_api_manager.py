"""nova-api as a daemon runs it: a port, a database, and stopping."""

from typing import cast

import httpx
import pytest

from cloud.db.engine import Database
from cloud.rpc.client import RpcClient
from cloud.services.api.manager import make_manager
from cloud.services.manager import ManagerError, Parts
from tests.api.conftest import Stage, make_conf


@pytest.fixture
def database(stage: Stage) -> Database:
    return stage.database.restored()


def parts(database: Database | None, **options: object) -> Parts:
    conf = make_conf(osapi_compute_listen_port=0, **options)
    return Parts(conf, cast("RpcClient", None), database)


def test_it_answers_from_start_to_stop(database: Database) -> None:
    manager = make_manager(parts(database))
    manager.start()
    try:
        assert manager.url.startswith("http://127.0.0.1:")
        versions = httpx.get(manager.url, trust_env=False).json()["versions"]
        assert versions[1]["links"] == [{"rel": "self", "href": f"{manager.url}/v2.1/"}]
        assert httpx.get(f"{manager.url}/v2/x/servers", trust_env=False).status_code == 401
    finally:
        manager.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(manager.url, trust_env=False)


def test_links_begin_as_the_configuration_says(database: Database) -> None:
    manager = make_manager(parts(database, osapi_compute_link_prefix="https://cloud.example.org/compute/"))
    manager.start()
    try:
        (link,) = httpx.get(manager.url, trust_env=False).json()["versions"][0]["links"]
        assert link["href"] == "https://cloud.example.org/compute/v2/"
    finally:
        manager.stop()


def test_without_identity_nobody_is_let_in(database: Database) -> None:
    of_ours = parts(database)
    of_ours.conf.set_override("url", "http://127.0.0.1:1", group="identity")
    manager = make_manager(of_ours)
    manager.start()
    try:
        answer = httpx.get(f"{manager.url}/v2/x/servers", headers={"X-Auth-Token": "t"}, trust_env=False)
        assert answer.status_code == 503
        assert answer.json()["serviceUnavailable"]["code"] == 503
    finally:
        manager.stop()


def test_a_port_that_is_taken_is_a_reason_not_to_start(database: Database) -> None:
    manager = make_manager(parts(database))
    conf = parts(database).conf
    conf.set_override("osapi_compute_listen_port", int(manager.url.rpartition(":")[2]))
    try:
        with pytest.raises(ManagerError, match="cannot listen on"):
            make_manager(Parts(conf, cast("RpcClient", None), database))
    finally:
        manager.stop()


def test_beyond_loopback_it_takes_a_certificate(database: Database) -> None:
    with pytest.raises(ManagerError, match="it takes a certificate"):
        make_manager(parts(database, osapi_compute_listen="0.0.0.0"))  # noqa: S104 - which is refused


def test_it_needs_a_database() -> None:
    with pytest.raises(ValueError, match="needs a database"):
        make_manager(parts(None))
