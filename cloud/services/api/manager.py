"""nova-api: an HTTP server with the application, between users and all that it is answered from."""

from datetime import UTC, datetime
from pathlib import Path

from cloud.db.actions import ActionTable
from cloud.db.aggregates import AggregateTable
from cloud.db.fixed_ips import FixedIpTable
from cloud.db.flavors import FlavorTable
from cloud.db.hosts import ComputeNodeTable
from cloud.db.instances import InstanceTable
from cloud.db.keypairs import KeypairTable
from cloud.db.migration_records import MigrationTable
from cloud.db.quotas import QuotaTable, configured_quotas
from cloud.db.services import ServiceTable
from cloud.services.api.app import PUBLIC_PATHS, make_api
from cloud.services.api.caller_token import caller_token
from cloud.services.api.parts import ApiParts
from cloud.services.compute.client import ComputeClient
from cloud.services.conductor.client import ConductorClient
from cloud.services.image.client import ImageClient
from cloud.services.manager import Manager, ManagerError, Parts
from cloud.web.auth import TokenAuthentication
from cloud.web.server import HttpServer, HttpServerError, Listen


class ApiManager(Manager):
    """Serves HTTP from start to stop; the bus has nothing to ask of it but what every daemon answers."""

    def __init__(self, server: HttpServer, images: ImageClient) -> None:
        self._server = server
        self._images = images
        self.url = server.url

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()
        self._images.close()


def make_manager(parts: Parts) -> ApiManager:
    """The manager as `parts.conf` says; ManagerError when it cannot listen there."""
    api_parts = api_parts_of(parts)
    authenticate = TokenAuthentication(parts.conf.identity.url, PUBLIC_PATHS)
    try:
        server = HttpServer(make_api(api_parts, authenticate, on_stop=authenticate.close), _listen(parts))
    except HttpServerError as exc:
        raise ManagerError(str(exc)) from exc
    return ApiManager(server, api_parts.images)


def api_parts_of(parts: Parts) -> ApiParts:
    """What calls are answered from, out of what every daemon has."""
    conf, database = parts.conf, parts.database
    if database is None:
        raise ValueError("nova-api needs a database")

    def now() -> datetime:
        return datetime.now(UTC)

    return ApiParts(
        conf=conf,
        instances=InstanceTable(database, now),
        actions=ActionTable(database, now),
        flavors=FlavorTable(database, now),
        keypairs=KeypairTable(database, now),
        quotas=QuotaTable(database, now, configured_quotas(conf)),
        aggregates=AggregateTable(database, now),
        hosts=ComputeNodeTable(
            database, now, down_after_s=conf.service_down_time, default_zone=conf.default_availability_zone
        ),
        services=ServiceTable(database, now, down_after_s=conf.service_down_time),
        fixed_ips=FixedIpTable(database, now),
        migrations=MigrationTable(database, now),
        conductor=ConductorClient(parts.client),
        compute=ComputeClient(parts.client),
        images=ImageClient(conf.image.url, caller_token),
    )


def _listen(parts: Parts) -> Listen:
    conf = parts.conf
    certificate, key = conf.osapi_compute_certificate, conf.osapi_compute_key
    return Listen(
        conf.osapi_compute_listen,
        conf.osapi_compute_listen_port,
        None if certificate is None else Path(certificate),
        None if key is None else Path(key),
    )
