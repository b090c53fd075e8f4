"""Numbered lines of a cloud's eight hosts, from a seed: the same seed gives the same bytes, another one other ids.

48 % have a JSON body as cloud.logs.emit writes it, the others nova's plain text; 4 % have further structured data;
3 in 1,000 are RFC 3164, which has no place for an identity. Hosts take turns, the lines of a request stand close by.
"""

import json
import random
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from bench.scenes import ASIDES, COMPUTE, CONTROLLER, ERR, ERRORS, LEVELS, TRACEBACK, WARNINGS, Saying
from cloud.logs.facilities import FACILITIES, facility_number

HOSTS = ("controller-01", "controller-02", *(f"compute-{number:02}" for number in range(1, 7)))

BEGIN = datetime(2026, 1, 15, 8, tzinfo=UTC)
_GAP_US = 200  # 5,000 messages a second
_JSON_SHARE = 0.48
_DATA_SHARE = 0.04
_RFC3164_SHARE = 0.003
_ASIDES = ((ASIDES, 0.025), (WARNINGS, 0.03), (ERRORS, 0.012))  # and how often
_SWITCH_SHARE = 0.2  # how often a host goes on with the other of its two requests
_PROJECTS, _INSTANCES, _IMAGES = 40, 60, 12
_INSTANCE_CHANGES = 0.15  # how often a request is about a new instance
_DATA = (
    '[origin@32473 software="nova" swVersion="22.4.1"]',
    '[job@32473 name="nightly \\"full\\" audit" share="\\\\\\\\nas-02\\\\images"]',
    '[timeQuality tzKnown="1" isSynced="1" syncAccuracy="60000"]',
)
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_PRIORITIES = {service: facility_number(facility) * 8 for service, facility in FACILITIES.items()}


class Line(NamedTuple):
    """A message without its frame, and the number of its host in HOSTS."""

    host: int
    payload: bytes


def corpus(messages: int, seed: int, begin: datetime = BEGIN) -> Iterator[Line]:
    """`messages` lines in order of time from `begin` on; the numbers of a host ascend from 1."""
    rng = random.Random(seed)  # noqa: S311 - a corpus, not a secret
    users = [(_hex(rng), _hex(rng)) for _ in range(_PROJECTS)]
    images = [f"{rng.getrandbits(160):040x}" for _ in range(_IMAGES)]
    hosts = [_Host(name, users, images, rng) for name in HOSTS]
    now = begin
    for _ in range(messages):
        now += timedelta(microseconds=rng.randrange(2 * _GAP_US))
        host = rng.randrange(len(hosts))
        yield Line(host, hosts[host].line(now).encode())


@dataclass(frozen=True, slots=True)
class _Request:
    """What all lines of one request carry."""

    request_id: str
    user: str | None
    project: str | None
    instance: str | None
    image: str
    peer: str
    is_json: bool


class _Host:
    """One host in one life of its rsyslogd: what its services say next."""

    def __init__(self, name: str, users: list[tuple[str, str]], images: list[str], rng: random.Random) -> None:
        self._name, self._users, self._images, self._rng = name, users, images, rng
        self._scenes = CONTROLLER if name.startswith("controller") else COMPUTE
        self._weights = [scene.weight for scene in self._scenes]
        self._instances = [_uuid(rng) for _ in range(_INSTANCES)]
        self._procids = {service: rng.randrange(900, 30_000) for service in FACILITIES}
        self._identity = f'[line@32473 host="{name}" start="{_uuid(rng)}" n="'
        self._number = 0
        self._open: deque[deque[tuple[_Request, Saying]]] = deque([deque(), deque()])

    def line(self, now: datetime) -> str:
        """The next message; its number is one more than that of the one before."""
        if self._rng.random() < _SWITCH_SHARE:
            self._open.rotate()
        if not self._open[0]:
            self._open[0].extend(self._request())
        request, saying = self._open[0].popleft()
        body = self._json(request, saying) if request.is_json else self._plain(request, saying)
        priority = _PRIORITIES[saying.service] + saying.severity
        procid = self._procids[saying.service]
        if self._rng.random() < _RFC3164_SHARE:
            return f"<{priority}>{now:%b} {now.day:2} {now:%H:%M:%S} {self._name} {saying.service}[{procid}]: {body}"
        self._number += 1
        data = f'{self._identity}{self._number}"]'
        if self._rng.random() < _DATA_SHARE:
            data = self._rng.choice(_DATA) + data
        time = now.isoformat(timespec="microseconds")
        return f"<{priority}>1 {time} {self._name} {saying.service} {procid} - {data} {body}"

    def _request(self) -> Iterator[tuple[_Request, Saying]]:
        """The lines of a new request, and what its services say beside them."""
        rng = self._rng
        scene = rng.choices(self._scenes, self._weights)[0]
        user, project = rng.choice(self._users) if scene.has_user else (None, None)
        if rng.random() < _INSTANCE_CHANGES:
            self._instances[rng.randrange(_INSTANCES)] = _uuid(rng)
        request = _Request(
            request_id=f"req-{_uuid(rng)}",
            user=user,
            project=project,
            instance=rng.choice(self._instances) if scene.has_instance else None,
            image=rng.choice(self._images),
            peer=rng.choice(HOSTS[2:]),
            is_json=rng.random() < _JSON_SHARE,
        )
        for saying in scene.sayings:
            yield request, saying
            for asides, share in _ASIDES:
                if rng.random() < share:
                    yield request, rng.choice(asides).by(saying.service)

    def _plain(self, request: _Request, saying: Saying) -> str:
        instance = f"[instance: {request.instance}] " if request.instance else ""
        who = f"{request.request_id} {request.user or '-'} {request.project or '-'} - - -"
        return f"{saying.logger} [{who}] {instance}{self._filled(saying.text, request)}"

    def _json(self, request: _Request, saying: Saying) -> str:
        body: dict[str, object] = {
            "message": self._filled(saying.text, request),
            "level": LEVELS[saying.severity],
            "logger": saying.logger,
            "request_id": request.request_id,
        }
        if request.user:
            body |= {"user": request.user, "project": request.project}
        if request.instance:
            body["instance"] = request.instance
        body["src"] = saying.src
        if saying.severity <= ERR:
            traceback = self._filled(TRACEBACK, request)
            body |= {"exc_type": "PortError", "exc_message": traceback.rpartition("PortError: ")[2]}
            body["traceback"] = traceback
        if saying.event:
            body["event"] = saying.event
        if saying.field:
            body[saying.field] = round(self._rng.expovariate(0.5), 6)
        return "@cee: " + _JSON.encode(body)

    def _filled(self, text: str, request: _Request) -> str:
        rng = self._rng
        return text.format(
            address=f"10.11.{rng.randrange(4)}.{rng.randrange(1, 255)}",
            seconds=f"{rng.expovariate(0.5):.7f}",
            number=rng.randrange(200, 16_384),
            count=rng.randrange(1, 17),
            status=200 if rng.random() < 0.97 else 404,
            project=request.project,
            instance=request.instance,
            image=request.image,
            peer=request.peer,
        )


def _hex(rng: random.Random) -> str:
    return f"{rng.getrandbits(128):032x}"


def _uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
