"""Instances that are ready to move: booted where they begin, and moved already where a move is to be ended."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor

from tests.kills.evidence import VERSION
from tests.kills.moves import Move
from tests.kills.site import Site, zone_of

CLIENTS = 6
READY_S = 240.0
TINY = "1"


class NoneLeftError(Exception):
    """There is no instance for a move any more, and its host can have no new one."""


class Instances:
    """Each is used once."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._image = site.api.image_id()
        self._ready: dict[str, list[str]] = defaultdict(list)
        self._number = 0

    def prepare(self, moves: Iterable[Move]) -> None:
        """One for each of the moves; return when all are ready."""
        wanted = list(moves)
        first = self._number
        self._number += len(wanted)
        with ThreadPoolExecutor(CLIENTS) as pool:
            made = list(pool.map(self._boot, range(first, self._number), wanted))
            self._wait(made, "ACTIVE")
            moved = [(move.after, uuid) for move, uuid in zip(wanted, made, strict=True) if move.after is not None]
            for begun in [pool.submit(self._move, move, uuid) for move, uuid in moved]:
                begun.result()
        self._wait([uuid for _, uuid in moved], "VERIFY_RESIZE")
        for move, uuid in zip(wanted, made, strict=True):
            self._ready[move.name].append(uuid)

    def take(self, move: Move) -> str:
        """The uuid of one that is ready, or is made so."""
        if not self._ready[move.name]:
            if move.hosts[0] in self._site.failed:
                raise NoneLeftError(f"no instance is left for {move.name}")
            self.prepare([move])
        return self._ready[move.name].pop()

    def _boot(self, number: int, move: Move) -> str:
        host = move.hosts[0]
        server = {
            "name": f"kills-{number:03}",
            "imageRef": self._image,
            "flavorRef": TINY,
            "availability_zone": f"{zone_of(host)}:{host}",
        }
        return str(self._site.api.post("/servers", {"server": server}).json()["server"]["id"])

    def _move(self, move: Move, uuid: str) -> None:
        self._site.api.post(f"/servers/{uuid}/action", move.request, version=VERSION)

    def _wait(self, uuids: Collection[str], status: str) -> None:
        """For all to have it."""

        def have_it() -> bool:
            servers = self._site.api.get("/servers/detail?limit=1000")["servers"]
            return set(uuids) <= {server["id"] for server in servers if server["status"] == status}

        if uuids:
            self._site.wait(have_it, READY_S, f"{len(uuids)} instances to be {status}")
