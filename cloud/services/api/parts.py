"""What the calls of the API are answered from, made once for the process."""

from dataclasses import dataclass

from oslo_config import cfg

from cloud.db.actions import ActionTable
from cloud.db.aggregates import AggregateTable
from cloud.db.fixed_ips import FixedIpTable
from cloud.db.flavors import FlavorTable
from cloud.db.hosts import ComputeNodeTable
from cloud.db.instances import InstanceTable
from cloud.db.keypairs import KeypairTable
from cloud.db.migration_records import MigrationTable
from cloud.db.quotas import QuotaTable
from cloud.db.services import ServiceTable
from cloud.services.compute.client import ComputeClient
from cloud.services.conductor.client import ConductorClient
from cloud.services.image.client import ImageClient


@dataclass(frozen=True, slots=True)
class ApiParts:
    """Tables, the clients of other services, and nova.conf."""

    conf: cfg.ConfigOpts
    instances: InstanceTable
    actions: ActionTable
    flavors: FlavorTable
    keypairs: KeypairTable
    quotas: QuotaTable
    aggregates: AggregateTable
    hosts: ComputeNodeTable
    services: ServiceTable
    fixed_ips: FixedIpTable
    migrations: MigrationTable
    conductor: ConductorClient
    compute: ComputeClient
    images: ImageClient
