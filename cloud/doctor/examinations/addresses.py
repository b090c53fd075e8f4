"""Fixed addresses against the instances that have them."""

from collections.abc import Iterator

from cloud.doctor.bounds import Bounds
from cloud.doctor.finding import Finding, Kind
from cloud.doctor.row_remedies import ReleaseAddress
from cloud.doctor.survey import Survey


def examine_addresses(survey: Survey, _bounds: Bounds) -> Iterator[Finding]:
    """Those whose instance is gone."""
    for allocation in survey.allocations:
        if allocation.instance_uuid not in survey.instances:
            address = allocation.fixed_ip.address
            yield Finding(
                Kind.ADDRESS_WITHOUT_INSTANCE,
                allocation.instance_uuid,
                None,
                f"it has {address} of network {allocation.fixed_ip.network}, and is deleted or never was",
                allocation.created_at,
                ReleaseAddress(allocation.instance_uuid, address),
                subject=address,
            )
