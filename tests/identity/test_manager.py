"""The manager as the configuration says it, and identity as a process: it starts, serves, reports and stops."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cloud.db.engine import Database, open_database
from cloud.db.options import DATABASE_OPTIONS
from cloud.db.schema import sync
from cloud.rpc.client import RpcClient
from cloud.services.configuration import ConfigurationError, read_configuration
from cloud.services.identity.bootstrap import ADMIN_STEPS, Site, Wish
from cloud.services.identity.manager import IdentityManager, make_manager
from cloud.services.identity.options import IDENTITY_OPTIONS
from cloud.services.manager import ManagerError, Parts
from tests.db.conftest import LIMITS
from tests.waiting import wait_until


@pytest.fixture
def local_database(tmp_path: Path) -> Iterator[Database]:
    with open_database(f"sqlite:///{tmp_path}/identity.db", LIMITS) as database:
        sync(database)
        yield database


def parts(directory: Path, database: Database, options: str = "") -> Parts:
    file = directory / "identity.conf"
    file.write_text(
        f"[DEFAULT]\nhost = controller\nstate_path = {directory}\n[database]\nconnection = sqlite:///{directory}/identity.db\n"
        f"[identity]\nport = 0\n{options}\n"
    )
    conf = read_configuration([file], groups={"database": DATABASE_OPTIONS, "identity": IDENTITY_OPTIONS})
    client = object.__new__(RpcClient)  # identity calls nobody
    return Parts(conf, client, database)


def catalog_of(manager: IdentityManager) -> dict[str, str]:
    auth = {"passwordCredentials": {"username": "admin", "password": "swordfish"}, "tenantName": "admin"}
    answer = httpx.post(f"{manager.url}/v2.0/tokens", json={"auth": auth}, trust_env=False)
    assert answer.status_code == 200, answer.text
    catalog = answer.json()["access"]["serviceCatalog"]
    tenant = answer.json()["access"]["token"]["tenant"]["id"]
    return {item["type"]: item["endpoints"][0]["publicURL"].replace(tenant, "TENANT") for item in catalog}


def add_admin(made: Parts) -> None:
    assert made.database is not None
    site = Site(made.conf, made.database, Wish(None, "swordfish"), Wish(None))
    for step in ADMIN_STEPS:
        site.notes.append(step.run(site).value)


def test_catalog_names_the_urls_of_the_configuration_and_its_own_address(
    tmp_path: Path, local_database: Database
) -> None:
    made = parts(
        tmp_path, local_database, "compute_url = https://api.example.org:8774/v2/%(tenant_id)s\nvolume_url =\n"
    )
    made.conf.set_override("public_url", "http://127.0.0.1:1", group="identity")
    add_admin(made)
    made.conf.clear_override("public_url", group="identity")
    manager = make_manager(made)
    manager.start()
    try:
        assert catalog_of(manager) == {
            "compute": "https://api.example.org:8774/v2/TENANT",
            "image": "http://127.0.0.1:9292",
            "ec2": "http://127.0.0.1:8773/services/Cloud",
            "identity": f"{manager.url}/v2.0",
        }
        manager.report()
    finally:
        manager.stop()
    assert stat.S_IMODE((tmp_path / "identity-token.key").stat().st_mode) == 0o600


def test_port_that_is_taken_key_that_is_none_and_plaintext_beyond_loopback_are_reasons_not_to_start(
    tmp_path: Path, local_database: Database
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ManagerError, match=f"cannot listen on http://127.0.0.1:{port}: "):
            make_manager(parts(tmp_path, local_database, f"port = {port}"))
    with pytest.raises(
        ManagerError, match=r"cannot listen on http://0\.0\.0\.0:0: beyond loopback it takes a certificate"
    ):
        make_manager(parts(tmp_path, local_database, "listen = 0.0.0.0"))
    (tmp_path / "bad.key").write_text("x")
    with pytest.raises(ManagerError, match="cannot use token key"):
        make_manager(parts(tmp_path, local_database, f"token_key_file = {tmp_path}/bad.key"))


@pytest.mark.parametrize(
    "options",
    [
        "compute_url = ftp://x",
        "compute_url = http://x/%(tenant)s",
        "compute_url = http://x y",
        "public_url = here",
        "region = a b",
        "token_expiration_s = 0",
        "max_password_checks = 0",
        "port = 70000",
    ],
)
def test_option_that_makes_no_sense_is_told(tmp_path: Path, local_database: Database, options: str) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot use option \[identity\] "):
        parts(tmp_path, local_database, options)


MAIN = "from cloud.services.identity.daemon import main; main()"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def is_served(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 300
    except httpx.HTTPError:
        return False


def test_process_serves_until_it_is_told_to_stop(tmp_path: Path, local_database: Database) -> None:
    port = free_port()
    options = f"port = {port}\n[DEFAULT]\ntransport_url = redis+socket://{tmp_path}/no-redis.sock\n"
    options += "graceful_shutdown_timeout = 0.2\nreport_interval = 1\nverbose = True\n"
    add_admin(parts(tmp_path, local_database, options))
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-c", MAIN, "--config-file", str(tmp_path / "identity.conf")]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(lambda: is_served(f"http://127.0.0.1:{port}/"), 30, "identity to answer")
        auth = {"passwordCredentials": {"username": "admin", "password": "swordfish"}, "tenantName": "admin"}
        answer = httpx.post(f"http://127.0.0.1:{port}/v2.0/tokens", json={"auth": auth}, trust_env=False, timeout=20)
        assert answer.status_code == 200
        token = answer.json()["access"]["token"]["id"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    text = (tmp_path / "log").read_text()
    assert "signed in" in text
    assert [secret for secret in ("swordfish", token) if secret in text] == []


def test_process_whose_port_is_taken_says_so_in_one_line_and_exits_1(tmp_path: Path, local_database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        parts(
            tmp_path, local_database, f"port = {port}\n[DEFAULT]\ntransport_url = redis+socket://{tmp_path}/none.sock\n"
        )
        command = [sys.executable, "-c", MAIN, "--config-file", str(tmp_path / "identity.conf")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env={**os.environ})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"identity: cannot listen on http://127.0.0.1:{port}: ")
