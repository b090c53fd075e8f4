"""Where the database has instances: on hosts that there are, by the names that those have."""

from collections.abc import Iterator

from cloud.doctor.bounds import Bounds
from cloud.doctor.finding import Finding, Kind
from cloud.doctor.row_remedies import SetNode
from cloud.doctor.survey import Survey


def examine_hosts(survey: Survey, _bounds: Bounds) -> Iterator[Finding]:
    """Instances on no compute host, and those whose node is another host's, as after `UPDATE instances SET host`.

    Nothing is said of one whose guest is elsewhere: to mend that mends this.
    """
    for instance in survey.instances.values():
        host = instance.host
        if host is None or survey.is_elsewhere(instance):
            continue
        if not survey.is_compute_host(host):
            yield Finding(
                Kind.HOST_UNKNOWN,
                instance.uuid,
                host,
                "no nova-compute has ever reported from its host",
                instance.updated_at,
                unmended="nothing: evacuate it, or put it on the right host by hand",
            )
        elif survey.is_settled(instance) and instance.node != (node := survey.nodes.get(host, instance.node)):
            what = f"its node is {instance.node}, and that of its host is {node}"
            remedy = None if node is None else SetNode(instance, node)
            yield Finding(Kind.NODE_STALE, instance.uuid, host, what, instance.updated_at, remedy)
