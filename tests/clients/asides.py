"""What comments of a session ask for: to wait as an operator would, who asks again and again, and faults to cope with.

# until NAME is STATE                      that server is in that state, `booted` or `gone`
# until migration of NAME is STATUS        the newest one of that server
# until SERVICE on HOST is up              or `down`
# until log of HOST has MESSAGE of NAME    begins a line of that server, since the host is back
# NAME runs on HOST                        a new server
# HOST fails                               all that runs there ends, but for its instances
# HOST is back
# knobs of HOST: KNOBS                     those of its simulated hypervisor from now on; none: as nothing was
"""

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from cloud.logs.query.client import CollectorClient
from cloud.up.machine import Machine

WAIT_S = 30.0
POLL_S = 0.2


class Asides:
    """Of one cloud."""

    def __init__(self, machine: Machine, admin: httpx.Client) -> None:
        """`admin` is signed in at nova-api."""
        self._machine = machine
        self._admin = admin
        self._started_at: dict[str, datetime] = {}
        self._kinds: Mapping[str, Callable[..., None]] = {
            r"until migration of (?P<name>\S+) is (?P<status>\S+)": self._until_migration,
            r"until (?P<binary>\S+) on (?P<host>\S+) is (?P<state>up|down)": self._until_service,
            r"until log of (?P<host>\S+) has (?P<message>.+) of (?P<name>\S+)": self._until_logged,
            r"until (?P<name>\S+) is (?P<state>\S+)": self._until_server,
            r"(?P<name>\S+) runs on (?P<host>compute-\d+)": self._boot,
            r"(?P<host>compute-\d+) fails": machine.fail_host,
            r"(?P<host>compute-\d+) is back": self._start_host,
            r"knobs of (?P<host>\S+): (?P<knobs>.*)": self._turn_knobs,
        }

    def __call__(self, line: str) -> None:
        """TimeoutError says what is, in place of what was waited for."""
        for pattern, do in self._kinds.items():
            if match := re.fullmatch(f"# {pattern}", line):
                do(**match.groupdict())
                return

    def _until_server(self, name: str, state: str) -> None:
        self._until(state, lambda: self._state(name, asks_console=state == "booted"), name)

    def _until_migration(self, name: str, status: str) -> None:
        uuid = self._server(name)["id"]
        self._until(status, lambda: self._newest_migration(uuid), f"migration of {name}")

    def _until_service(self, binary: str, host: str, state: str) -> None:
        self._until(state, lambda: self._service_state(binary, host), f"{binary} on {host}")

    def _until_logged(self, host: str, message: str, name: str) -> None:
        uuid = self._server(name)["id"]

        def said() -> str:
            return message if any(each.startswith(message) for each in self._said(host, uuid)) else "silent"

        self._until(message, said, f"log of {host}")

    def _boot(self, name: str, host: str) -> None:
        (image,) = self._get("/images", "images", name="hello")
        server = {"name": name, "imageRef": image["id"], "flavorRef": "1", "availability_zone": f"nova:{host}"}
        self._admin.post("/servers", json={"server": server}).raise_for_status()
        self._until_server(name, "ACTIVE")

    def _start_host(self, host: str) -> None:
        self._started_at[host] = datetime.now(UTC)
        self._machine.start_host(host)

    def _turn_knobs(self, host: str, knobs: str) -> None:
        file = self._machine.tree(host) / "var/lib/nova/simulated/knobs.toml"
        new = file.with_suffix(".new")
        new.write_text("" if knobs == "none" else f"{knobs}\n")
        new.replace(file)

    def _until(self, wanted: str, look: Callable[[], str], what: str) -> None:
        until_s = time.monotonic() + WAIT_S
        while (found := look()) != wanted:
            if time.monotonic() >= until_s:
                raise TimeoutError(f"{what} is {found}, not {wanted}, after {WAIT_S:g} s")
            self._machine.watch()  # nobody who died comes back but by himself
            time.sleep(POLL_S)

    def _state(self, name: str, *, asks_console: bool) -> str:
        server = self._server(name)
        if server is None:
            return "gone"
        if server["OS-EXT-STS:task_state"]:
            return str(server["OS-EXT-STS:task_state"])
        if not asks_console:
            return str(server["status"])
        body = {"os-getConsoleOutput": {"length": None}}
        answer = self._admin.post(f"/servers/{server['id']}/action", json=body).raise_for_status()
        return "booted" if "login:" in answer.json()["output"] else "booting"

    def _server(self, name: str) -> Any:
        """None where there is none of that name."""
        servers = self._get("/servers/detail", "servers", name=name)
        return next((server for server in servers if server["name"] == name), None)

    def _newest_migration(self, uuid: str) -> str:
        migrations = self._get("/os-migrations", "migrations", instance_uuid=uuid)
        return str(migrations[0]["status"]) if migrations else "none"

    def _service_state(self, binary: str, host: str) -> str:
        (service,) = self._get("/os-services", "services", binary=binary, host=host)
        return str(service["state"])

    def _said(self, host: str, uuid: str) -> list[str]:
        since = self._started_at.get(host)
        with CollectorClient(self._machine.http_url) as client:
            rows = client.rows({"host": host, "instance": uuid})
        is_new = [row for row in rows if since is None or datetime.fromisoformat(row["timestamp"]) >= since]
        return [row["message"] for row in is_new]

    def _get(self, path: str, key: str, **query: str) -> Any:
        return self._admin.get(path, params=query).raise_for_status().json()[key]
