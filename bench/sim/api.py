"""The admin at nova-api, as any client would ask it."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from cloud.services.identity.openrc import read_openrc
from cloud.up.accounts import OPENRC
from cloud.up.machine import Machine

TIMEOUT_S = 120.0
MAX_CLIENTS = 64
AGAIN = (429, 503)
"""Answers after which one asks again: the database, the bus or identity was away for the moment."""
TRIES = 30
RETRY_S = 0.5
RENEW_S = 1800.0


class Api:
    """Any thread may ask."""

    def __init__(self, machine: Machine) -> None:
        self._openrc: Mapping[str, str] = read_openrc(machine.directory / OPENRC)
        limits = httpx.Limits(max_connections=MAX_CLIENTS, max_keepalive_connections=MAX_CLIENTS)
        self._http = httpx.Client(trust_env=False, timeout=TIMEOUT_S, limits=limits)
        self._compute_url = machine.compute_url
        self.again = 0
        """How often something had to be asked once more."""
        self._sign_in()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._http.close()

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, version: str = "2.25"
    ) -> httpx.Response:
        """The answer, whatever its status."""
        for attempt in range(TRIES):
            if time.monotonic() > self._renew_at_s:
                self._sign_in()
            headers = {"X-Auth-Token": self._token, "X-OpenStack-Nova-API-Version": version}
            answer = self._http.request(method, f"{self._url}{path}", json=body, headers=headers)
            if answer.status_code not in AGAIN:
                break
            self.again += 1
            time.sleep(RETRY_S * min(attempt + 1, 4))
        return answer

    def get(self, path: str, *, version: str = "2.25") -> Any:
        return self.ask("GET", path, version=version).raise_for_status().json()

    def post(self, path: str, body: Mapping[str, Any], *, version: str = "2.25") -> httpx.Response:
        return self.ask("POST", path, body, version=version).raise_for_status()

    def lift_quotas(self) -> None:
        """Of the admin's own project."""
        unlimited = {"quota_set": dict.fromkeys(("instances", "cores", "ram"), -1)}
        self.ask("PUT", f"/os-quota-sets/{self._project_id}", unlimited).raise_for_status()

    def close_host(self, host: str) -> None:
        """No new instances come there."""
        self.ask("PUT", "/os-services/disable", {"host": host, "binary": "nova-compute"}).raise_for_status()

    def running(self) -> int:
        """Instances that run, as hosts have reported: what costs no more where there are thousands of them."""
        return int(self.get("/os-hypervisors/statistics")["hypervisor_statistics"]["running_vms"])

    def image_id(self) -> str:
        """Of the image that every cloud begins with."""
        return str(self.get("/images?name=hello")["images"][0]["id"])

    def _sign_in(self) -> None:
        openrc = self._openrc
        credentials = {"username": openrc["OS_USERNAME"], "password": openrc["OS_PASSWORD"]}
        body = {"auth": {"passwordCredentials": credentials, "tenantName": openrc["OS_TENANT_NAME"]}}
        token = (
            self._http.post(f"{openrc['OS_AUTH_URL']}/tokens", json=body).raise_for_status().json()["access"]["token"]
        )
        self._token = token["id"]
        self._project_id = token["tenant"]["id"]
        self._url = f"{self._compute_url}/v2.1/{self._project_id}"
        self._renew_at_s = time.monotonic() + RENEW_S
