"""Instances, asked for over HTTP by several clients at once, until each has come to its end."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench.sim.api import Api
from bench.sim.waiting import Patience

CLIENTS = 6
POLL_S = 1.0
STILL_S = 300.0
"""Without one more that has come to its end, so long and no longer."""
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Boots:
    """What was asked for, and what came of it."""

    uuids: tuple[str, ...]
    asked_s: float
    """How long asking took."""
    took_s: float
    """From the first request to the end of the last build."""
    statuses: Counter[str]
    places: Mapping[str, str]
    """The host of each that is active, by uuid."""

    @property
    def per_minute(self) -> float:
        return 60 * len(self.uuids) / self.took_s


def boot(
    api: Api, count: int, forced: Mapping[int, str], watch: Callable[[], None], tell: Callable[[str], None]
) -> Boots:
    """Boot `count` instances, those of the numbers in `forced` on those hosts; TimeoutError when nothing moves."""
    image_id = api.image_id()
    started_s = time.monotonic()

    def ask(number: int) -> str:
        server = {"name": f"sim-{number:05}", "imageRef": image_id, "flavorRef": "1"}
        if number in forced:
            server["availability_zone"] = f"nova:{forced[number]}"
        answer = api.post("/servers", {"server": server})
        return str(answer.json()["server"]["id"])

    with ThreadPoolExecutor(CLIENTS) as pool:
        asked = pool.map(ask, range(count))
        uuids = tuple(asked)
    asked_s = time.monotonic() - started_s
    tell(f"{count} boots asked for in {asked_s:.1f} s")
    patience = Patience("the end of all builds", STILL_S)
    while not is_all_built(api):
        patience.check(api.running())
        watch()
        time.sleep(POLL_S)
    took_s = time.monotonic() - started_s
    servers = list_servers(api)
    statuses = Counter(server["status"] for server in servers)
    places = {each["id"]: each["OS-EXT-SRV-ATTR:host"] for each in servers if each["status"] == "ACTIVE"}
    tell(f"all built after {took_s:.1f} s: {dict(statuses)}")
    return Boots(uuids, asked_s, took_s, statuses, places)


def fill(api: Api, host: str) -> str:
    """Boot one instance more, which takes all that is left of the host's disk; its uuid."""
    hypervisors = api.get("/os-hypervisors/detail")["hypervisors"]
    [left_gb] = [each["local_gb"] - each["local_gb_used"] for each in hypervisors if each["service"]["host"] == host]
    flavor = {"name": "sim.rest", "ram": 512, "vcpus": 1, "disk": left_gb, "id": "sim-rest"}
    api.post("/flavors", {"flavor": flavor})
    server = {
        "name": "sim-rest",
        "imageRef": api.image_id(),
        "flavorRef": "sim-rest",
        "availability_zone": f"nova:{host}",
    }
    uuid = str(api.post("/servers", {"server": server}).json()["server"]["id"])
    patience = Patience(f"the instance that fills {host}", STILL_S)
    while (status := api.get(f"/servers/{uuid}")["server"]["status"]) == "BUILD":
        patience.check(status)
        time.sleep(POLL_S)
    return uuid


def is_all_built(api: Api) -> bool:
    return not api.get("/servers?status=BUILD&limit=1")["servers"]


def list_servers(api: Api) -> Sequence[dict[str, Any]]:
    """All of the project's, page by page."""
    found: list[dict[str, Any]] = []
    marker = ""
    while True:
        page = api.get(f"/servers/detail?limit={PAGE}{marker}")["servers"]
        found += page
        if len(page) < PAGE:
            return found
        marker = f"&marker={page[-1]['id']}"
