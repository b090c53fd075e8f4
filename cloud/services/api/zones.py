"""Which availability zone a service is in: a compute host may be put into one by an aggregate."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from cloud.domain.host import Aggregate
from cloud.domain.service import Service

COMPUTE_BINARY = "nova-compute"


def in_their_zones(services: Iterable[Service], aggregates: Iterable[Aggregate]) -> Sequence[Service]:
    """`services` in their order, each with the zone that it is in, whatever it reported."""
    zones = {
        host: aggregate.availability_zone
        for aggregate in aggregates
        if aggregate.availability_zone is not None
        for host in aggregate.hosts
    }
    return [
        replace(service, availability_zone=zones.get(service.host, service.availability_zone))
        if service.binary == COMPUTE_BINARY
        else service
        for service in services
    ]
