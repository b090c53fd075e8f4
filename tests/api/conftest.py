"""nova-api in this process, with real tables on SQLite, and in place of whom it asks something that remembers."""

import asyncio
import contextvars
import json
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
from oslo_config import cfg
from starlette.types import Scope

from cloud.db.actions import ActionTable
from cloud.db.aggregates import AggregateTable
from cloud.db.engine import Database
from cloud.db.fixed_ips import FixedIpTable
from cloud.db.flavors import FlavorTable
from cloud.db.hosts import ComputeNodeTable
from cloud.db.instances import InstanceTable
from cloud.db.keypairs import KeypairTable
from cloud.db.migration_records import MigrationTable, NewMigration
from cloud.db.quotas import QuotaTable
from cloud.db.services import ServiceTable
from cloud.domain.caller import Caller
from cloud.domain.expected import Expected
from cloud.domain.flavor import Resources
from cloud.domain.host import BuildRequest, ComputeNode
from cloud.domain.image import ACTIVE, QUEUED, Image, NewImage
from cloud.domain.instance import Instance, PowerState, VmState
from cloud.domain.migration import Migration, MigrationStatus, MigrationType
from cloud.domain.service import ServiceReport
from cloud.errors import CloudError, ImageNotFoundError, UnauthorizedError
from cloud.services.api.app import PUBLIC_PATHS, make_api
from cloud.services.api.caller_token import caller_token
from cloud.services.api.options import API_OPTIONS
from cloud.services.api.parts import ApiParts
from cloud.services.compute.client import ComputeClient
from cloud.services.conductor.client import ConductorClient
from cloud.services.conductor.moves.request import request_of
from cloud.services.image.client import ImageClient
from cloud.web.auth import token_of
from cloud.web.server import App
from tests.db.conftest import LIMITS, Clock
from tests.services.conftest import lines  # noqa: F401 - a fixture
from tests.standing import StandingSqlite

PROJECT = "6f70656e737461636b20342065766572"
OTHER_PROJECT = "36c5c0fbb1d843b6b1b7c5b6c1d2e3f4"
CIRROS = "70a599e0-31e7-49b7-b260-868f441e862b"
MEMBER, ADMIN, OTHER, NOBODY = "member", "admin", "other", "nobody"
"""Tokens: of a member and an admin of PROJECT, of a member of OTHER_PROJECT, and of a user without a role."""
HOST = "HostB"
ZONE = "nova"
NETWORK, CIDR = "private", "10.0.0.0/16"


def _caller(user: str, project: str, *roles: str) -> Caller:
    return Caller(user, user, project, project, frozenset(roles), datetime.now(UTC) + timedelta(days=1))


CALLERS = {
    MEMBER: _caller("joecool", PROJECT, "member"),
    ADMIN: _caller("admin", PROJECT, "member", "admin"),
    OTHER: _caller("jane", OTHER_PROJECT, "member"),
    NOBODY: _caller("nobody", PROJECT),
}


async def authenticate(scope: Scope) -> Caller | None:
    """A token is the name of one of CALLERS."""
    token = token_of(scope)
    if token is None and scope["path"] in PUBLIC_PATHS:
        return None
    if token not in CALLERS:
        raise UnauthorizedError("the token is not, or no longer, good")
    return CALLERS[token]


class Recorder:
    """Takes any call, remembers it, and answers or fails as a test has said."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.answers: dict[str, object] = {}
        self.errors: dict[str, CloudError] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append((name, *arguments, *named.items()))
            if name in self.errors:
                raise self.errors[name]
            return self.answers.get(name)

        return call


class Conductor(Recorder):
    """What ConductorClient offers to nova-api."""

    @property
    def builds(self) -> list[BuildRequest]:
        return [call[1] for call in self.calls if call[0] == "build_instance"]

    @property
    def moves(self) -> list[int]:
        """The ids of migrations that are to be carried out."""
        return [call[1] for call in self.calls if call[0] == "move_instance"]


class Images:
    """What ImageClient offers, from a dictionary; whose token it was asked with is remembered."""

    def __init__(self) -> None:
        self.images = {CIRROS: image(CIRROS)}
        self.tokens: list[str] = []
        self.error: CloudError | None = None

    def show(self, image_id: str) -> Image:
        self._ask()
        if image_id not in self.images:
            raise ImageNotFoundError(f"cannot find image {image_id}")
        return self.images[image_id]

    def list(self, **filters: str) -> list[Image]:
        self._ask()
        return list(self.images.values())

    def create(self, new: NewImage) -> Image:
        self._ask()
        made = replace(
            image(str(uuid4())),
            name=new.name,
            status=QUEUED,
            size=None,
            properties=new.properties,
            min_disk_gb=new.min_disk_gb,
            disk_format=new.disk_format,
            container_format=new.container_format,
            is_public=new.is_public,
        )
        self.images[made.id] = made
        return made

    def change_properties(self, image_id: str, *, set_to: Mapping[str, str], removed: Collection[str] = ()) -> Image:
        known = self.show(image_id)
        kept = {key: value for key, value in known.properties.items() if key not in removed}
        self.images[image_id] = replace(known, properties={**kept, **set_to})
        return self.images[image_id]

    def delete(self, image_id: str) -> None:
        self.show(image_id)
        del self.images[image_id]

    def _ask(self) -> None:
        self.tokens.append(caller_token())
        if self.error is not None:
            raise self.error


def image(image_id: str, **changes: Any) -> Image:
    known = Image(
        id=image_id,
        name="cirros",
        owner=PROJECT,
        is_public=True,
        status=ACTIVE,
        size=13_287_936,
        checksum="ee1eca47dc88f4879d8a229cc70a07c6",
        disk_format="qcow2",
        container_format="bare",
        min_disk_gb=0,
        min_ram_mb=0,
        properties={"architecture": "x86_64"},
        created_at=datetime(2014, 10, 1, tzinfo=UTC),
        updated_at=datetime(2014, 10, 2, tzinfo=UTC),
    )
    return replace(known, **changes)


@dataclass
class Site:
    """All that a test may look at, or move."""

    app: App
    parts: ApiParts
    clock: Clock
    conductor: Conductor
    compute: Recorder
    images: Images
    database: Database
    conf: cfg.ConfigOpts
    runner: asyncio.Runner | None = None
    """What asks from the test's own thread; others, and tests without it, make an event loop for each request."""

    def moves(self) -> list[tuple[int, BuildRequest]]:
        """Of each migration that a conductor is to carry out, its id, and what it wants of a host."""
        migrations = [self.parts.migrations.get(migration_id) for migration_id in self.conductor.moves]
        return [(each.id, request_of(each, self.parts.instances.get(each.instance_uuid))) for each in migrations]

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str = MEMBER,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """One request as `token`; `path` begins with the version, and `{T}` in it is the token's project."""
        project = CALLERS[token].project_id if token in CALLERS else PROJECT
        sent = {"X-Auth-Token": token, **(headers or {})}

        async def exchange() -> httpx.Response:
            transport = httpx.ASGITransport(app=cast("Any", self.app))
            async with httpx.AsyncClient(transport=transport, base_url="http://api:8774") as client:
                url = path.replace("{T}", str(project))
                if content is not None:
                    return await client.request(method, url, headers=sent, content=content)
                if body is None:
                    return await client.request(method, url, headers=sent)
                return await client.request(method, url, headers=sent, json=body)

        if self.runner is None or threading.current_thread() is not threading.main_thread():
            return asyncio.run(exchange())
        return self.runner.run(exchange(), context=contextvars.copy_context())

    def get(self, path: str, version: str | None = None, *, token: str = MEMBER, status: int = 200) -> Any:
        """What a GET answers; of /v2 without a version, of /v2.1 with one."""
        return self._json("GET", path, None, version, token, status)

    def post(
        self, path: str, body: object, version: str | None = None, *, token: str = MEMBER, status: int = 202
    ) -> Any:
        return self._json("POST", path, body, version, token, status)

    def put(
        self, path: str, body: object, version: str | None = None, *, token: str = MEMBER, status: int = 200
    ) -> Any:
        return self._json("PUT", path, body, version, token, status)

    def delete(self, path: str, version: str | None = None, *, token: str = MEMBER, status: int = 204) -> Any:
        return self._json("DELETE", path, None, version, token, status)

    def _json(self, method: str, path: str, body: object, version: str | None, token: str, status: int) -> Any:
        branch, headers = ("/v2", {}) if version is None else ("/v2.1", {"X-OpenStack-Nova-API-Version": version})
        answer = self.ask(method, f"{branch}/{{T}}{path}", body, token=token, headers=headers)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        with suppress(json.JSONDecodeError):
            return answer.json()
        return None

    def boot(self, name: str = "vm1", *, token: str = MEMBER, **more: object) -> Instance:
        """A server that waits for a host, made through the API."""
        server = {"name": name, "imageRef": CIRROS, "flavorRef": "1", **more}
        made = self.post("/servers", {"server": server}, token=token)["server"]
        self.clock.advance(1)
        return self.parts.instances.get(made["id"])

    def run(self, instance: Instance, host: str = HOST, **changes: Any) -> Instance:
        """The same as conductor and compute host leave it: active on `host`, with an address."""
        known = {
            "vm_state": VmState.ACTIVE,
            "task_state": None,
            "power_state": PowerState.RUNNING,
            "host": host,
            "node": f"{host}.example.org",
            "launched_at": self.clock(),
        }
        self.parts.fixed_ips.allocate(instance.uuid, NETWORK, CIDR)
        return self.parts.instances.update(instance.uuid, {**known, **changes})

    def running(self, name: str = "vm1", *, token: str = MEMBER, **changes: Any) -> Instance:
        return self.run(self.boot(name, token=token), **changes)

    def migrating(self, instance: Instance, kind: MigrationType = MigrationType.LIVE, **changes: Any) -> Migration:
        """A migration of the instance as a conductor has left it; `changes` are fields of its row."""
        new = NewMigration(
            instance_uuid=instance.uuid,
            type=kind,
            request_id="req-1",
            source_compute=str(instance.host),
            source_node=instance.node,
            old_flavor=changes.pop("old_flavor", instance.flavor),
            new_flavor=changes.pop("new_flavor", instance.flavor),
            old_vm_state=instance.vm_state,
        )
        now = {"task_state": instance.task_state}
        migration, _ = self.parts.migrations.begin(new, now, Expected())
        return self.parts.migrations.update(migration.id, changes)

    def resized(self, *, old: str = "1", new: str = "2", **changes: Any) -> tuple[Instance, Migration]:
        """A server that was resized from HostC to HOST, which waits to be confirmed or reverted."""
        flavors = self.parts.flavors
        kept: dict[str, Any] = {"flavor": flavors.get(new), "vm_state": VmState.RESIZED}
        instance = self.running(**{**kept, **changes})
        migration = self.migrating(
            replace(instance, host="HostC", node="HostC.example.org", vm_state=VmState.ACTIVE),
            MigrationType.RESIZE,
            old_flavor=flavors.get(old),
            new_flavor=flavors.get(new),
            dest_compute=HOST,
            dest_node=instance.node,
            is_handed_over=True,
            step="post",
            status=MigrationStatus.FINISHED,
        )
        return instance, migration

    def down(self, host: str = HOST) -> None:
        """Have nova-compute of `host` be taken for down."""
        self.parts.services.force_down(host, "nova-compute", is_forced=True)

    def meanwhile(self, monkeypatch: pytest.MonkeyPatch, write: Callable[[Instance], Mapping[str, Any]]) -> None:
        """Have somebody else change the next instance that is read, just after that."""
        get = InstanceTable.get

        def read(table: InstanceTable, uuid: str, **named: Any) -> Instance:
            monkeypatch.setattr(InstanceTable, "get", get)
            instance = get(table, uuid, **named)
            table.update(uuid, write(instance))
            return instance

        monkeypatch.setattr(InstanceTable, "get", read)

    def report(self, host: str = HOST, zone: str = ZONE) -> None:
        """Have nova-compute of `host` say that it is alive, and what it has."""
        report(self.parts, host, zone)


def make_conf(**values: object) -> cfg.ConfigOpts:
    """nova.conf as the defaults have it, but for `values`."""
    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.StrOpt("default_availability_zone", default=ZONE)])
    conf.register_opts([cfg.StrOpt("internal_service_availability_zone", default="internal")])
    conf.register_opts([cfg.IntOpt("service_down_time", default=60)])
    for group, options in API_OPTIONS.items():
        conf.register_opts(options, group=None if group == "DEFAULT" else group)
    conf(args=[], default_config_files=[], default_config_dirs=[])
    for name, value in values.items():
        conf.set_override(name, value)
    return conf


@pytest.fixture
def clock() -> Clock:
    return Clock()


class PartsOfTheTest:
    """Those of the test that runs: an application's routes take longer to make than most tests do, so it is one."""

    def __init__(self) -> None:
        self.current: ApiParts | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.current, name)


@dataclass(frozen=True)
class Stage:
    """What stands through a run of tests, and keeps nothing of any."""

    database: StandingSqlite
    parts: PartsOfTheTest
    app: App
    runner: asyncio.Runner
    """An event loop with threads that wait for work."""


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    parts = PartsOfTheTest()
    parts.current = make_parts(cast("Database", None), Clock(), make_conf())
    app = make_api(cast("ApiParts", parts), authenticate)
    with StandingSqlite(LIMITS, fill) as database, asyncio.Runner() as runner:
        yield Stage(database, parts, app, runner)


def fill(database: Database) -> None:
    """The flavors of old, and one compute host that is up."""
    parts = make_parts(database, Clock(), make_conf())
    parts.flavors.seed()
    report(parts)


@pytest.fixture
def site(stage: Stage, clock: Clock) -> Site:
    """nova-api with five flavors, one image, and one compute host that is up."""
    database = stage.database.restored()
    parts = stage.parts.current = make_parts(database, clock, make_conf())
    return replace(site_of(parts, database, clock, stage.app), runner=stage.runner)


def make_site(database: Database, clock: Clock) -> Site:
    """nova-api on a database of its own, which has its tables."""
    parts = make_parts(database, clock, make_conf())
    return site_of(parts, database, clock, make_api(parts, authenticate))


def site_of(parts: ApiParts, database: Database, clock: Clock, app: App) -> Site:
    return Site(
        app=app,
        parts=parts,
        clock=clock,
        conductor=cast("Conductor", parts.conductor),
        compute=cast("Recorder", parts.compute),
        images=cast("Images", parts.images),
        database=database,
        conf=parts.conf,
    )


def make_parts(database: Database, clock: Clock, conf: cfg.ConfigOpts) -> ApiParts:
    """Real tables, and in place of whom nova-api asks something that remembers."""
    return ApiParts(
        conf=conf,
        instances=InstanceTable(database, clock),
        actions=ActionTable(database, clock),
        flavors=FlavorTable(database, clock),
        keypairs=KeypairTable(database, clock),
        quotas=QuotaTable(database, clock),
        aggregates=AggregateTable(database, clock),
        hosts=ComputeNodeTable(database, clock, down_after_s=60),
        services=ServiceTable(database, clock, down_after_s=60),
        fixed_ips=FixedIpTable(database, clock),
        migrations=MigrationTable(database, clock),
        conductor=cast("ConductorClient", Conductor()),
        compute=cast("ComputeClient", Recorder()),
        images=cast("ImageClient", Images()),
    )


def report(parts: ApiParts, host: str = HOST, zone: str = ZONE) -> None:
    """Have nova-compute of `host` say that it is alive, and what it has."""
    parts.services.report(ServiceReport(host, "nova-compute", "compute", zone))
    parts.hosts.report(
        ComputeNode(
            host=host,
            node=f"{host}.example.org",
            total=Resources(8192, 8, 100),
            used=Resources(0, 0, 0),
            hypervisor_type="simulated",
            hypervisor_version=1000000,
            cpu_info={"arch": "x86_64"},
            host_ip="10.0.1.2",
            running_vms=0,
            free_disk_gb=90,
            updated_at=datetime.now(UTC),
        )
    )
