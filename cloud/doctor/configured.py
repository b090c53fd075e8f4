"""nova.conf, the database and the bus -> a doctor."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from oslo_config import cfg

from cloud.db.engine import Database
from cloud.doctor.bounds import Bounds
from cloud.doctor.doctor import SETTLE_S, Doctor
from cloud.doctor.remedy import Means
from cloud.doctor.surveyor import HOST_TIMEOUT_S, Surveyor
from cloud.rpc.client import RpcClient
from cloud.services.compute.client import ComputeClient, configured_timeouts
from cloud.services.conductor.client import ConductorClient
from cloud.services.conductor.tables import Tables


@dataclass(frozen=True, slots=True)
class Patience:
    """How long something may take before it is told."""

    older_than: timedelta = timedelta(minutes=30)
    host_timeout_s: float = HOST_TIMEOUT_S
    settle_s: float = SETTLE_S


def configured_doctor(
    conf: cfg.ConfigOpts,
    database: Database,
    client: RpcClient,
    now: Callable[[], datetime],
    patience: Patience = Patience(),
) -> Doctor:
    """`conf` has the options of nova-conductor."""
    tables = Tables.of(database, now, down_after_s=conf.service_down_time)
    compute = ComputeClient(client, configured_timeouts(conf))
    means = Means(
        instances=tables.instances,
        claims=tables.claims,
        fixed_ips=tables.fixed_ips,
        migrations=tables.migrations,
        actions=tables.actions,
        compute=compute,
        conductor=ConductorClient(client),
    )
    bounds = Bounds(patience.older_than, timedelta(seconds=conf.instance_build_timeout))
    surveyor = Surveyor(tables, compute, now, patience.host_timeout_s)
    return Doctor(surveyor, means, bounds, settle_s=patience.settle_s)
