"""What the OpenAPI document allows, and some that it forbids -> requests to a cloud in which their ids are known."""

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import httpx
from hypothesis import core, strategies
from hypothesis.internal import entropy
from hypothesis.internal.conjecture import engine
from hypothesis.strategies._internal import collections
from hypothesis.strategies._internal import core as strategies_core
from requests import Request

from cloud.db.instances import NewInstance
from cloud.db.quotas import QuotaLimits
from cloud.domain.flavor import Flavor
from cloud.domain.instance import TaskState, VmState
from cloud.domain.keypair import NewKeypair
from cloud.domain.migration import MigrationStatus, MigrationType
from cloud.domain.system_metadata import with_tags
from cloud.logs.emit import request_context
from cloud.web.server import App
from tests.api.conftest import ADMIN, CALLERS, CIRROS, HOST, MEMBER, NETWORK, OTHER_PROJECT, PROJECT, ZONE, Site, image
from tests.api.test_key_material import ED25519
from tests.api.test_keypairs import FINGERPRINT
from tests.services.said import Line


@contextmanager
def _hypothesis_untouched() -> Iterator[None]:
    """What is imported within changes nothing of hypothesis: schemathesis has it print no counterexamples, of no test."""
    modules = (core, entropy, engine, collections, strategies_core)
    known = [dict(vars(module)) for module in modules]
    yield
    for module, names in zip(modules, known, strict=True):
        vars(module).update(names)


with _hypothesis_untouched():
    import schemathesis
    import schemathesis.generation.hypothesis.builder
    from schemathesis import Case, GenerationMode
    from schemathesis.core.result import Err

Document = Mapping[str, Any]

SERVER = "9168b536-cd40-4630-b43f-b259807c6e87"
STOPPED = "4e8e5957-649f-477b-9e5b-f1f75b21c03c"
RESIZED = "5c1f1a44-1f0e-4a67-8a3d-0b6f0a0d7a11"
MIGRATING = "b7a1c6de-35c9-4b7a-9a55-6f2d1a1c9e02"
BROKEN = "c3d2b8aa-6d1f-4c0a-8f5e-2b7c9e4d1f03"
"""On a host that is down."""
OTHERS = "a0c5a2a4-3f0c-4b0e-9c5c-6f1d1f1d1f1d"
DELETED = "0d8fb9e4-5a1b-4c3d-8e7f-112233445566"
PRIVATE_FLAVOR = "private1"
SPARE_HOST = "HostC"
BROKEN_HOST = "HostD"
MIGRATION_ID = "1"
KEY = "role"
"""Of whatever has keys: a server, an image, a flavor."""
TAG = "blue"
REQUEST_ID = "req-7d2c1e5e-7b0a-4c3f-9d3e-0f1e2d3c4b5a"

_FLAVORS = ["1", PRIVATE_FLAVOR]
_KNOWN_IN_PATHS: Mapping[str, list[str]] = {
    "server_id": [SERVER, STOPPED, RESIZED, MIGRATING, BROKEN, OTHERS, DELETED],
    "migration_id": [MIGRATION_ID],
    "uuid": [SERVER, DELETED],
    "request_id": [REQUEST_ID],
    "flavorid": _FLAVORS,
    "image_id": [CIRROS],
    "aggregate_id": ["1", "2"],
    "host": [HOST, SPARE_HOST],
    "hypervisor_id": ["1"],
    "pattern": [HOST],
    "service_id": ["1"],
    "project_id": [PROJECT, OTHER_PROJECT],
    "name": ["key1", "default"],
    "alias": ["os-keypairs"],
    "key": [KEY],
    "tag": [TAG],
    "network": [NETWORK],
}
_KNOWN_IN_BODIES: Mapping[str, list[Any]] = {
    "name": ["vm2", "key2"],
    "imageRef": [CIRROS],
    "flavorRef": _FLAVORS,
    "key_name": ["key1"],
    "public_key": [ED25519],
    "availability_zone": [ZONE],
    "accessIPv4": ["10.0.0.9"],
    "accessIPv6": ["fd00::9"],
    "same_host": [SERVER],
    "different_host": [SERVER],
    "host": [HOST, SPARE_HOST],
    "block_migration": ["auto", False],
    "binary": ["nova-compute"],
    "tenant": [PROJECT, OTHER_PROJECT],
    "disabled_reason": ["a disk is broken"],
    "meta": [{KEY: "db"}],
    "metadata": [{KEY: "db"}, {}],
    "extra_specs": [{KEY: "db"}],
    "tags": [[TAG, "big"]],
    "user_data": ["aGVsbG8="],
    "networks": [[{"uuid": NETWORK}]],
    "security_groups": [[{"name": "default"}]],
    "personality": [[{"path": "/etc/motd", "contents": "aGVsbG8="}]],
}
_KNOWN_IN_QUERIES: Mapping[str, list[str]] = {
    "start": ["2014-10-01T00:00:00"],
    "end": ["2014-11-01T00:00:00"],
    "detailed": ["1"],
    "host": [HOST, BROKEN_HOST],
    "status": ["running", "finished"],
    "hidden": ["0", "1"],
    "instance_uuid": [MIGRATING],
    "source_compute": [HOST],
    "migration_type": ["live-migration", "resize"],
}
_ACTIONS = frozenset({"FlavorAction", "AggregateAction", "HostUpdate", "ServerAction"})
"""Bodies of one key, which says what is to be done."""
_NEEDED = frozenset({"imageRef"})
"""What the document lets out for the sake of disks, which this cloud does not have."""
_LEFT_OUT = frozenset({"block_device_mapping", "block_device_mapping_v2", "maintenance_mode"})
_LISTS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "GET /servers": {
        "limit": ("1", "0"),
        "marker": (SERVER,),
        "status": ("ACTIVE", "DELETED", "SHUTOFF"),
        "name": ("vm", "("),
        "image": (CIRROS,),
        "flavor": _FLAVORS,
        "ip": ("10.0", "("),
        "changes-since": ("2014-10-16T12:00:00Z", "0001-01-01T00:00:00+01:00"),
        "all_tenants": ("1",),
        "deleted": ("true",),
        "host": (HOST,),
        "sort_key": ("display_name", "created_at", "uuid"),
        "sort_dir": ("asc", "desc"),
        "tags": (TAG,),
    },
    "GET /flavors": {
        "limit": ("1", "0"),
        "marker": _FLAVORS,
        "minRam": ("512",),
        "minDisk": ("1",),
        "is_public": ("true", "none"),
        "sort_key": ("name", "memory_mb"),
        "sort_dir": ("desc",),
    },
    "GET /os-migrations": {
        "limit": ("1", "0"),
        "marker": (MIGRATION_ID,),
        "cell_name": ("nova",),
    },
    "GET /images": {
        "limit": ("1", "0"),
        "marker": (CIRROS,),
        "status": ("ACTIVE",),
        "name": ("cirros",),
        "server": (SERVER, f"http://api:8774/v2/{PROJECT}/servers/{SERVER}"),
        "type": ("snapshot",),
        "minDisk": ("1",),
        "changes-since": ("2014-10-16T12:00:00Z",),
    },
}
"""What lists are narrowed by: routes read these from the address themselves, and the document does not have them."""


def plant(site: Site) -> None:
    """One thing of each kind, under the ids above."""
    parts = site.parts
    parts.quotas.set(PROJECT, {"instances": 10_000, "cores": 100_000, "ram": 100_000_000})
    site.report(SPARE_HOST)
    parts.flavors.create(Flavor(0, PRIVATE_FLAVOR, "p1.tiny", 512, 1, 1, is_public=False))
    parts.flavors.add_access(PRIVATE_FLAVOR, PROJECT)
    for flavorid in _FLAVORS:
        parts.flavors.set_extra_specs(flavorid, {KEY: "web"})
    flavor = parts.flavors.get("1")
    unlimited = QuotaLimits(-1, -1, -1)
    theirs = [(uuid, PROJECT) for uuid in (SERVER, STOPPED, RESIZED, MIGRATING, BROKEN, DELETED)]
    for uuid, project in (*theirs, (OTHERS, OTHER_PROJECT)):
        new = NewInstance(
            uuid=uuid,
            project_id=project,
            user_id="joecool",
            display_name="vm1",
            flavor=flavor,
            reservation_id="r-1",
            image_id=CIRROS,
            key_name="key1",
            key_data=ED25519,
            metadata={KEY: "web"},
            system_metadata=with_tags({}, [TAG]),
        )
        (made,) = parts.instances.create([new], unlimited)
        site.run(made)
        with request_context(request_id=REQUEST_ID):
            parts.actions.start(uuid, "create")
        site.clock.advance(1)
    site.run(parts.instances.get(STOPPED), vm_state="stopped", power_state=4)
    parts.instances.delete(DELETED)
    _plant_moves(site)
    for user in ("joecool", "admin"):
        parts.keypairs.create(NewKeypair(user, "key1", "ssh", FINGERPRINT, ED25519))
    parts.aggregates.create("agg1", ZONE)
    parts.aggregates.create("agg2")
    parts.aggregates.add_host(1, HOST)
    site.images.images = {CIRROS: image(CIRROS, properties={KEY: "web"})}
    site.compute.answers |= {"host_uptime": " 12:00 up 3 days", "get_console_output": "login:"}


def _plant_moves(site: Site) -> None:
    """A live migration that runs, a resize that waits, and a server on a host that is down."""
    parts = site.parts
    moving = parts.instances.update(MIGRATING, {"task_state": TaskState.MIGRATING})
    site.migrating(moving, status=MigrationStatus.RUNNING, dest_compute=SPARE_HOST)
    resized = parts.instances.update(RESIZED, {"vm_state": VmState.RESIZED})
    site.migrating(resized, MigrationType.RESIZE, status=MigrationStatus.FINISHED, dest_compute=SPARE_HOST)
    site.report(BROKEN_HOST)
    site.down(BROKEN_HOST)
    parts.instances.update(BROKEN, {"host": BROKEN_HOST})


def without_unknown_keys(document: Document) -> dict[str, Any]:
    """The same document, with no keys beyond those that it names: since 2.1, any request with one is refused."""
    schemas = {
        name: {"additionalProperties": False, **schema} if "properties" in schema else schema
        for name, schema in document["components"]["schemas"].items()
    }
    return {**document, "components": {"schemas": schemas}, "servers": [{"url": "/"}]}


def with_known_ids(document: Document) -> dict[str, Any]:
    """The same document, with what is planted as the only values of whatever names a thing, and without null."""
    paths = {
        path: {method: _aimed(operation) for method, operation in operations.items()}
        for path, operations in document["paths"].items()
    }
    schemas = {name: _named(name, schema) for name, schema in document["components"]["schemas"].items()}
    return {**document, "paths": paths, "components": {"schemas": schemas}}


def _aimed(operation: Document) -> dict[str, Any]:
    known = {"path": _KNOWN_IN_PATHS, "query": _KNOWN_IN_QUERIES}
    parameters = [
        {**parameter, "schema": {"enum": known[parameter["in"]][parameter["name"]]}}
        if parameter["name"] in known[parameter["in"]]
        else parameter
        for parameter in operation.get("parameters", ())
    ]
    return {**operation, "parameters": parameters}


def _named(name: str, schema: Document) -> Document:
    if "patternProperties" in schema:  # one key, the same as in the path
        return {"enum": [{KEY: "db"}]}
    if "properties" not in schema:
        return schema
    properties = {
        key: {"enum": _KNOWN_IN_BODIES[key]} if key in _KNOWN_IN_BODIES else _without_null(value)
        for key, value in schema["properties"].items()
        if key not in _LEFT_OUT
    }
    needed = {*schema.get("required", ()), *(_NEEDED & properties.keys())}
    one = {"minProperties": 1, "maxProperties": 1} if name in _ACTIONS else {}
    return {**schema, **one, "properties": properties, "required": sorted(needed)}


def _without_null(schema: Document) -> Document:
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    return {"anyOf": choices} if choices else schema


@dataclass(frozen=True, slots=True)
class Aimed:
    """One call of the API, and what it is asked with."""

    label: str
    resource: str
    """The first part of its path."""
    cases: strategies.SearchStrategy[Case[Any]]
    queries: strategies.SearchStrategy[dict[str, str]]
    """What comes into the address besides."""


def aimed_at(document: Document, resource: str) -> Iterator[Aimed]:
    """The calls of one resource.

    Half of their cases are for what is planted, a quarter for anything that the document allows, a quarter for what
    it forbids.
    """
    closed = without_unknown_keys(document)
    aimed, free = map(schemathesis.openapi.from_dict, (with_known_ids(closed), closed))
    for found in aimed.get_all_operations():
        if isinstance(found, Err):
            raise found.err()
        operation = found.ok()
        if operation.path.split("/")[1] != resource:
            continue
        planted = operation.as_strategy(GenerationMode.POSITIVE)
        anything = free[operation.path][operation.method]
        allowed, forbidden = map(anything.as_strategy, (GenerationMode.POSITIVE, GenerationMode.NEGATIVE))
        cases = strategies.one_of(planted, planted, allowed, forbidden)
        yield Aimed(operation.label, resource, cases, _queries(operation.label))


def _queries(label: str) -> strategies.SearchStrategy[dict[str, str]]:
    """For a list: up to two of what it is narrowed by."""
    known = _LISTS.get(label.removesuffix("/detail"))
    if known is None:
        return strategies.just({})
    pairs = strategies.sampled_from(sorted(known)).flatmap(
        lambda name: strategies.tuples(
            strategies.just(name), strategies.sampled_from(known[name]) | strategies.text(max_size=20)
        )
    )
    return strategies.lists(pairs, max_size=2).map(dict)


@dataclass(frozen=True, slots=True)
class Asking:
    """A version of the API, and who uses it."""

    branch: str
    version: str | None
    token: str

    @property
    def headers(self) -> dict[str, str]:
        named = {} if self.version is None else {"X-OpenStack-Nova-API-Version": self.version}
        return {"X-Auth-Token": self.token, **named}


ASKING = tuple(
    Asking(branch, version, token)
    for branch, version in (("v2", None), ("v2.1", "2.1"), ("v2.1", "2.30"))
    for token in (ADMIN, MEMBER)
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one of them got, and what was logged meanwhile."""

    asking: Asking
    got: httpx.Response
    lines: Sequence[Line]


class PlantedSite:
    """A site that each request finds as it was when this was made."""

    def __init__(self, site: Site, path: Path) -> None:
        """`path` is the file of the site's database."""
        self.site = site
        self._path = path
        self._images = dict(site.images.images)
        self._kept = path.with_suffix(".planted")
        with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(self._kept)) as kept:
            live.backup(kept)

    def answers(self, case: Case[Any], more_query: Mapping[str, str], lines: list[Line]) -> list[Answer]:
        """What `case` is answered in every version to everybody; `more_query` goes into its address too.

        `lines` is where what is logged can be found.
        """
        return asyncio.run(self._answers(case, urlencode(more_query), lines))

    def serving(self, app: App) -> "PlantedSite":
        """The same things behind another application."""
        return PlantedSite(replace(self.site, app=app), self._path)

    async def _answers(self, case: Case[Any], more_query: str, lines: list[Line]) -> list[Answer]:
        transport = httpx.ASGITransport(app=cast("Any", self.site.app))
        answers = []
        async with httpx.AsyncClient(transport=transport) as client:
            for asking in ASKING:
                base_url = f"http://api:8774/{asking.branch}/{CALLERS[asking.token].project_id}"
                sent = Request(**case.as_transport_kwargs(base_url=base_url, headers=asking.headers)).prepare()
                url = f"{sent.url}{'&' if '?' in str(sent.url) else '?'}{more_query}" if more_query else str(sent.url)
                body = sent.body.encode() if isinstance(sent.body, str) else sent.body
                lines.clear()
                got = await client.request(
                    str(sent.method), url, headers=cast("Any", sent.headers), content=cast("Any", body)
                )
                answers.append(Answer(asking, got, tuple(lines)))
                if sent.method != "GET":
                    self._restore()
        return answers

    def _restore(self) -> None:
        with closing(sqlite3.connect(self._path)) as live, closing(sqlite3.connect(self._kept)) as kept:
            live.execute("PRAGMA synchronous = OFF")
            kept.backup(live)
        self.site.images.images = dict(self._images)


def complaints(answer: httpx.Response, lines: Sequence[Line], *, may_be_501: bool = False) -> list[str]:
    """What is wrong with an answer, and with what was logged meanwhile: nothing, with luck."""
    status = answer.status_code
    found = []
    if status >= 500 and not (status == 501 and may_be_501):
        found.append(f"status {status}")
    if status >= 400 and not _is_novas_error(answer):
        found.append(f"no error in nova's shape: {answer.text[:200]}")
    ids = {answer.headers.get(name) for name in ("x-compute-request-id", "x-openstack-request-id")}
    if len(ids) != 1 or not str(ids.pop()).startswith("req-"):
        found.append("request ids that are not there, or not the same")
    found += [f"logged: {message} {fields}" for level, message, fields in lines if level in {"ERROR", "CRITICAL"}]
    return found


def _is_novas_error(answer: httpx.Response) -> bool:
    try:
        body = answer.json()
    except ValueError:
        return False
    if not isinstance(body, dict) or len(body) != 1:
        return False
    (error,) = body.values()
    if not isinstance(error, dict):
        return False
    message = error.get("message")
    return error.get("code") == answer.status_code and isinstance(message, str) and bool(message)
