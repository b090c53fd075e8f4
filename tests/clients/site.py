"""A whole cloud for the clients: a controller and two compute hosts, with users, flavors, and a disk to upload."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from cloud.services.identity.openrc import read_openrc
from cloud.services.image.first_image import first_image
from cloud.up.accounts import OPENRC
from cloud.up.machine import Machine, Settings
from tests.clients.transcript import Mask, Shell
from tests.clients.venv import client_bin

WAIT_S = 30.0
POLL_S = 0.2
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGv3mNcu1sXcqMPfVEeqdL2hFCjRbyvKGdWQ8vHjGLrK operator@example\n"


@contextmanager
def running_cloud(directory: Path) -> Iterator[Machine]:
    """Two compute hosts of 8 processors, 16 GiB and 100 GiB each."""
    settings = Settings(host_size={"vcpus": 8, "memory_mb": 16384, "disk_gb": 100})
    with Machine(directory, settings) as machine:
        machine.start()
        machine.wait_until_services_are_up()
        yield machine


def shell_of(machine: Machine, client: str, directory: Path) -> Shell:
    """A shell of the cloud's admin, where `hello.raw` and `key.pub` lie."""
    (directory / "hello.raw").write_bytes(first_image())
    (directory / "key.pub").write_text(PUBLIC_KEY)
    openrc = read_openrc(machine.directory / OPENRC)
    environment = {
        **openrc,
        "PATH": "/usr/bin:/bin",
        "HOME": str(directory),
        "COLUMNS": "200",
        "PYTHONWARNINGS": "ignore",
    }
    return Shell(client_bin(client), environment, directory, Waiting(machine, openrc).wait)


def mask_of(machine: Machine) -> Mask:
    return Mask({url: f"http://{name}" for name, url in urls_of(machine).items()})


def urls_of(machine: Machine) -> dict[str, str]:
    return {"compute": machine.compute_url, "identity": machine.identity_url, "image": machine.image_url}


class Waiting:
    """Waits as an operator would: asks again and again."""

    def __init__(self, machine: Machine, openrc: dict[str, str]) -> None:
        self._machine = machine
        self._openrc = openrc

    def wait(self, name: str, state: str) -> None:
        """Until the server `name` is `state`, `booted` or `gone`; TimeoutError says what it is instead."""
        with self._signed_in() as client:
            until_s = time.monotonic() + WAIT_S
            while (found := self._state(client, name, asks_console=state == "booted")) != state:
                if time.monotonic() >= until_s:
                    raise TimeoutError(f"{name} is {found}, not {state}, after {WAIT_S:g} s")
                time.sleep(POLL_S)

    def _state(self, client: httpx.Client, name: str, *, asks_console: bool) -> str:
        servers = client.get("/servers/detail", params={"name": name}).raise_for_status().json()["servers"]
        if not servers:
            return "gone"
        [server] = [server for server in servers if server["name"] == name]
        if server["OS-EXT-STS:task_state"]:
            return str(server["OS-EXT-STS:task_state"])
        if not asks_console:
            return str(server["status"])
        body = {"os-getConsoleOutput": {"length": None}}
        answer = client.post(f"/servers/{server['id']}/action", json=body).raise_for_status()
        return "booted" if "login:" in answer.json()["output"] else "booting"

    @contextmanager
    def _signed_in(self) -> Iterator[httpx.Client]:
        credentials = {"username": self._openrc["OS_USERNAME"], "password": self._openrc["OS_PASSWORD"]}
        body = {"auth": {"passwordCredentials": credentials, "tenantName": self._openrc["OS_TENANT_NAME"]}}
        with httpx.Client(trust_env=False, timeout=30) as client:
            access = client.post(f"{self._openrc['OS_AUTH_URL']}/tokens", json=body).raise_for_status().json()["access"]
            client.base_url = httpx.URL(f"{self._machine.compute_url}/v2/{access['token']['tenant']['id']}")
            client.headers["X-Auth-Token"] = access["token"]["id"]
            yield client
